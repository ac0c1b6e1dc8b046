"""Which requests share a call."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.scoring.batching.buckets import CALL_ROWS, cut
from inference_server.scoring.batching.payload import Payload


def of(rows: int = 1, key: str = "", length: int = 0) -> Payload:
    return Payload(rows, key, None, length)


def test_calls_are_filled_in_order_of_arrival() -> None:
    assert cut([], 4) == []
    assert cut([of()], 4) == [[0]]
    assert cut([of() for _ in range(6)], 4) == [[0, 1, 2, 3], [4, 5]]
    assert cut([of(3), of(2), of(2), of(9), of(1)], 4) == [[0], [1, 2], [3], [4]]
    assert cut([of(key=key) for key in "abab"], 4) == [[0, 2], [1, 3]]


@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from("ab"), st.integers(0, 9)), max_size=12),
    st.integers(1, 8),
)
def test_every_request_is_in_one_call_of_its_key(drawn: list[tuple[int, str, int]], most: int) -> None:
    payloads = [of(*one) for one in drawn]
    calls = cut(payloads, most)
    assert sorted(itertools.chain(*calls)) == list(range(len(payloads)))
    assert calls == sorted(calls)
    for call in calls:
        assert call == sorted(call)
        assert len({payloads[index].key for index in call}) == 1
        assert len(call) == 1 or sum(payloads[index].rows for index in call) <= most


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """Every way to put items into groups."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            for more in partitions([item for item in rest if item not in others]):
                yield [[first, *others], *more]


def cost_of(plan: list[list[int]], payloads: list[Payload]) -> float:
    return sum(
        (sum(payloads[at].rows for at in call) + CALL_ROWS) * max(payloads[at].length for at in call)
        for call in plan
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_other_way_to_cut_costs_less(seed: int) -> None:
    rng = random.Random(seed)
    payloads = [of(length=rng.randint(1, 30)) for _ in range(7)]
    allowed = [plan for plan in partitions(list(range(7))) if max(map(len, plan)) <= 4]
    best = min(cost_of(plan, payloads) for plan in allowed)
    assert cost_of(cut(payloads, 4), payloads) == best


def test_long_texts_do_not_make_short_ones_long() -> None:
    payloads = [of(length=length) for length in (5, 200, 6, 190, 5, 210)]
    assert cut(payloads, 8) == [[0, 2, 4], [1, 3, 5]]
