"""Facts of spans and log records for the tests of this room."""

from sidecar.core.facts import Kind, Link, LogFacts, Role, SpanFacts
from sidecar.core.model import Attributes, Resource

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = "1111111111111111"
T0 = 1_790_000_000_000_000_000

OWN: Attributes = (("service.name", "sidecar"), ("service.version", "1"))
WORKER = Resource(
    "w1",
    (("service.name", "billing"), ("process.pid", 7), ("secret.key", "no"), ("k8s.pod.name", "p")),
    "python",
)
ATTRIBUTES: Attributes = (
    ("sidecar.execution.id", "e-1"),
    ("sidecar.terminal", True),
    ("sidecar.attempts", 3),
    ("negative", -5),
    ("sidecar.duration.queued", 0.25),
    ("tags", ("a", "b")),
    ("empty", ""),
    ("umlaut", "\u00e4\U0001f600"),
)


def span(
    *,
    role: Role = Role.TERMINAL,
    name: str = "execution nightly",
    kind: Kind = Kind.INTERNAL,
    span_id: str = SPAN,
    parent: str | None = PARENT,
    attributes: Attributes = ATTRIBUTES,
    links: tuple[Link, ...] = (),
    error_type: str | None = None,
    resource_id: str | None = None,
    end_at: int | None = T0 + 5,
) -> SpanFacts:
    return SpanFacts(
        role=role,
        name=name,
        kind=kind,
        trace_id=TRACE,
        span_id=span_id,
        parent_span_id=parent,
        flags=3,
        tracestate="a=1,1b@c=2",
        start_at=T0,
        end_at=end_at,
        attributes=attributes,
        links=links,
        error_type=error_type,
        error_message="it broke" if error_type else "",
        resource_id=resource_id,
    )


def log(attributes: Attributes = ATTRIBUTES) -> LogFacts:
    return LogFacts(
        event_name="sidecar.execution.settled",
        severity="ERROR",
        body="execution e-1 failed",
        at=T0,
        trace_id=TRACE,
        span_id=SPAN,
        flags=2,
        attributes=attributes,
    )
