"""How good the predictions were: what was foretold beside what came true. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from inference_server.messages import ScoringRequest

KEPT = 512  # comparisons
MOST = 8192  # predictions that may be open; more are not noted
STEP = 0.001
SHARE = 0.995  # of the answers are to come within the margin
LEAST_MARGIN, MOST_MARGIN = 0.05, 1.0  # of the predicted time until the answer
LEAST_SECONDS = 0.001  # shorter waits, predicted and real, say nothing


class Forecast(NamedTuple):
    """Seconds from now until a request is run, and until its answer."""

    wait: float
    answer: float


class Accuracy:
    """Predictions are noted at admission and compared when the request ends; the last KEPT comparisons count."""

    def __init__(self) -> None:
        self._margin = LEAST_MARGIN
        self._open: dict[ScoringRequest, Forecast] = {}
        self._waits: deque[float] = deque(maxlen=KEPT)  # (real - predicted) / real

    def __len__(self) -> int:
        """How many comparisons `error` is taken from."""
        return len(self._waits)

    def margin(self, forecast: Forecast) -> float:
        """Seconds by which an answer may come later than predicted: SHARE of them did not come later than that."""
        return self._margin * forecast.answer

    def expect(self, request: ScoringRequest, forecast: Forecast) -> None:
        """This was predicted when the request was let in."""
        if len(self._open) < MOST:
            self._open[request] = forecast

    def answered(self, request: ScoringRequest, wait: float, answer: float) -> None:
        """It was run `wait` seconds after it was let in, and answered `answer` seconds after."""
        predicted = self._open.pop(request, None)
        if predicted is None:
            return
        if max(wait, predicted.wait) >= LEAST_SECONDS:
            self._waits.append((wait - predicted.wait) / max(wait, LEAST_SECONDS))
        self._note(answer, predicted)

    def missed(self, request: ScoringRequest, seconds: float) -> None:
        """It ran out of time after so many seconds, before its run() began."""
        predicted = self._open.pop(request, None)
        if predicted is not None:
            self._note(
                seconds + predicted.answer - predicted.wait, predicted
            )  # its run() would have come on top

    def forget(self, request: ScoringRequest) -> None:
        """Its caller left, or it was refused later on."""
        self._open.pop(request, None)

    def error(self, share: float = 0.9) -> float:
        """The relative error of the wait, without its sign, that `share` of them stayed under; 0.0: none known."""
        return _quantile(map(abs, self._waits), share)

    def _note(self, answer: float, predicted: Forecast) -> None:
        """Move the margin to where SHARE of the answers are within: few steps up for one that is not, many down."""
        if not predicted.wait:
            return  # nothing to be wrong about but run() itself
        late = answer > predicted.answer * (1 + self._margin)
        margin = self._margin + STEP * (SHARE if late else SHARE - 1)
        self._margin = min(MOST_MARGIN, max(LEAST_MARGIN, margin))


def _quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
