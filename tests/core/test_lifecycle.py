"""The table of transitions: total over terminal states, and the same in the proto."""

import pytest

from sidecar.core.lifecycle import SETTLING, TERMINAL, TRANSITIONS, IllegalMoveError, Move, State, after
from sidecar.v1 import execution_pb2 as pb


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("move", list(Move))
def test_nothing_leaves_a_terminal_state(state: State, move: Move) -> None:
    """Invariant 1."""
    with pytest.raises(IllegalMoveError, match=str(move)):
        after(state, move)


def test_only_settling_moves_reach_a_terminal_state() -> None:
    reaching = {move for (_, move), to in TRANSITIONS.items() if to in TERMINAL}
    assert reaching == SETTLING
    assert all(to in TERMINAL for (_, move), to in TRANSITIONS.items() if move in SETTLING)


def test_every_state_can_be_reached_and_every_open_one_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State) - TERMINAL


def test_the_proto_has_the_same_states() -> None:
    names = {name.removeprefix("EXECUTION_STATE_") for name in pb.ExecutionState.keys()}  # noqa: SIM118
    assert names == {*State.__members__, "UNSPECIFIED"}
