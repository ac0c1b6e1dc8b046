"""Ratios of two servers, and when they are no more than chance."""

from __future__ import annotations

import random

import pytest

from inference_server.load.compare import ratio


def test_a_steady_difference_is_one_and_what_changes_for_both_does_not_blur_it() -> None:
    found = ratio([100, 50, 200, 100, 75], [201, 101, 399, 198, 150.5])
    assert found is not None
    assert found.value == pytest.approx(2, rel=0.01)
    assert 1.95 < found.low < found.value < found.high < 2.05
    assert not found.noise


def test_noise_is_called_so_in_about_19_of_20_cases() -> None:
    chance = random.Random(7)
    turns = [[chance.lognormvariate(3, 0.1) for _ in range(5)] for _ in range(400)]
    found = [ratio(one, other) for one, other in zip(turns[::2], turns[1::2], strict=True)]
    assert 180 <= sum(one is not None and one.noise for one in found) <= 199


def test_too_few_turns_and_such_without_an_answer() -> None:
    assert ratio([1], [2]) is None
    assert ratio([], []) is None
    assert ratio([1, 0, 0], [2, 1, 1]) is None
    assert ratio([1, 1, 1, 1], [2, 2, 2]) is not None  # ended in the middle of a turn
    many = ratio([1.0] * 50, [3.0] * 50)
    assert many is not None
    assert [many.low, many.high] == pytest.approx([3, 3])
