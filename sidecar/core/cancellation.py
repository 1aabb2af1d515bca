"""Cancellation: at once for what waits, by request for what runs."""

from datetime import timedelta

from sidecar.core.commands import Cancel, CancelNoted
from sidecar.core.fencing import unknown
from sidecar.core.finalizer import Verdict, finalize
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import Move, State
from sidecar.core.model import CancelRequest, Execution, Path
from sidecar.core.refusals import Reason, Refused
from sidecar.core.retry import nanos


def cancel(folio: Folio, command: Cancel) -> CancelNoted | Refused:
    """Record the wish to cancel; settle what no worker holds. A repeat is a success."""
    execution = folio.executions.get(command.key)
    if execution is None:
        return unknown(command.key)
    if execution.state is State.CANCELLED:
        return CancelNoted(execution, settled=True)
    if execution.is_terminal:
        return Refused(
            Reason.ALREADY_FINALIZED,
            f"execution {command.key[1]!r} is {execution.state} already and cannot be cancelled",
            {"execution_id": command.key[1], "state": execution.state.value},
            execution,
        )
    if execution.cancel is None:
        execution.cancel = CancelRequest(folio.now, folio.now + nanos(command.grace), command.reason)
        folio.touch(execution)
    if execution.state is not State.RUNNING:
        finalize(folio, execution, Verdict(Move.CANCEL, Path.CANCELLED))
    return CancelNoted(execution, execution.is_terminal, grace_left(folio, execution))


def grace_left(folio: Folio, execution: Execution) -> timedelta:
    """Return how long a worker that is asked to cancel has left."""
    if execution.cancel is None:
        return timedelta()
    return timedelta(microseconds=max(0, execution.cancel.grace_until - folio.now) // 1_000)
