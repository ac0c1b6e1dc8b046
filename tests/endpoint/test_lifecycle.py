"""The ways of endpoints and deployments: any walk along the table stays on it, and everything can end."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.lifecycle import DEPLOYMENT_MOVES, ENDPOINT_MOVES, ProvisioningState, moved

S = ProvisioningState
BOTH = pytest.mark.parametrize("moves", [DEPLOYMENT_MOVES, ENDPOINT_MOVES], ids=["deployment", "endpoint"])
Moves = Mapping[ProvisioningState, frozenset[ProvisioningState]]


@BOTH
@given(asked=st.lists(st.sampled_from(S)))
def test_a_walk_never_leaves_the_table(moves: Moves, asked: list[ProvisioningState]) -> None:
    state = S.CREATING
    for to in asked:
        if to is state or to in moves.get(state, frozenset()):
            assert moved(moves, state, to) is to
            state = to
        else:
            with pytest.raises(ValueError, match=f"no way from {state.value} to {to.value}"):
                moved(moves, state, to)
        assert state in moves


@BOTH
def test_every_operation_ends_and_everything_can_be_deleted(moves: Moves) -> None:
    for state in moves:
        assert state is S.DELETING or S.DELETING in moves[state]
        if state not in (S.SUCCEEDED, S.FAILED, S.DELETING):
            assert moves[state] == {S.SUCCEEDED, S.FAILED, S.DELETING}
    assert moves[S.DELETING] == {S.FAILED}


def test_two_operations_are_never_done_at_once_and_only_a_deployment_is_scaled() -> None:
    at_work = {S.CREATING, S.UPDATING, S.SCALING}
    assert all(not DEPLOYMENT_MOVES[state] & at_work for state in at_work)
    assert set(DEPLOYMENT_MOVES) == set(S)
    assert S.SCALING not in ENDPOINT_MOVES
    assert all(S.SCALING not in moves for moves in ENDPOINT_MOVES.values())
