"""Every script of the corpus in a real worker, eight requests at a time: which of them come to be merged."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.scoring.batching import corpus_list
from tests.scoring.batching.front import Front

ENOUGH = 200  # requests within which a safe script is to be merged


@pytest.mark.parametrize("name", corpus_list.NAMES)
def test_the_proof_tells_safe_scripts_from_unsafe_ones(name: str, front: Callable[..., Front]) -> None:
    script = corpus_list.module(name)
    draw = random.Random(3)
    bodies = [body for _ in range(8) for body in script.bodies(draw)]
    one = front((corpus_list.FOLDER / f"{name}.py").read_text())
    if one.ready["batching"]["way"] != "rows":
        assert getattr(script, "WAY", "rows") == one.ready["batching"]["way"]
        return
    one.teach(bodies, most=ENOUGH)
    states = {proof["state"] for proof in one.proofs}
    if script.SAFE and getattr(script, "MERGES", True):
        assert states - {"proving"} == {"agreed"}, one.proofs
        one.batches.clear()
        one.ask(bodies[:64])
        assert any(batch.requests > 1 for batch in one.batches)
        assert all(batch.rows <= 32 for batch in one.batches)
    else:
        assert "agreed" not in states, one.proofs
        one.batches.clear()
        one.ask(bodies[:64])
        assert all(batch.requests == 1 for batch in one.batches)
