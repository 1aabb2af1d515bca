"""From the model to rows: positional, in the order of the column groups."""

from typing import Any

from sidecar.core.folio import IdempotencyKey
from sidecar.core.lifecycle import State
from sidecar.core.model import (
    Attempt,
    CancelRequest,
    Event,
    Execution,
    Failure,
    Key,
    Marker,
    Resource,
    Step,
    TerminalRecord,
)
from sidecar.store.executions import LEASED, OUTCOME
from sidecar.store.texts import (
    attributes_text,
    link_text,
    microseconds,
    retry_text,
    storable,
    style_text,
)

Values = tuple[Any, ...]

_NO_ATTEMPT: Values = (None,) * len(LEASED)
_NO_OUTCOME: Values = (None,) * len(OUTCOME)


def is_fresh(execution: Execution) -> bool:
    """Return whether nothing has happened yet to a new execution: most of its columns are empty."""
    return execution.state is State.QUEUED and execution.fence == 0 and execution.cancel is None


def accepted(execution: Execution) -> Values:
    """Return the row of a fresh execution, without what is the same for all of them."""
    return (
        *_identity(execution),
        *(execution.run_at, execution.state_since, execution.version, execution.due_at),
        execution.terms.payload,
    )


def inserted(execution: Execution) -> Values:
    """Return a whole new row."""
    return (
        *_identity(execution),
        *progress(execution),
        *outcome(execution),
        execution.terms.payload,
    )


def _identity(execution: Execution) -> Values:
    c, anchor, terms = execution.correlation, execution.anchor, execution.terms
    return (
        *(c.namespace, c.execution_id, c.request_id, c.workflow_id, c.root_execution_id),
        *(c.parent_execution_id, c.source.value, c.trigger_type, c.webhook_id, c.path, c.provider),
        *(c.schedule_id, c.scheduled_for, c.external_id, c.fallback or None),
        *(anchor.trace_id, anchor.send_span_id, anchor.terminal_span_id, anchor.parent_span_id),
        *(anchor.flags, anchor.tracestate, anchor.baggage, anchor.recording.value),
        *(attributes_text(anchor.sampler_attributes), link_text(anchor.link)),
        *(terms.queue, terms.content_type, terms.fingerprint, retry_text(terms.retry)),
        *(microseconds(terms.attempt_timeout), terms.queue_deadline_at, terms.deadline_at),
        *(terms.idempotency_key, terms.retry_of, terms.dispatch.value),
        *(terms.concurrency_key, style_text(terms.style)),
        *(execution.accepted_at, execution.sent_at, execution.send_outbox_id),
    )


def progress(execution: Execution) -> Values:
    """Return what changes while an execution goes on."""
    timings = execution.timings
    return (
        *(execution.run_at, execution.state.value, execution.state_since, execution.version),
        *(execution.segment_index, execution.attempts, execution.deliveries_lost, execution.fence),
        *(_NO_ATTEMPT if execution.attempt is None else _leased(execution.attempt)),
        *(execution.lease_expires_at, execution.due_at, execution.started_at),
        *(execution.start_resource_id, execution.start_minimal, execution.last_span_id),
        *_cancel(execution.cancel),
        *_marker(execution.last_started),
        *_marker(execution.last_completed),
        *(execution.open_steps, execution.steps),
        *(timings.queued_ns, timings.running_ns, timings.paused_ns, timings.retry_wait_ns),
    )


def _leased(attempt: Attempt) -> Values:
    return (
        *(attempt.number, attempt.segment_index, attempt.fence, attempt.token, attempt.span_id),
        *(attempt.worker_id, attempt.resource_id, attempt.started_at, attempt.deadline_at),
        *(attempt.former_span_id, attempt.live_span_id, attempt.outbox_id),
    )


def _cancel(cancel: CancelRequest | None) -> Values:
    if cancel is None:
        return None, None, None
    return cancel.requested_at, cancel.grace_until, storable(cancel.reason)


def _marker(marker: Marker | None) -> Values:
    return (None, None) if marker is None else (storable(marker.name), marker.at)


def outcome(execution: Execution) -> Values:
    """Return the terminal record, empty while there is none."""
    record = execution.terminal
    return _NO_OUTCOME if record is None else _outcome(record, execution.terminal_outbox_id)


def _outcome(record: TerminalRecord, outbox_id: int | None) -> Values:
    return (
        *(record.finalized_at, record.path.value, record.output_content_type, record.output_missing),
        *_failure(record.failure),
        None if record.minimal is None else storable(record.minimal),
        *(record.digest, outbox_id, record.output),
    )


def _failure(failure: Failure | None) -> Values:
    if failure is None:
        return None, None, None
    return storable(failure.type), storable(failure.message), storable(failure.stack)


def guard(key: Key, version: int, state: str, fence: int) -> Values:
    """Return what the row must still be for an update to count."""
    return *key, version, state, fence


def attempt_values(key: Key, attempt: Attempt) -> Values:
    """Return the row of an attempt that ended."""
    return (
        *key,
        *_leased(attempt)[:-1],
        attempt.ended_at,
        *_failure(attempt.failure),
        *(attempt.digest, attempt.outbox_id),
    )


def step_values(key: Key, step: Step) -> Values:
    """Return the row of a new step."""
    return (
        *(*key, step.fence, step.sequence, storable(step.name), step.span_id, step.parent_span_id),
        step.started_at,
        *_step_end(step),
    )


def _step_end(step: Step) -> Values:
    return step.ended_at, None if step.error_type is None else storable(step.error_type), step.outbox_id


def step_end_values(key: Key, step: Step) -> Values:
    """Return the end of a step and which one it is."""
    return *_step_end(step), *key, step.fence, step.sequence


def key_values(record: IdempotencyKey, former: str) -> Values:
    """Return the row of an idempotency key, and whom it stood for before."""
    return record.namespace, record.key, record.execution_id, record.fingerprint, record.expires_at, former


def event_values(event: Event) -> Values:
    """Return the row of an event."""
    return *event.key, event.kind, event.at, attributes_text(event.detail) or "[]"


def resource_values(resource: Resource) -> Values:
    """Return the row of a resource."""
    return resource.resource_id, attributes_text(resource.attributes) or "[]", storable(resource.sdk)
