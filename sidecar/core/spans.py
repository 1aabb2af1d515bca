"""From rows to span facts: pure, so that the encoder, `sidecar trace` and repairs say the same."""

from collections.abc import Iterator, Sequence

from sidecar.conventions import names
from sidecar.core.facts import Kind, Link, LogFacts, Role, SpanFacts
from sidecar.core.lifecycle import State
from sidecar.core.model import Attempt, Attributes, AttributeValue, Execution, Failure, Step

_SECOND = 1_000_000_000


def correlation_attributes(execution: Execution) -> Attributes:
    """Return what every span, log record and event of an execution carries."""
    c = execution.correlation
    pairs: list[tuple[str, AttributeValue | None]] = [
        (names.EXECUTION_ID, c.execution_id),
        (names.REQUEST_ID, c.request_id),
        (names.WORKFLOW_ID, c.workflow_id),
        (names.SOURCE, c.source.value),
        (names.TRIGGER_TYPE, c.trigger_type),
        (names.NAMESPACE, c.namespace),
        (names.WEBHOOK_ID, c.webhook_id),
        (names.WEBHOOK_PROVIDER, c.provider),
        (names.SCHEDULE_ID, c.schedule_id),
        (names.SCHEDULED_FOR, c.scheduled_for),
    ]
    return _present(pairs)


def send_span(execution: Execution) -> SpanFacts:
    """Return the anchor: the creation context, parented on the caller's own span."""
    anchor = execution.anchor
    return _span(
        execution,
        role=Role.SEND,
        name=f"send {execution.terms.queue}",
        kind=Kind.PRODUCER,
        span_id=anchor.send_span_id,
        parent=anchor.parent_span_id,
        start_at=execution.accepted_at,
        end_at=execution.sent_at,
        attributes=(
            *correlation_attributes(execution),
            *_messaging(execution, "send"),
            *anchor.sampler_attributes,
        ),
    )


def attempt_span(
    execution: Execution, attempt: Attempt, ended_at: int | None, failure: Failure | None
) -> SpanFacts:
    """Return the `process` span of one delivery, linked to `send` and to the former attempt."""
    anchor = execution.anchor
    links = [_link(execution, anchor.send_span_id, "creation")]
    if attempt.former_span_id is not None:
        links.append(_link(execution, attempt.former_span_id, "former_attempt"))
    attributes = (
        *correlation_attributes(execution),
        *_messaging(execution, "process"),
        (names.MESSAGING_CONSUMER_GROUP, execution.terms.queue),
        (names.MESSAGING_CLIENT_ID, attempt.worker_id),
        (names.SEGMENT_INDEX, attempt.segment_index),
        (names.ATTEMPT_NUMBER, attempt.number),
    )
    return _span(
        execution,
        role=Role.ATTEMPT,
        name=f"process {execution.terms.queue}",
        kind=Kind.CONSUMER,
        span_id=attempt.span_id,
        parent=anchor.send_span_id,
        start_at=attempt.started_at,
        end_at=ended_at,
        attributes=attributes,
        links=tuple(links),
        failure=failure,
        resource_id=attempt.resource_id,
    )


def step_span(execution: Execution, attempt: Attempt, step: Step) -> SpanFacts:
    """Return the span of a reported step, under its attempt or its enclosing step."""
    attributes = (
        *correlation_attributes(execution),
        (names.SEGMENT_INDEX, attempt.segment_index),
        (names.ATTEMPT_NUMBER, attempt.number),
        (names.STEP_NAME, step.name),
    )
    return _span(
        execution,
        role=Role.STEP,
        name=step.name,
        kind=Kind.INTERNAL,
        span_id=step.span_id,
        parent=step.parent_span_id or attempt.span_id,
        start_at=step.started_at,
        end_at=step.ended_at,
        attributes=attributes,
        failure=Failure(step.error_type) if step.error_type else None,
        resource_id=attempt.resource_id,
    )


def terminal_span(execution: Execution) -> SpanFacts:
    """Return the terminal span: accept to outcome. Only the finalizer has it committed."""
    record = execution.terminal
    cancelled = execution.state is State.CANCELLED
    return _span(
        execution,
        role=Role.TERMINAL,
        name=f"execution {execution.correlation.workflow_id}",
        kind=Kind.INTERNAL,
        span_id=execution.anchor.terminal_span_id,
        parent=execution.anchor.send_span_id,
        start_at=execution.accepted_at,
        end_at=record.finalized_at if record else None,
        attributes=_terminal_attributes(execution),
        failure=record.failure if record and not cancelled else None,
    )


def settlement_log(execution: Execution) -> LogFacts:
    """Return the settlement as a log record, for executions whose spans are not written."""
    record = execution.terminal
    failure = record.failure if record else None
    attributes = _terminal_attributes(execution)
    if failure is not None:
        attributes = (*attributes, (names.ERROR_TYPE, failure.type))
    return LogFacts(
        event_name=names.SETTLED_EVENT,
        severity="ERROR" if execution.state is State.FAILED else "INFO",
        body=f"execution {execution.correlation.execution_id} {execution.state.lower()}",
        at=record.finalized_at if record else execution.accepted_at,
        trace_id=execution.anchor.trace_id,
        span_id=execution.anchor.terminal_span_id,
        flags=execution.anchor.flags,
        attributes=attributes,
    )


def tree(execution: Execution, ended: Sequence[Attempt], steps: Sequence[Step]) -> Iterator[SpanFacts]:
    """Yield every span of an execution, rebuilt from its rows; open ones have no end."""
    yield send_span(execution)
    attempts = {a.fence: a for a in ended}
    if execution.attempt is not None:
        attempts[execution.attempt.fence] = execution.attempt
    for attempt in sorted(attempts.values(), key=lambda a: a.fence):
        yield _attempt_as_recorded(execution, attempt)
        mine = [s for s in steps if s.fence == attempt.fence]
        yield from (step_span(execution, attempt, s) for s in sorted(mine, key=lambda s: s.sequence))
    yield terminal_span(execution)


def _attempt_as_recorded(execution: Execution, attempt: Attempt) -> SpanFacts:
    record = execution.terminal
    if attempt.ended_at is None and record is not None:
        failed = record.failure if execution.state is State.FAILED else None
        return attempt_span(execution, attempt, record.finalized_at, failed)
    return attempt_span(execution, attempt, attempt.ended_at, attempt.failure)


def _terminal_attributes(execution: Execution) -> Attributes:
    record, timings = execution.terminal, execution.timings
    pairs: list[tuple[str, AttributeValue | None]] = [
        (names.TERMINAL, True),
        (names.OUTCOME, execution.state.lower()),
        (names.ATTEMPTS, execution.attempts),
        (names.DURATION_QUEUED, timings.queued_ns / _SECOND),
        (names.DURATION_RUNNING, timings.running_ns / _SECOND),
        (names.DURATION_PAUSED, timings.paused_ns / _SECOND),
        (names.DURATION_RETRY_WAIT, timings.retry_wait_ns / _SECOND),
        (names.STEP_LAST_STARTED, execution.last_started.name if execution.last_started else None),
        (names.STEP_LAST_COMPLETED, execution.last_completed.name if execution.last_completed else None),
        (names.FINALIZATION_PATH, record.path.value if record else None),
        (names.FINALIZATION_MINIMAL, True if record and record.minimal else None),
        (names.CANCEL_REQUESTED, True if execution.cancel else None),
    ]
    return (*correlation_attributes(execution), *_present(pairs))


def _messaging(execution: Execution, operation: str) -> Attributes:
    c = execution.correlation
    return (
        (names.MESSAGING_SYSTEM, names.SYSTEM),
        (names.MESSAGING_OPERATION_NAME, operation),
        (names.MESSAGING_OPERATION_TYPE, operation),
        (names.MESSAGING_DESTINATION, execution.terms.queue),
        (names.MESSAGING_MESSAGE_ID, c.execution_id),
        (names.MESSAGING_CONVERSATION_ID, c.request_id),
    )


def _present(pairs: Sequence[tuple[str, AttributeValue | None]]) -> Attributes:
    return tuple((name, value) for name, value in pairs if value is not None)


def _link(execution: Execution, span_id: str, kind: str) -> Link:
    anchor = execution.anchor
    return Link(anchor.trace_id, span_id, anchor.flags, anchor.tracestate, ((names.LINK_KIND, kind),))


def _span(
    execution: Execution,
    *,
    role: Role,
    name: str,
    kind: Kind,
    span_id: str,
    parent: str | None,
    start_at: int,
    end_at: int | None,
    attributes: Attributes,
    links: tuple[Link, ...] = (),
    failure: Failure | None = None,
    resource_id: str | None = None,
) -> SpanFacts:
    if failure is not None:
        attributes = (*attributes, (names.ERROR_TYPE, failure.type))
    return SpanFacts(
        role=role,
        name=name,
        kind=kind,
        trace_id=execution.anchor.trace_id,
        span_id=span_id,
        parent_span_id=parent,
        flags=execution.anchor.flags,
        tracestate=execution.anchor.tracestate,
        start_at=start_at,
        end_at=None if end_at is None else max(start_at, end_at),
        attributes=attributes,
        links=links,
        error_type=failure.type if failure else None,
        error_message=failure.message if failure else "",
        resource_id=resource_id,
    )
