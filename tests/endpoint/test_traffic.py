"""Shares of requests: exact over any hundred, even, and kept when the table changes."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.traffic import Traffic, Turns, order


@st.composite
def tables(draw: st.DrawFn) -> dict[str, int]:
    """Shares of 100 together, of one to six deployments."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=5)))
    edges = [0, *cuts, 100]
    return {f"d{number}": edges[number + 1] - edges[number] for number in range(len(edges) - 1)}


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 300))
def test_any_hundred_requests_in_a_row_are_split_exactly(shares: dict[str, int], first: int) -> None:
    turns = Turns(shares)
    for _ in range(first):
        turns.next()
    assert Counter(turns.next() for _ in range(100)) == shares


@settings(max_examples=60, deadline=None)
@given(tables())
def test_at_every_moment_each_has_its_share_rounded_up_or_down(shares: dict[str, int]) -> None:
    had: Counter[str] = Counter()
    for number, name in enumerate(order(shares), 1):
        had[name] += 1
        for other, share in shares.items():
            assert number * share // 100 <= had[other] <= -(-number * share // 100)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(tables(), st.integers(1, 9)), min_size=2, max_size=60))
def test_a_table_that_changes_all_the_time_leaves_nobody_short(
    changes: list[tuple[dict[str, int], int]],
) -> None:
    """Of deployments that are in all tables: each has what the tables promised it, but for a few requests."""
    turns = None
    had: Counter[str] = Counter()
    due: Counter[str] = Counter()
    always = set.intersection(*(set(shares) for shares, _ in changes))
    for shares, requests in changes:
        turns = Turns(shares, turns)
        for _ in range(requests):
            had[turns.next()] += 1
        for name, share in shares.items():
            due[name] += share * requests
    if all(set(shares) == always for shares, _ in changes):
        assert all(abs(had[name] - due[name] / 100) < 3 for name in always)


def test_the_same_table_set_again_and_again_skews_nothing() -> None:
    turns = Turns({"blue": 90, "green": 10})
    had: Counter[str] = Counter()
    for _ in range(200):
        turns = Turns({"blue": 90, "green": 10}, turns)
        had.update(turns.next() for _ in range(3))
    assert had == {"blue": 540, "green": 60}


@pytest.mark.parametrize("percents", [(10, 11), (1, 2, 3)])
def test_a_canary_gets_its_share_although_its_table_changes_every_three_requests(
    percents: tuple[int, ...],
) -> None:
    turns = None
    green = 0
    for number in range(1000):
        percent = percents[number % len(percents)]
        turns = Turns({"blue": 100 - percent, "green": percent}, turns)
        green += sum(turns.next() == "green" for _ in range(3))
    assert abs(green - 3000 * sum(percents) / len(percents) / 100) <= 2


def test_it_is_smooth() -> None:
    assert order({"blue": 50, "green": 50}) == ("blue", "green")
    assert order({"blue": 75, "green": 25}).count("blue") == 3
    assert len(order({"blue": 90, "green": 10})) == 10
    assert order({"only": 100}) == ("only",)
    assert order({}) == ()
    green = [at for at, name in enumerate(order({"blue": 67, "green": 33})) if name == "green"]
    assert {after - before for before, after in pairwise(green)} <= {2, 3, 4}


def test_the_text_form() -> None:
    assert Traffic.parse("Blue=90 green=10 red=0").shares == {"blue": 90, "green": 10}
    assert Traffic.parse(["blue=90", "green=10"]).shares == {"blue": 90, "green": 10}
    assert Traffic.parse("blue=0 green=0").shares == {}
    assert Traffic.of({}).shares == {}
    assert Traffic.of({"Blue": 100}).of_all(["blue", "green"]) == {"blue": 100, "green": 0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no share is given"),
        ("blue", "'blue' is no share"),
        ("=10", "'=10' is no share"),
        ("blue = 90", "without spaces"),
        ("blue=90%", "'90%' is no whole number from 0 to 100"),
        ("blue=-1", "'-1' is no whole number"),
        ("blue=101", "101 is no whole number"),
        ("blue=٩٠", "is no whole number"),
        ("blue=90 green=20", "90 + 20 is 110"),
        ("blue=50", "50 is 50"),
        ("blue=50 BLUE=50", "blue is given twice"),
    ],
)
def test_what_cannot_be_is_said(text: str, says: str) -> None:
    with pytest.raises(BadArgument, match="--traffic: ") as error:
        Traffic.parse(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text())
def test_any_text_is_a_table_or_a_sentence(text: str) -> None:
    with suppress(BadArgument):
        assert sum(Traffic.parse(text).shares.values()) in (0, 100)
