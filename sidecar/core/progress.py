"""Progress of a running attempt: heartbeats, steps, and leases that are given back."""

from datetime import timedelta

from sidecar.conventions import names
from sidecar.core import spans
from sidecar.core.attempts import leave_state
from sidecar.core.cancellation import grace_left
from sidecar.core.commands import Fault, Noted, Rebase, Release, Released, Renew, Renewed, ReportStep
from sidecar.core.fencing import holder
from sidecar.core.finalizer import Verdict, finalize
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import Move, State, after
from sidecar.core.model import Attempt, Execution, Failure, Marker, Path, Recording, Step
from sidecar.core.refusals import Reason, Refused
from sidecar.core.retry import nanos
from sidecar.core.settlement import fail_attempt


def renew(folio: Folio, command: Renew) -> Renewed | Refused:
    """Extend a lease; written only when a third of its time has passed."""
    held = holder(folio, command.ref)
    if isinstance(held, Refused):
        return held
    execution, _ = held
    ttl = folio.limits.lease_ttl
    left = (execution.lease_expires_at or folio.now) - folio.now
    if left < nanos(ttl) * 2 // 3:
        execution.lease_expires_at = folio.now + nanos(ttl)
        folio.touch(execution)
        left = nanos(ttl)
    return Renewed(execution, timedelta(microseconds=left // 1_000), grace_left(folio, execution))


def rebase(folio: Folio, command: Rebase) -> None:
    """Start a live lease's time anew: the clock it was measured with ended with the former process."""
    execution = folio.executions.get(command.key)
    if execution is not None and execution.state is State.RUNNING and execution.fence == command.fence:
        execution.lease_expires_at = folio.now + nanos(folio.limits.lease_ttl)
        folio.touch(execution)


def release(folio: Folio, command: Release) -> Released | Refused:
    """Give back a delivery that never began, uncounted; what had begun, or is lost too often, failed."""
    held = holder(folio, command.ref)
    if isinstance(held, Refused):
        return held
    execution, attempt = held
    lost = not command.voluntary
    execution.deliveries_lost += lost
    if execution.cancel is not None:
        finalize(folio, execution, Verdict(Move.CANCEL, Path.CANCELLED))
    elif _had_begun(execution, attempt) or (lost and _too_often(folio, execution)):
        failure = Failure(names.TYPE_DELIVERY_LOST, "the delivery was lost with the connection to its worker")
        fail_attempt(folio, execution, Fault(failure), None, Path.REAPED)
    else:
        _requeue(folio, execution)
    return Released(execution)


def _had_begun(execution: Execution, attempt: Attempt) -> bool:
    return execution.last_started is not None and execution.last_started.at >= attempt.started_at


def _too_often(folio: Folio, execution: Execution) -> bool:
    return execution.deliveries_lost > folio.limits.max_deliveries_lost


def _requeue(folio: Folio, execution: Execution) -> None:
    leave_state(execution, folio.now)
    execution.state = after(execution.state, Move.RELEASE)
    execution.state_since = folio.now
    execution.lease_expires_at = None
    execution.attempt = None
    execution.attempts -= 1
    folio.touch(execution)


def report_step(folio: Folio, command: ReportStep) -> Noted | Refused:
    """Note that a step started or completed; a repeat changes nothing."""
    held = holder(folio, command.ref)
    if isinstance(held, Refused):
        return held
    execution, attempt = held
    step = folio.steps.get((execution.key, attempt.fence, command.sequence))
    if step is None:
        if command.sequence > folio.limits.max_steps:
            return _too_many(folio, execution, command.sequence)
        step = _start(folio, execution, attempt, command)
    if command.completed_after is not None and step.ended_at is None:
        _complete(folio, execution, attempt, step, command)
    return Noted(execution)


def _start(folio: Folio, execution: Execution, attempt: Attempt, command: ReportStep) -> Step:
    step = Step(
        fence=attempt.fence,
        sequence=command.sequence,
        name=command.name,
        span_id=command.span_id,
        parent_span_id=command.parent_span_id or attempt.span_id,
        started_at=_within(folio, attempt, command.started_after),
    )
    execution.last_started = _later(execution.last_started, Marker(step.name, step.started_at))
    execution.open_steps += 1
    execution.steps += 1
    folio.note_step(execution, step)
    folio.touch(execution)
    return step


def _complete(folio: Folio, execution: Execution, attempt: Attempt, step: Step, command: ReportStep) -> None:
    ended_at = _within(folio, attempt, command.completed_after or timedelta())
    step.ended_at = max(step.started_at, ended_at)
    step.error_type = command.error_type
    execution.open_steps -= 1
    if step.error_type is None:
        execution.last_completed = _later(execution.last_completed, Marker(step.name, step.ended_at))
    folio.note_step(execution, step)
    folio.touch(execution)
    if execution.anchor.recording is Recording.SAMPLED:
        folio.emit(spans.step_span(execution, attempt, step), step)


def _within(folio: Folio, attempt: Attempt, offset: timedelta) -> int:
    """Return a worker's offset as a time of ours, clamped into the attempt."""
    return min(max(attempt.started_at, attempt.started_at + nanos(offset)), folio.now)


def _later(former: Marker | None, marker: Marker) -> Marker:
    return marker if former is None or marker.at >= former.at else former


def _too_many(folio: Folio, execution: Execution, sequence: int) -> Refused:
    return Refused(
        Reason.STEP_LIMIT,
        f"step {sequence}: an attempt keeps {folio.limits.max_steps} steps; the run goes on without it",
        {"execution_id": execution.correlation.execution_id, "limit": str(folio.limits.max_steps)},
        execution,
    )
