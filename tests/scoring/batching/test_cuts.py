"""Where failed batches are cut: against halves, on shapes of run() time that want different cuts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference_server.scoring.batching.cuts import LARGEST, Cuts


def learned(seconds: object) -> Cuts:
    cuts = Cuts()
    for _ in range(30):
        for count in (1, 2, 4, 8, 16, 32):
            cuts.ran(count, seconds(count))  # type: ignore[operator]
            cuts.raised(count, seconds(count))  # type: ignore[operator]
    return cuts


def test_before_anything_is_known_it_halves() -> None:
    assert [Cuts().first(count) for count in (2, 3, 7, 32)] == [1, 1, 3, 16]


def test_where_a_call_costs_the_same_for_any_number_it_cuts_near_the_middle() -> None:
    assert learned(lambda count: 0.004).first(32) in (8, 16)


def test_where_few_are_far_cheaper_than_many_parts_are_small() -> None:
    assert learned(lambda count: 0.0002 * count).first(32) <= 4
    assert learned(lambda count: 0.002 if count == 1 else 0.007).first(8) == 1


def test_what_a_call_costs_for_nothing_is_not_forgotten_when_few_were_never_run() -> None:
    cuts = Cuts()
    for count in (23, 32):
        cuts.ran(count, 0.010 + 0.0005 * count)
    assert cuts.first(32) in (8, 16)


def test_where_the_fault_shows_early_parts_are_large() -> None:
    cuts = Cuts()
    for _ in range(30):
        for count in (1, 2, 4, 8, 16, 32):
            cuts.ran(count, 0.010 + 0.0005 * count)
            cuts.raised(count, 0.0001)
    assert cuts.first(32) >= 24


@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(0, 10)), max_size=30),
    st.lists(st.tuples(st.integers(1, 300), st.floats(0, 10)), max_size=10),
    st.integers(2, LARGEST + 5),
)
def test_a_cut_always_leaves_something_on_both_sides(
    ran: list[tuple[int, float]], raised: list[tuple[int, float]], count: int
) -> None:
    cuts = Cuts()
    for each in ran:
        cuts.ran(*each)
    for each in raised:
        cuts.raised(*each)
    assert 1 <= cuts.first(count) <= count - 1


def test_the_plan_is_kept_for_a_while() -> None:
    cuts = learned(lambda count: 0.001 * count)
    cuts.first(LARGEST)
    plan = cuts._plan
    cuts.ran(4, 0.004)
    cuts.first(32)
    assert cuts._plan is plan
