"""The claim: a ready execution becomes an attempt with a lease."""

from collections.abc import Sequence
from datetime import timedelta

from sidecar.core.attempts import leave_state
from sidecar.core.commands import Claim, Claimed, Delivery, LeaseRef
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import Move, State, after
from sidecar.core.model import Attempt, Execution
from sidecar.core.reaping import expire
from sidecar.core.retry import nanos


def claim(folio: Folio, command: Claim, candidates: Sequence[Execution]) -> Claimed:
    """Lease the candidates to the worker; what has run out of time in the queue is settled instead."""
    deliveries = []
    for execution in candidates:
        expire(folio, execution, leases_too=False)
        if execution.state is State.QUEUED and execution.run_at <= folio.now:
            deliveries.append(_lease(folio, execution, command))
    return Claimed(
        tuple(deliveries), exhausted=len(candidates) < command.limit, next_run_at=None, now=folio.now
    )


def _lease(folio: Folio, execution: Execution, command: Claim) -> Delivery:
    leave_state(execution, folio.now)
    execution.state = after(execution.state, Move.CLAIM)
    execution.state_since = folio.now
    execution.fence += 1
    execution.attempts += 1
    execution.attempt = attempt = _attempt(folio, execution, command)
    execution.lease_expires_at = folio.now + nanos(folio.limits.lease_ttl)
    if execution.started_at is None:
        _start_record(folio, execution, command)
    folio.touch(execution)
    ref = LeaseRef(execution.key, attempt.token, attempt.fence)
    return Delivery(execution, ref, folio.limits.lease_ttl, _time_left(folio, execution, attempt))


def _attempt(folio: Folio, execution: Execution, command: Claim) -> Attempt:
    timeout = execution.terms.attempt_timeout
    return Attempt(
        number=execution.attempts,
        segment_index=execution.segment_index,
        fence=execution.fence,
        token=folio.chance.token(),
        span_id=folio.chance.span_id(),
        worker_id=command.worker_id,
        resource_id=command.resource.resource_id,
        started_at=folio.now,
        deadline_at=None if timeout is None else folio.now + nanos(timeout),
        former_span_id=execution.last_span_id,
    )


def _start_record(folio: Folio, execution: Execution, command: Claim) -> None:
    """Write the start record once: a later attempt never overwrites it."""
    execution.started_at = folio.now
    execution.start_resource_id = command.resource.resource_id
    if not command.resource.attributes:
        execution.start_minimal = "the worker declared no resource"


def _time_left(folio: Folio, execution: Execution, attempt: Attempt) -> timedelta | None:
    limits = [at for at in (attempt.deadline_at, execution.terms.deadline_at) if at is not None]
    return timedelta(microseconds=max(0, min(limits) - folio.now) // 1_000) if limits else None
