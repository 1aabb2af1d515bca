"""From rows to span facts: pure, so that the encoder, `sidecar trace` and repairs say the same."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sidecar.conventions import names
from sidecar.conventions.trace_context import parse
from sidecar.core.facts import Kind, Link, LogFacts, Role, SpanFacts
from sidecar.core.lifecycle import State
from sidecar.core.model import Anchor, Attempt, Attributes, AttributeValue, Execution, Failure, Step
from sidecar.core.style import TerminalSpan

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        (names.SCHEDULED_FOR, None if c.scheduled_for is None else _instant(c.scheduled_for)),
        (names.EXTERNAL_ID, c.external_id),
        (names.PARENT_EXECUTION_ID, c.parent_execution_id),
        (names.ROOT_EXECUTION_ID, None if c.root_execution_id == c.execution_id else c.root_execution_id),
        (names.FALLBACK, True if c.fallback else None),
    ]
    return _present(pairs)


def _instant(at: int) -> str:
    """Return a time as RFC 3339 text in UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=at // 1_000)).isoformat()


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
        links=_caller_link(anchor),
    )


def _caller_link(anchor: Anchor) -> tuple[Link, ...]:
    """Return the link to a caller whose trace is not continued."""
    remote = parse(anchor.link) if anchor.link is not None else None
    if remote is None:
        return ()
    parent = remote.parent
    kind = ((names.LINK_KIND, "caller"),)
    return (Link(parent.trace_id, parent.span_id, parent.flags, remote.tracestate, kind),)


def start_span(execution: Execution, attempt: Attempt) -> SpanFacts:
    """Return the short span that the worker's own spans hang under while the attempt goes on."""
    return _span(
        execution,
        role=Role.START,
        name=f"start {execution.correlation.workflow_id}",
        kind=Kind.INTERNAL,
        span_id=attempt.live_span_id or attempt.span_id,
        parent=execution.anchor.send_span_id,
        start_at=attempt.started_at,
        end_at=attempt.started_at,
        attributes=(*correlation_attributes(execution), *_attempt_numbers(attempt)),
        resource_id=attempt.resource_id,
    )


def _attempt_numbers(attempt: Attempt) -> Attributes:
    return (names.SEGMENT_INDEX, attempt.segment_index), (names.ATTEMPT_NUMBER, attempt.number)


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
        *_attempt_numbers(attempt),
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
        *_attempt_numbers(attempt),
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
    ended_at = record.finalized_at if record else None
    is_summary = execution.terms.style.terminal_span is TerminalSpan.SUMMARY
    return _span(
        execution,
        role=Role.TERMINAL,
        name=f"execution {execution.correlation.workflow_id}",
        kind=Kind.INTERNAL,
        span_id=execution.anchor.terminal_span_id,
        parent=execution.anchor.send_span_id,
        start_at=ended_at if is_summary and ended_at is not None else execution.accepted_at,
        end_at=ended_at,
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
        if attempt.live_span_id is not None:
            yield start_span(execution, attempt)
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
