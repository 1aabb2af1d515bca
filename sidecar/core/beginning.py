"""The begin: an outside process takes the lease of one named execution, once, and maybe tells it late."""

from datetime import timedelta

from sidecar.core.acceptance import reject
from sidecar.core.claiming import held, lease
from sidecar.core.commands import Begin, Delivery, LeaseRef, Renew, Renewed
from sidecar.core.fencing import unknown
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import State
from sidecar.core.model import Attempt, Dispatch, Execution
from sidecar.core.progress import renew
from sidecar.core.reaping import expire
from sidecar.core.refusals import Reason, Refused
from sidecar.core.retry import nanos


def begin(folio: Folio, command: Begin) -> Delivery | Refused:
    """Lease an execution of external dispatch to whoever begins it; the same worker may say so again."""
    execution = folio.executions.get(command.key)
    if execution is None:
        return unknown(command.key)
    if execution.terms.dispatch is not Dispatch.EXTERNAL:
        return _not_external(execution)
    began_at = _began_at(folio, execution, command.begun_ago)
    if execution.state is State.QUEUED and _is_too_late(folio, execution, began_at):
        expire(folio, execution, leases_too=False)
    if execution.is_terminal:
        return _ended(execution)
    if execution.state is State.QUEUED:
        return _refused(folio, execution, command) or lease(folio, execution, command, began_at)
    attempt = execution.attempt
    if attempt is None or execution.state is not State.RUNNING or attempt.worker_id != command.worker_id:
        return _elsewhere(folio, execution)
    return _again(folio, execution, attempt)


def _refused(folio: Folio, execution: Execution, command: Begin) -> Refused | None:
    """Look again at what may have changed since the accept; limits on how many run are the owner's."""
    ids = execution.correlation
    refusal = command.catalog.rule(ids.namespace, execution.terms.queue, ids.workflow_id).refusal
    return None if refusal is None else reject(folio, execution, refusal)


def _began_at(folio: Folio, execution: Execution, ago: timedelta) -> int:
    """Return when it began: never before the accept, nor before the end of a former attempt."""
    earliest = execution.state_since if execution.fence else execution.accepted_at
    return min(folio.now, max(earliest, folio.now - nanos(ago)))


def _is_too_late(folio: Folio, execution: Execution, began_at: int) -> bool:
    """Return whether its time had run out: in the queue by when it began, in all by now."""
    in_queue, total = execution.terms.queue_deadline_at, execution.terms.deadline_at
    expired = in_queue is not None and not execution.attempts and began_at >= in_queue
    return expired or (total is not None and folio.now >= total)


def _again(folio: Folio, execution: Execution, attempt: Attempt) -> Delivery | Refused:
    """Answer a repeat with the lease that the first call took, its time begun anew."""
    ref = LeaseRef(execution.key, attempt.token, attempt.fence)
    renewed = renew(folio, Renew(ref))
    return held(folio, execution, attempt, renewed.ttl) if isinstance(renewed, Renewed) else renewed


def _not_external(execution: Execution) -> Refused:
    execution_id = execution.correlation.execution_id
    return Refused(
        Reason.NOT_EXTERNAL,
        f"execution {execution_id!r} is handed out from queue {execution.terms.queue!r}; only one that was "
        "enqueued with DISPATCH_EXTERNAL is begun by name",
        {"execution_id": execution_id, "dispatch": execution.terms.dispatch.value},
    )


def _ended(execution: Execution) -> Refused:
    execution_id = execution.correlation.execution_id
    return Refused(
        Reason.ALREADY_FINALIZED,
        f"execution {execution_id!r} is {execution.state} already; its record stands",
        {"execution_id": execution_id, "state": execution.state.value},
        execution,
    )


def _elsewhere(folio: Folio, execution: Execution) -> Refused:
    """Refuse a second holder; the time left is at least a moment, as only the reaper ends a lease."""
    execution_id = execution.correlation.execution_id
    left = max(1_000, ((execution.lease_expires_at or folio.now) - folio.now) // 1_000_000)
    holder = execution.attempt.worker_id if execution.attempt else ""
    return Refused(
        Reason.LEASED_ELSEWHERE,
        f"execution {execution_id!r} is {execution.state} at worker {holder!r}, whose lease has "
        f"{left / 1_000:.1f} s left unless it is extended",
        {
            "execution_id": execution_id,
            "state": execution.state.value,
            "worker_id": holder,
            "retry_after_ms": str(left),
        },
        execution,
    )
