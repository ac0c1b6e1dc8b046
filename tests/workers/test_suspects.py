"""Bodies that crashed their worker are remembered for a while, a few of them."""

from __future__ import annotations

from inference_server.messages import ScoringRequest
from inference_server.workers.suspects import MOST, SECONDS, Suspects
from tests.workers.pools import HEAD


def request(*pieces: bytes) -> ScoringRequest:
    return ScoringRequest(HEAD, list(pieces), sum(map(len, pieces)), 0.0, lambda answer: None)


def test_the_same_bytes_in_other_pieces_are_the_same_body() -> None:
    suspects = Suspects()
    assert not suspects.holds(request(b"ab"), 0.0)
    suspects.add(request(b"a", b"b"), 0.0)
    assert suspects.holds(request(b"ab"), SECONDS - 1)
    assert not suspects.holds(request(b"ba"), SECONDS - 1)


def test_they_are_forgotten_in_time_and_when_there_are_many() -> None:
    suspects = Suspects()
    suspects.add(request(b"old"), 0.0)
    suspects.add(request(b"again"), 0.0)
    suspects.add(request(b"again"), SECONDS / 2)
    assert not suspects.holds(request(b"old"), SECONDS)
    assert suspects.holds(request(b"again"), SECONDS)
    assert len(suspects) == 1
    for number in range(2 * MOST):
        suspects.add(request(b"%d" % number), 1.0)
    assert len(suspects) == MOST
    assert not suspects.holds(request(b"0"), 1.0)
    assert suspects.holds(request(b"%d" % (2 * MOST - 1)), 1.0)
