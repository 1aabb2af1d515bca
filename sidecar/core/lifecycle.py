"""The lifecycle of an execution: every state, every move, and the one table that joins them."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where an execution stands; each says who moves it in and who moves it out."""

    QUEUED = "QUEUED"
    """In by accept, retry, release and resume; out by claim, cancel and expiry."""
    RUNNING = "RUNNING"
    """In by claim; out by the worker's settlement, a lost lease, a deadline or a cancellation."""
    PAUSED = "PAUSED"
    """In by pause; out by resume, cancel and expiry."""
    SUCCEEDED = "SUCCEEDED"
    """Terminal. In by the worker's success."""
    FAILED = "FAILED"
    """Terminal. In by failure, deadline, lost lease or refusal."""
    CANCELLED = "CANCELLED"
    """Terminal. In by cancellation only."""


class Move(StrEnum):
    """What can happen to an execution."""

    CLAIM = "claim"
    RELEASE = "release"
    RETRY = "retry"
    PAUSE = "pause"
    RESUME = "resume"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"


TERMINAL: frozenset[State] = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
SETTLING: frozenset[Move] = frozenset({Move.SUCCEED, Move.FAIL, Move.CANCEL})

TRANSITIONS: Mapping[tuple[State, Move], State] = MappingProxyType(
    {
        (State.QUEUED, Move.CLAIM): State.RUNNING,
        (State.QUEUED, Move.FAIL): State.FAILED,
        (State.QUEUED, Move.CANCEL): State.CANCELLED,
        (State.RUNNING, Move.RELEASE): State.QUEUED,
        (State.RUNNING, Move.RETRY): State.QUEUED,
        (State.RUNNING, Move.PAUSE): State.PAUSED,
        (State.RUNNING, Move.SUCCEED): State.SUCCEEDED,
        (State.RUNNING, Move.FAIL): State.FAILED,
        (State.RUNNING, Move.CANCEL): State.CANCELLED,
        (State.PAUSED, Move.RESUME): State.QUEUED,
        (State.PAUSED, Move.FAIL): State.FAILED,
        (State.PAUSED, Move.CANCEL): State.CANCELLED,
    }
)


class IllegalMoveError(Exception):
    """The lifecycle has no such move from this state; a bug, never an input error."""

    def __init__(self, state: State, move: Move) -> None:
        super().__init__(f"an execution that is {state} cannot {move}")
        self.state = state
        self.move = move


def after(state: State, move: Move) -> State:
    """Return the state that `move` leads to.

    Raises:
        IllegalMoveError: if the table has no such transition.
    """
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise IllegalMoveError(state, move) from None
