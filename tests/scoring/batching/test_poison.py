from __future__ import annotations

import random

import pytest

from inference_server.scoring.batching.cuts import Cuts
from inference_server.scoring.batching.poison import MOST, SECONDS, Fingerprints, Parts


def isolated(count: int, faults: set[int], parts: Parts | None = None) -> tuple[list[int], list[int], int]:
    """Which requests got an answer, which failed alone, in how many calls."""
    parts = parts or Parts(count)
    answered: list[int] = []
    failed: list[int] = []
    calls = 0
    while span := parts.next():
        calls += 1
        held = list(range(*span))
        fails = bool(faults & set(held))
        if not fails:
            answered += held
        elif len(held) == 1:
            failed += held
        parts.told(not fails)
    return answered, failed, calls


@pytest.mark.parametrize("count", [2, 3, 7, 8, 32, 33, 100])
def test_each_request_gets_one_outcome_whatever_is_at_fault(count: int) -> None:
    draw = random.Random(count)
    for _ in range(60):
        faults = {at for at in range(count) if draw.random() < draw.choice([0.02, 0.1, 0.6, 1.0])}
        answered, failed, calls = isolated(count, faults)
        assert sorted(answered) == sorted(set(range(count)) - faults)
        assert sorted(failed) == sorted(faults)
        assert calls <= 2 * count


@pytest.mark.parametrize("count", [2, 16, 32, 100])
def test_parts_may_be_cut_by_what_calls_cost(count: int) -> None:
    cuts = Cuts()
    for size in (1, 2, 4, 8, 16, 32):
        cuts.ran(size, 0.001 * (1 if size == 1 else 3 + size))
    for fault in range(count):
        answered, failed, _ = isolated(count, {fault}, Parts(count, cuts.first))
        assert failed == [fault]
        assert len(answered) == count - 1


def test_one_fault_in_a_batch_costs_a_few_calls() -> None:
    assert max(isolated(32, {fault})[2] for fault in range(32)) <= 10


def test_what_is_left_over_is_run_together() -> None:
    parts = Parts(16, lambda count: count - 1)
    spans = []
    while span := parts.next():
        spans.append(span)
        parts.told(not span[0] <= 11 < span[1])
    assert spans == [(0, 15), (0, 14), (0, 13), (0, 12), (0, 11), (11, 12), (12, 16)]


def test_many_faults_end_the_halving() -> None:
    _, _, calls = isolated(32, set(range(32)))
    assert calls < 50


def test_a_fault_that_does_not_come_back_still_gives_everybody_an_answer() -> None:
    answered, failed, _ = isolated(16, set())
    assert sorted(answered) == list(range(16))
    assert not failed


def test_out_of_time_the_rest_goes_one_by_one() -> None:
    parts = Parts(16)
    assert parts.next() == (0, 8)
    parts.told(False)
    parts.singly()
    spans = []
    while span := parts.next():
        spans.append(span)
        parts.told(True)
    assert spans == [(at, at + 1) for at in range(16)]


def test_a_fingerprint_is_known_for_a_while() -> None:
    prints = Fingerprints()
    assert not prints
    prints.add(b"bad", 10.0)
    assert prints
    assert prints.known(b"bad", 11.0)
    assert prints.known(bytearray(b"bad"), 11.0)
    assert not prints.known(b"good", 11.0)
    assert not prints.known(b"bad", 10.1 + SECONDS)
    assert not prints


def test_fingerprints_are_bounded_and_forgotten() -> None:
    prints = Fingerprints()
    for number in range(MOST + 10):
        prints.add(b"%d" % number, 0.0)
    assert len(prints) == MOST
    assert not prints.known(b"0", 0.0)
    prints.forget(b"100")
    assert not prints.known(b"100", 0.0)
