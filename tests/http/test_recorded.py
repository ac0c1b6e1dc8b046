"""Which answered requests are recorded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from inference_server.http.recorded import FAILURES, RecordedAccess
from inference_server.messages import DONE, Answer, AnswerStream, ScoringRequest
from inference_server.recording.making import Taken
from inference_server.telemetry.access import About, Entry, NoAccess
from inference_server.workers.stream import Stream

ABOUT = About("-", "POST /score", "POST /score HTTP/1.1", "-", "-", True)


class Kept:
    """Takes what a recorder would be offered."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []

    def offer(self, taken: Taken) -> None:
        self.taken.append(taken)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def access(kept: Kept, share: float = 0.0, seed: int = 1) -> RecordedAccess:
    return RecordedAccess(NoAccess(), kept, share, random.Random(seed).random)  # type: ignore[arg-type]


def entry(status: int, sent: float = 1.5, stream: AnswerStream | None = None, scored: bool = True) -> Entry:
    head: Any = None
    request = ScoringRequest(head, [], 0, 1.0, lambda answer: None)
    request.sent = sent
    answer = Answer(status, b"", stream=stream)
    length = None if stream else 0
    return (
        ABOUT,
        status,
        length,
        0,
        True,
        0.01,
        100,
        *((request, answer) if scored else (None, None)),
        0.001,
    )


def stream(complete: bool) -> Stream:
    made = Stream(1, lambda kind, seq, count: None)
    made.end(complete)
    return made


def statuses(kept: Kept, entries: Sequence[Entry]) -> list[int]:
    access(kept).write(entries)
    assert all(taken.failed for taken in kept.taken)
    return [taken.status for taken in kept.taken]


def test_what_the_script_or_the_server_failed_on_is_kept(kept: Kept) -> None:
    """A raise, an input that does not fit, the script's own 404, a deadline that passed while it waited."""
    entries = [entry(500), entry(200), entry(400), entry(404), entry(408, sent=0.0)]
    assert statuses(kept, entries) == [500, 400, 404, 408]


def test_what_no_worker_was_given_and_who_left_is_not(kept: Kept) -> None:
    entries = [entry(status, sent=0.0) for status in (405, 429, 431, 503)]
    assert statuses(kept, [*entries, entry(499), entry(404, scored=False), entry(200)]) == []


def test_a_stream_that_breaks_has_failed_though_its_status_was_200(kept: Kept) -> None:
    assert statuses(kept, [entry(200, stream=stream(False)), entry(200, stream=stream(True))]) == [200]


def test_what_a_worker_told_of_a_failure_goes_with_its_request(kept: Kept) -> None:
    made = access(kept, share=1.0)
    failed, again, left = entry(500), entry(200), entry(500)
    for one in (failed, again):
        made.failed(one[7], {"error": "E"})  # type: ignore[arg-type]
    left[7].state = DONE  # type: ignore[union-attr]
    made.failed(left[7], {"error": "late"})  # type: ignore[arg-type]
    made.write([failed, again, left])
    told = {id(taken.request): taken.failure for taken in kept.taken}
    assert told == {id(failed[7]): {"error": "E"}, id(again[7]): {"error": "E"}, id(left[7]): None}
    for _ in range(2 * FAILURES):
        made.failed(entry(500)[7], {})  # type: ignore[arg-type]
    assert len(made._failures) <= FAILURES


@pytest.mark.parametrize(
    ("share", "least", "most"), [(1.0, 20_000, 20_000), (0.1, 1_800, 2_200), (0.0, 0, 0)]
)
def test_of_those_that_succeeded_a_share_is_kept(kept: Kept, share: float, least: int, most: int) -> None:
    made = access(kept, share)
    sizes = random.Random(2)
    left = 20_000
    while left:
        turn = min(left, sizes.randint(1, 60))
        made.write([entry(200) for _ in range(turn)])
        left -= turn
    assert least <= len(kept.taken) <= most
    assert not any(taken.failed for taken in kept.taken)
