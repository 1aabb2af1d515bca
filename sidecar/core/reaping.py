"""What running out of time does to an execution: the reaper's verb, pure."""

from sidecar.conventions import names
from sidecar.core.commands import Due, Fault, Reap, Reaped
from sidecar.core.finalizer import Verdict, finalize
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import Move, State
from sidecar.core.model import Dispatch, Execution, Failure, Path
from sidecar.core.settlement import fail_attempt


def reap(folio: Folio, command: Reap) -> Reaped:
    """Act on what ran out, if fence and expiry still are as the reaper read them."""
    execution = folio.executions.get(command.due.key)
    if execution is None or execution.is_terminal or not _as_read(execution, command.due):
        return Reaped(None)
    version = execution.version
    expire(folio, execution, leases_too=command.leases_too)
    return Reaped(execution if execution.version != version else None)


def _as_read(execution: Execution, due: Due) -> bool:
    return execution.fence == due.fence and execution.lease_expires_at == due.lease_expires_at


def expire(folio: Folio, execution: Execution, *, leases_too: bool) -> None:
    """Settle or requeue an execution whose time ran out; leave it alone if none did."""
    now, terms = folio.now, execution.terms
    if _passed(terms.deadline_at, now):
        _fail(folio, execution, names.TYPE_TIMEOUT, "the deadline of the whole execution passed")
    elif execution.state is State.QUEUED and not execution.attempts and _passed(terms.queue_deadline_at, now):
        _expire_queued(folio, execution)
    elif execution.state is State.RUNNING:
        _expire_running(folio, execution, leases_too)


def _expire_queued(folio: Folio, execution: Execution) -> None:
    scheduled = execution.correlation.schedule_id is not None
    if scheduled and execution.terms.dispatch is Dispatch.EXTERNAL:
        _fail(folio, execution, names.TYPE_MISSED, "nobody began this occurrence in the time it had")
    else:
        _fail(folio, execution, names.TYPE_EXPIRED_IN_QUEUE, "no worker took it before its queue deadline")


def _expire_running(folio: Folio, execution: Execution, leases_too: bool) -> None:
    now, attempt = folio.now, execution.attempt
    if attempt is not None and _passed(attempt.deadline_at, now):
        timeout = Failure(names.TYPE_TIMEOUT, f"attempt {attempt.number} passed its deadline")
        fail_attempt(folio, execution, Fault(timeout), None, Path.REAPED)
    elif execution.cancel is not None and _passed(execution.cancel.grace_until, now):
        finalize(folio, execution, Verdict(Move.CANCEL, Path.CANCELLED))
    elif leases_too and _passed(execution.lease_expires_at, now):
        lost = Failure(names.TYPE_LEASE_EXPIRED, "the worker was not heard of for the time of its lease")
        fail_attempt(folio, execution, Fault(lost), None, Path.REAPED)


def _passed(limit: int | None, now: int) -> bool:
    return limit is not None and now >= limit


def _fail(folio: Folio, execution: Execution, kind: str, message: str) -> None:
    finalize(folio, execution, Verdict(Move.FAIL, Path.REAPED, failure=Failure(kind, message)))
