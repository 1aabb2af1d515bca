"""The facts of a span or log record, free of any vendor's types: what an encoder turns into bytes."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.model import Attempt, Attributes, Execution, Step


class Kind(StrEnum):
    """OpenTelemetry's span kinds that the product uses."""

    INTERNAL = "INTERNAL"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Role(StrEnum):
    """Which record of the row model a span or log belongs to."""

    SEND = "send"
    START = "start"
    ATTEMPT = "attempt"
    STEP = "step"
    TERMINAL = "terminal"
    SETTLEMENT_LOG = "settlement_log"


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another span of the same trace; attributes say why."""

    trace_id: str
    span_id: str
    flags: int = 0
    tracestate: str = ""
    attributes: Attributes = ()


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """Everything that an OTLP span says. `resource_id` None means the sidecar's own resource.

    Source: OpenTelemetry protocol, `opentelemetry/proto/trace/v1/trace.proto`.
    """

    role: Role
    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_span_id: str | None
    flags: int
    tracestate: str
    start_at: int
    end_at: int | None
    attributes: Attributes
    links: tuple[Link, ...] = ()
    error_type: str | None = None
    error_message: str = ""
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The settlement as a log record: same attributes, trace and span ids as the terminal span."""

    event_name: str
    severity: str
    body: str
    at: int
    trace_id: str
    span_id: str
    flags: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Emission:
    """Facts to be committed with a transition, and the record that keeps the id of their outbox row."""

    facts: SpanFacts | LogFacts
    owner: Execution | Attempt | Step

    @property
    def role(self) -> Role:
        """Which record of the row model this belongs to."""
        return self.facts.role if isinstance(self.facts, SpanFacts) else Role.SETTLEMENT_LOG

    def receipt(self, outbox_id: int) -> None:
        """Note on the owning record which outbox row holds these facts; a `start` span needs no note."""
        if self.role is Role.START:
            return
        if not isinstance(self.owner, Execution):
            self.owner.outbox_id = outbox_id
        elif self.role is Role.SEND:
            self.owner.send_outbox_id = outbox_id
        else:
            self.owner.terminal_outbox_id = outbox_id
