"""How good the predictions were: what was foretold beside what came true. No I/O."""

from __future__ import annotations

from collections import deque

from inference_server.messages import ScoringRequest

KEPT = 512  # comparisons
MOST = 4096  # predictions that may be open; more are not noted


class Accuracy:
    """Predictions are noted at admission and compared when the wait is over; the last KEPT comparisons count.

    Only comparisons of waits that matter are kept: those of at least `least` seconds.
    """

    def __init__(self, least: float = 0.001) -> None:
        self._least = least
        self._open: dict[ScoringRequest, float] = {}
        self._errors: deque[float] = deque(maxlen=KEPT)  # (real - predicted) / real

    def expect(self, request: ScoringRequest, seconds: float) -> None:
        """The request is predicted to wait so long from now until it is run."""
        if len(self._open) < MOST:
            self._open[request] = seconds

    def started(self, request: ScoringRequest, seconds: float) -> None:
        """It was run after so long."""
        predicted = self._open.pop(request, None)
        if predicted is not None and max(seconds, predicted) >= self._least:
            self._errors.append((seconds - predicted) / max(seconds, self._least))

    def forget(self, request: ScoringRequest) -> None:
        """It was not run: its caller left, or it was refused later on."""
        self._open.pop(request, None)

    def error(self, share: float = 0.9) -> float:
        """The relative error, without its sign, that `share` of the predictions stayed under; 0.0: none made yet."""
        errors = sorted(map(abs, self._errors))
        return errors[min(len(errors) - 1, int(share * len(errors)))] if errors else 0.0

    def __len__(self) -> int:
        """How many comparisons the error is taken from."""
        return len(self._errors)
