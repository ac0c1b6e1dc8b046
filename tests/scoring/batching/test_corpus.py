"""Every script of the corpus, alone and merged: safe ones never differ, unsafe ones are always found out."""

from __future__ import annotations

import random

import pytest

from inference_server.scoring.batching.compare import difference
from tests.scoring.batching import corpus_list
from tests.scoring.batching.merging import alone, requests, script_of, together

SAFE = [name for name in corpus_list.NAMES if not name.startswith("unsafe_")]
UNSAFE = [name for name in corpus_list.NAMES if name.startswith("unsafe_")]


def test_the_corpus_is_large_enough_and_says_what_it_is() -> None:
    assert len(corpus_list.NAMES) >= 30
    assert len(UNSAFE) * 3 >= len(corpus_list.NAMES)
    assert all(corpus_list.is_safe(name) for name in SAFE)
    assert not any(corpus_list.is_safe(name) for name in UNSAFE)
    whys = [corpus_list.module(name).WHY for name in UNSAFE]
    assert len(set(whys)) == len(whys)


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_script_says_the_same_alone_and_merged(name: str) -> None:
    module = corpus_list.module(name)
    script, merger = script_of(module)
    assert merger.way == getattr(module, "WAY", "rows"), merger.why
    asked = requests(script, module.bodies(random.Random(1)))
    merged, shared = together(script, merger, asked)
    for request, answer in zip(asked, merged, strict=True):
        assert difference(alone(script, request), answer) == ""
    if getattr(module, "MERGES", True):
        assert shared >= len(asked) * 0.8
    else:
        assert shared == 0


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_script_is_found_out(name: str) -> None:
    module = corpus_list.module(name)
    script, merger = script_of(module)
    asked = requests(script, module.bodies(random.Random(1)))
    if any(difference(alone(script, request), alone(script, request)) for request in asked):
        return  # it does not even agree with itself
    merged, shared = together(script, merger, asked)
    found = [difference(alone(script, request), one) for request, one in zip(asked, merged, strict=True)]
    assert shared == 0 or any(found)
