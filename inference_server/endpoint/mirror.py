"""Mirroring: copies of some requests go to one deployment more, whose answers nobody sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.shares import WHOLE, checked_shares, parse_shares
from inference_server.messages import Answer, AnswerStream, ScoringRequest
from inference_server.workers.answers import unavailable

OPTION = "--mirror-traffic"
MOST_PERCENT = 50  # Azure's limit
MOST_IN_FLIGHT = 100  # copies that a deployment may be working on or have waiting
LOST = "The copy could not be handed over."


@dataclass(frozen=True)
class Mirror:
    """The deployment that gets copies, and of how many per cent of the requests."""

    deployment: str
    percent: int

    @classmethod
    def of(cls, shares: Mapping[str, int], any_share: bool = False) -> Mirror | None:
        """None: nothing is mirrored. `any_share` allows more than Azure does. Raises BadArgument."""
        checked = checked_shares(OPTION, shares)
        given = {name: percent for name, percent in checked.items() if percent}
        if not given:
            return None
        if len(given) > 1:
            raise BadArgument(
                f"{OPTION}: {' and '.join(given)} cannot both be mirrored to: name one deployment"
            )
        (mirror,) = (cls(name, percent) for name, percent in given.items())
        if mirror.percent > MOST_PERCENT and not any_share:
            raise BadArgument(
                f"{OPTION}: {mirror.deployment}={mirror.percent} is more than the {MOST_PERCENT} per cent that may be mirrored"
            )
        return mirror

    @classmethod
    def parse(cls, text: str | Iterable[str], any_share: bool = False) -> Mirror | None:
        """`green=10`; `green=0` ends mirroring. Raises BadArgument."""
        return cls.of(parse_shares(OPTION, text), any_share)


class Copies:
    """Which requests are copied, and the copies on their way. The originals never wait for it, nor fail by it.

    A copy is submitted in the next turn of the loop, when its original has gone. While `most` of them are not answered,
    further ones are dropped: a deployment that hangs costs this much memory, and nothing else.
    """

    def __init__(
        self,
        percent: int,
        submit: Callable[[ScoringRequest], None],
        answered: Callable[[ScoringRequest, Answer], None] = lambda request, answer: None,
        most: int = MOST_IN_FLIGHT,
    ) -> None:
        """`answered` is told of every copy's answer, for metrics and logs; a streamed body is still to come then."""
        self.sent = 0  # copies that were submitted
        self.dropped = 0  # that were due, and not made
        self.in_flight = 0
        self.percent = percent
        self._submit = submit
        self._answered = answered
        self._most = most
        self._due = 0  # hundredths of a request
        self._loop = asyncio.get_running_loop()

    def pass_by(self, request: ScoringRequest, deadline: float) -> None:
        """An original goes its way; of any hundred in a row exactly `percent` are copied, evenly spread.

        `deadline` is that of the copy, in monotonic seconds, 0.0 for none."""
        self._due += self.percent
        if self._due < WHOLE:
            return
        self._due -= WHOLE
        if self.in_flight >= self._most:
            self.dropped += 1
            return
        self.sent += 1
        self.in_flight += 1
        self._loop.call_soon(self._send, self._copy(request, deadline))

    def _copy(self, request: ScoringRequest, deadline: float) -> ScoringRequest:
        def answered(answer: Answer) -> None:
            if answer.stream is None:
                self._over()
            else:
                _read_to_its_end(answer.stream, self._over)
            self._answered(copy, answer)

        copy = ScoringRequest(
            request.head,
            list(request.body),
            request.body_bytes,
            request.arrived,
            answered,
            request.ids,
            request.peer,
        )
        copy.received = request.received
        copy.deadline = deadline
        return copy

    def _send(self, copy: ScoringRequest) -> None:
        try:
            self._submit(copy)
        except Exception:
            copy.resolve(unavailable(LOST))  # its place is free again; the loop logs the error
            raise

    def _over(self) -> None:
        self.in_flight -= 1


def _read_to_its_end(stream: AnswerStream, over: Callable[[], None]) -> None:
    """The deployment is to do all of its work, as it would for a caller."""
    stream.attach(lambda chunk: stream.grant(len(chunk)), lambda complete: over())
