"""What operators read: the spans of an execution and the account of all of them, as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sidecar.client.records import instant, word
from sidecar.v1 import admin_service_pb2 as admin


@dataclass(frozen=True, slots=True)
class Span:
    """One span as the rows tell it; `end` is None while it is open, `delivery` says where its bytes are."""

    name: str
    kind: str
    span_id: str
    parent_span_id: str
    start: datetime | None
    end: datetime | None
    attributes: Mapping[str, str]
    links: tuple[tuple[str, str], ...]
    error_type: str
    error_message: str
    delivery: str
    service: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Every span of an execution."""

    trace_id: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the terminal spans: the sum of the rest is `terminal`."""

    terminal: int
    delivered: int
    pending: int
    rejected: int
    dead_lettered: int
    dropped: int
    unsampled: int
    disabled: int


@dataclass(frozen=True, slots=True)
class Violation:
    """One execution that breaks an invariant."""

    namespace: str
    execution_id: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The account, the executions by state, and what is wrong."""

    account: Account
    states: Mapping[str, int]
    violations: tuple[Violation, ...]


def trace(message: admin.GetTraceResponse) -> Trace:
    """Return the trace of an answer."""
    return Trace(message.trace_id, tuple(_span(each) for each in message.spans))


def verification(message: admin.VerifyResponse) -> Verification:
    """Return the verification of an answer."""
    account = message.account
    return Verification(
        Account(
            terminal=account.terminal,
            delivered=account.delivered,
            pending=account.pending,
            rejected=account.rejected,
            dead_lettered=account.dead_lettered,
            dropped=account.dropped,
            unsampled=account.unsampled,
            disabled=account.disabled,
        ),
        {name.lower(): count for name, count in message.states.items()},
        tuple(Violation(v.namespace, v.execution_id, v.kind, v.message) for v in message.violations),
    )


def _span(message: admin.Span) -> Span:
    return Span(
        name=message.name,
        kind=message.kind,
        span_id=message.span_id,
        parent_span_id=message.parent_span_id,
        start=instant(message, "start_time"),
        end=instant(message, "end_time"),
        attributes=dict(message.attributes),
        links=tuple((link.trace_id, link.span_id) for link in message.links),
        error_type=message.error_type,
        error_message=message.error_message,
        delivery=word(admin.SpanDelivery, message.delivery, "SPAN_DELIVERY_"),
        service=message.service,
    )
