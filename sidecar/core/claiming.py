"""The claim: a ready execution becomes an attempt with a lease."""

from collections.abc import Sequence
from datetime import timedelta

from sidecar.core import spans
from sidecar.core.acceptance import reject
from sidecar.core.admission import over_cap
from sidecar.core.attempts import leave_state
from sidecar.core.catalog import FREE, Rule
from sidecar.core.commands import Begin, Claim, Claimed, Delivery, LeaseRef
from sidecar.core.definitions import OverLimit
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import Move, State, after
from sidecar.core.model import Attempt, Execution, Recording
from sidecar.core.reaping import expire
from sidecar.core.retry import nanos
from sidecar.core.style import LiveParent


def claim(folio: Folio, command: Claim, candidates: Sequence[Execution]) -> Claimed:
    """Lease the candidates to the worker; what may not run any more is settled instead.

    What a concurrency limit holds back stays queued.
    """
    deliveries = []
    for execution in candidates:
        expire(folio, execution, leases_too=False)
        if execution.state is State.QUEUED and execution.run_at <= folio.now:
            rule = _rule(command, execution)
            if rule is FREE or _is_let_in(folio, execution, rule):
                deliveries.append(lease(folio, execution, command))
    return Claimed(
        tuple(deliveries), exhausted=len(candidates) < command.limit, next_run_at=None, now=folio.now
    )


def _rule(command: Claim, execution: Execution) -> Rule:
    ids = execution.correlation
    return command.catalog.rule(ids.namespace, execution.terms.queue, ids.workflow_id)


def _is_let_in(folio: Folio, execution: Execution, rule: Rule) -> bool:
    """Look again at what may have changed since the accept, and count what is let in."""
    if rule.refusal is not None:
        reject(folio, execution, rule.refusal)
        return False
    namespace, key = execution.correlation.namespace, execution.terms.concurrency_key
    running = folio.usage.running
    for cap in rule.caps:
        if limit := running.reached(namespace, cap, key):
            if cap.over_limit is OverLimit.REFUSE:
                reject(folio, execution, over_cap(cap, limit))
            return False
    running.add(namespace, [cap.scope for cap in rule.caps], key)
    return True


def lease(
    folio: Folio, execution: Execution, command: Claim | Begin, began_at: int | None = None
) -> Delivery:
    """Make an attempt with a lease of a ready execution; it may have begun before it is told."""
    began_at = folio.now if began_at is None else began_at
    leave_state(execution, began_at)
    execution.state = after(execution.state, Move.CLAIM)
    execution.state_since = began_at
    execution.fence += 1
    execution.attempts += 1
    execution.attempt = attempt = _attempt(folio, execution, command, began_at)
    execution.lease_expires_at = folio.now + nanos(folio.limits.lease_ttl)
    if execution.started_at is None:
        _start_record(execution, command, began_at)
    folio.touch(execution)
    if attempt.live_span_id is not None and execution.anchor.recording is Recording.SAMPLED:
        folio.emit(spans.start_span(execution, attempt), attempt)
    return held(folio, execution, attempt, folio.limits.lease_ttl)


def held(folio: Folio, execution: Execution, attempt: Attempt, ttl: timedelta) -> Delivery:
    """Return what the holder of a lease needs to run it."""
    ref = LeaseRef(execution.key, attempt.token, attempt.fence)
    return Delivery(execution, ref, ttl, _time_left(folio, execution, attempt))


def _attempt(folio: Folio, execution: Execution, command: Claim | Begin, began_at: int) -> Attempt:
    is_live = execution.terms.style.live_parent is LiveParent.START
    return Attempt(
        number=execution.attempts,
        segment_index=execution.segment_index,
        fence=execution.fence,
        token=folio.chance.token(),
        span_id=folio.chance.span_id(),
        worker_id=command.worker_id,
        resource_id=command.resource.resource_id,
        started_at=began_at,
        deadline_at=_deadline(folio, execution, began_at),
        former_span_id=execution.last_span_id,
        live_span_id=folio.chance.span_id() if is_live else None,
    )


def _deadline(folio: Folio, execution: Execution, began_at: int) -> int | None:
    """Return when the attempt's time is up. One told late has a lease's time at least to tell its end."""
    timeout = execution.terms.attempt_timeout
    if timeout is None:
        return None
    limit = began_at + nanos(timeout)
    return limit if began_at == folio.now else max(limit, folio.now + nanos(folio.limits.lease_ttl))


def _start_record(execution: Execution, command: Claim | Begin, began_at: int) -> None:
    """Write the start record once: a later attempt never overwrites it."""
    execution.started_at = began_at
    execution.start_resource_id = command.resource.resource_id
    if not command.resource.attributes:
        execution.start_minimal = "the worker declared no resource"


def _time_left(folio: Folio, execution: Execution, attempt: Attempt) -> timedelta | None:
    limits = [at for at in (attempt.deadline_at, execution.terms.deadline_at) if at is not None]
    return timedelta(microseconds=max(0, min(limits) - folio.now) // 1_000) if limits else None
