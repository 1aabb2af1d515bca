"""The end of an attempt: its span, its open steps, and the time it took."""

from sidecar.core import spans
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import State
from sidecar.core.model import Attempt, Execution, Failure, Recording


def leave_state(execution: Execution, now: int) -> None:
    """Add the time spent in the state that is being left to the execution's timings."""
    spent, timings = max(0, now - max(execution.state_since, _waiting_from(execution))), execution.timings
    if execution.state is State.RUNNING:
        timings.running_ns += spent
    elif execution.state is State.PAUSED:
        timings.paused_ns += spent
    elif execution.attempts:
        timings.retry_wait_ns += max(0, now - execution.state_since)
    else:
        timings.queued_ns += spent


def _waiting_from(execution: Execution) -> int:
    """Return when a first wait began to count: work that is planned for later does not queue before."""
    return execution.run_at if execution.state is State.QUEUED else 0


def close(
    folio: Folio,
    execution: Execution,
    failure: Failure | None,
    attempt_failure: Failure | None,
    digest: bytes | None,
) -> None:
    """End the open attempt, if there is one, together with its execution.

    The attempt stays on the execution's row, unless it failed otherwise than the execution did: then
    it is kept as a row of its own, so that its span can still be rebuilt.
    """
    attempt = execution.attempt
    if attempt is None or execution.state is not State.RUNNING:
        return
    _emit_end(folio, execution, attempt, attempt_failure or failure)
    if attempt_failure is not None:
        retire(folio, execution, attempt, attempt_failure, digest)


def end(folio: Folio, execution: Execution, failure: Failure, digest: bytes | None) -> None:
    """End the open attempt while its execution goes on."""
    attempt = execution.attempt
    if attempt is None:
        return
    _emit_end(folio, execution, attempt, failure)
    retire(folio, execution, attempt, failure, digest)


def retire(
    folio: Folio, execution: Execution, attempt: Attempt, failure: Failure, digest: bytes | None
) -> None:
    """Move the attempt from the execution's row to one of its own."""
    attempt.ended_at, attempt.failure, attempt.digest = folio.now, failure, digest
    folio.end_attempt(execution, attempt)
    execution.last_span_id = attempt.span_id
    execution.attempt = None


def _emit_end(folio: Folio, execution: Execution, attempt: Attempt, failure: Failure | None) -> None:
    sampled = execution.anchor.recording is Recording.SAMPLED
    if execution.open_steps:
        for step in folio.open_steps(execution, attempt.fence):
            step.ended_at = max(step.started_at, folio.now)
            step.error_type = failure.type if failure else None
            folio.note_step(execution, step)
            if sampled:
                folio.emit(spans.step_span(execution, attempt, step), step)
        execution.open_steps = 0
    if sampled:
        folio.emit(spans.attempt_span(execution, attempt, folio.now, failure), attempt)
