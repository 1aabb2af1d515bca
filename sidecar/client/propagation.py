"""The OpenTelemetry context of callers and handlers: taken up by itself, handed on verbatim."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from opentelemetry import baggage, context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from sidecar.conventions import baggage as w3c_baggage
from sidecar.conventions import trace_context as w3c
from sidecar.v1 import execution_pb2 as pb

_BAGGAGE_OCTETS: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"
_MEMBER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[^,]*")
_DELIVERED: Final = context.create_key("sidecar-delivered-carrier")


@dataclass(frozen=True, slots=True)
class _Delivered:
    """The texts that a lease brought and what they were read as: unchanged ones go on as they came."""

    trace_id: int
    tracestate: str
    members: TraceState
    baggage: str
    entries: Mapping[str, object]


def carrier_of(ctx: context.Context | None = None) -> pb.Carrier | None:
    """Return the headers of a context, the current one by default; None when it holds nothing."""
    span = trace.get_current_span(ctx).get_span_context()
    brought = context.get_value(_DELIVERED, ctx)
    delivered = brought if isinstance(brought, _Delivered) else None
    carrier = pb.Carrier(baggage=_baggage(baggage.get_all(ctx), delivered))
    if span.is_valid:
        carrier.traceparent = w3c.format_traceparent(
            trace.format_trace_id(span.trace_id), trace.format_span_id(span.span_id), span.trace_flags
        )
        carrier.tracestate = _tracestate(span, delivered)
    return carrier if carrier.traceparent or carrier.baggage else None


def context_of(carrier: pb.Carrier) -> context.Context:
    """Return a new context with the carrier's span as remote parent, its baggage, and nothing else."""
    parent = w3c.parse_traceparent([carrier.traceparent])
    members = TraceState(w3c.parse_tracestate([carrier.tracestate]))
    entries = dict(_entries(carrier.baggage))
    trace_id = int(parent.trace_id, 16) if parent else 0
    delivered = _Delivered(trace_id, carrier.tracestate, members, carrier.baggage, entries)
    ctx = context.set_value(_DELIVERED, delivered, context.Context())
    for key, value in entries.items():
        ctx = baggage.set_baggage(key, value, ctx)
    if parent is None:
        return ctx
    span = remote(trace_id, int(parent.span_id, 16), parent.flags, members)
    return trace.set_span_in_context(span, ctx)


def remote(trace_id: int, span_id: int, flags: int, members: TraceState) -> NonRecordingSpan:
    """Return the stand-in of a span that the sidecar records."""
    return NonRecordingSpan(SpanContext(trace_id, span_id, True, TraceFlags(flags), members))


def _tracestate(span: SpanContext, delivered: _Delivered | None) -> str:
    same = delivered is not None and delivered.trace_id == span.trace_id
    if delivered is not None and same and span.trace_state == delivered.members:
        return delivered.tracestate
    return span.trace_state.to_header()


def _baggage(entries: Mapping[str, object], delivered: _Delivered | None) -> str:
    if delivered is not None and dict(entries) == delivered.entries:
        return delivered.baggage
    members = (f"{key}={quote(str(value), safe=_BAGGAGE_OCTETS)}" for key, value in entries.items())
    return w3c_baggage.combine([member for member in members if _MEMBER.fullmatch(member)])


def _entries(header: str) -> list[tuple[str, str]]:
    """Return keys and decoded values; properties stay in the text that is handed on."""
    pairs = (member.partition(";")[0].partition("=") for member in header.split(","))
    return [(key.strip(), unquote(value.strip())) for key, mark, value in pairs if mark and key.strip()]
