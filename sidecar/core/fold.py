"""The fold: one command at a time, in the order of arrival, through the pure verbs."""

from typing import Any

from sidecar.core.acceptance import accept
from sidecar.core.beginning import begin
from sidecar.core.cancellation import cancel
from sidecar.core.claiming import claim
from sidecar.core.commands import (
    Accept,
    Begin,
    Cancel,
    Command,
    Reap,
    Rebase,
    Release,
    Renew,
    ReportStep,
    Settle,
)
from sidecar.core.decrees import Define, Fire, Steer, Undefine
from sidecar.core.defining import define, undefine
from sidecar.core.folio import Folio
from sidecar.core.model import Key
from sidecar.core.progress import rebase, release, renew, report_step
from sidecar.core.reaping import reap
from sidecar.core.scheduling import fire, steer
from sidecar.core.settlement import settle

__all__ = ["claim", "fold", "keys_of"]


def fold(folio: Folio, command: Command[Any]) -> object:
    """Apply one command to the open records and return its result.

    Raises:
        TypeError: for a command that no verb knows.
    """
    match command:
        case Settle():
            return settle(folio, command)
        case Renew():
            return renew(folio, command)
        case ReportStep():
            return report_step(folio, command)
        case Accept():
            return accept(folio, command)
        case _:
            return _fold_rare(folio, command)


def _fold_rare(folio: Folio, command: Command[Any]) -> object:
    match command:
        case Begin():
            return begin(folio, command)
        case Cancel():
            return cancel(folio, command)
        case Release():
            return release(folio, command)
        case Reap():
            return reap(folio, command)
        case Rebase():
            rebase(folio, command)
            return None
        case _:
            return _fold_registry(folio, command)


def _fold_registry(folio: Folio, command: Command[Any]) -> object:
    match command:
        case Define():
            return define(folio, command)
        case Undefine():
            return undefine(folio, command)
        case Fire():
            return fire(folio, command)
        case Steer():
            return steer(folio, command)
        case _:
            raise TypeError(f"no verb for {type(command).__name__}")


def accept_in(command: Command[Any]) -> Accept | None:
    """Return the accept that a command is or brings with it."""
    match command:
        case Accept():
            return command
        case Fire(accept=accept):
            return accept
        case _:
            return None


def keys_of(command: Command[Any]) -> tuple[Key, ...]:
    """Return the executions that must be open before the command is folded."""
    match command:
        case Settle(ref=ref) | Renew(ref=ref) | ReportStep(ref=ref) | Release(ref=ref):
            return (ref.key,)
        case Begin(key=key) | Cancel(key=key) | Rebase(key=key):
            return (key,)
        case Reap(due=due):
            return (due.key,)
        case Accept(execution=execution):
            return (execution.key,)
        case Fire(accept=accept, former=former):
            drafted = None if accept is None else accept.execution.key
            return tuple(key for key in (drafted, former) if key is not None)
        case _:
            return ()
