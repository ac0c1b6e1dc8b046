"""Percentiles of many durations, against those of all of them in order."""

from __future__ import annotations

import math
import random

import pytest

from inference_server.load.histogram import Histogram


def test_percentiles_are_right_to_a_fraction_of_a_percent() -> None:
    chance = random.Random(1)
    durations = [chance.lognormvariate(-6, 1.5) for _ in range(20_000)]
    histogram = Histogram(durations)
    ordered = sorted(durations)
    shares = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)
    for share, found in zip(shares, histogram.percentiles(shares), strict=True):
        exact = ordered[max(1, math.ceil(share * len(ordered))) - 1]
        assert found == pytest.approx(exact, rel=0.002, abs=1e-7)
    assert histogram.mean == pytest.approx(sum(durations) / len(durations))
    assert histogram.most == ordered[-1] == max(durations)
    assert len(histogram.counts) < 3_000


def test_two_make_one() -> None:
    chance = random.Random(2)
    durations = [chance.expovariate(100) for _ in range(999)]
    one, other = Histogram(durations[:300]), Histogram(durations[300:])
    one.add(other)
    whole = Histogram(durations)
    assert one.counts == whole.counts
    assert (one.count, one.most) == (999, whole.most)
    assert one.total == pytest.approx(whole.total)


def test_none_and_one() -> None:
    assert Histogram().percentile(0.99) == Histogram().mean == Histogram().most == 0
    assert Histogram([0.25]).percentiles((0.5, 0.999)) == [0.25, 0.25]
    assert Histogram([0.0]).percentile(0.5) == 0
