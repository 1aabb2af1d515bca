"""The OpenTelemetry context of callers and handlers: taken up by itself, handed on verbatim."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from opentelemetry import baggage, context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from sidecar.client.tracestate import Level2TraceState
from sidecar.conventions import baggage as w3c_baggage
from sidecar.conventions import trace_context as w3c
from sidecar.conventions.carrier import BAGGAGE, TRACEPARENT, TRACESTATE
from sidecar.v1 import execution_pb2 as pb

_BAGGAGE_OCTETS: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"
_MEMBER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[^,]*")
_DELIVERED: Final = context.create_key("sidecar-delivered-carrier")


@dataclass(frozen=True, slots=True, eq=False)
class _Delivered:
    """What a lease brought: what is unchanged goes on as it came. One for each run, which it tells apart."""

    trace_id: int
    tracestate: Level2TraceState
    baggage: str
    entries: Mapping[str, object]


def headers_of(ctx: context.Context | None = None) -> dict[str, str]:
    """Return the headers of a context, the current one by default, without those that it has nothing for."""
    carrier = carrier_of(ctx) or pb.Carrier()
    texts = ((TRACEPARENT, carrier.traceparent), (TRACESTATE, carrier.tracestate), (BAGGAGE, carrier.baggage))
    return {name: text for name, text in texts if text}


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
    members = Level2TraceState.read(carrier.tracestate)
    entries = dict(_pairs(carrier.baggage))
    trace_id = int(parent.trace_id, 16) if parent else 0
    delivered = _Delivered(trace_id, members, carrier.baggage, entries)
    ctx = context.set_value(_DELIVERED, delivered, context.Context())
    for key, value in entries.items():
        ctx = baggage.set_baggage(key, value, ctx)
    if parent is None:
        return ctx
    span = SpanContext(trace_id, int(parent.span_id, 16), True, TraceFlags(parent.flags), members)
    return trace.set_span_in_context(NonRecordingSpan(span), ctx)


def here(run: context.Context) -> context.Context:
    """Return where the current code stands in a run, whose own context is given.

    That is the current context if the run's was handed down to it (a thread pool does not), under the
    current span if that is of the run's trace.
    """
    now = context.get_current()
    handed_down = context.get_value(_DELIVERED, now) is context.get_value(_DELIVERED, run)
    span, first = trace.get_current_span(now), trace.get_current_span(run)
    home = first.get_span_context()
    if home.is_valid and span.get_span_context().trace_id != home.trace_id:
        span = first
    return trace.set_span_in_context(span, now if handed_down else run)


def sibling(run: context.Context, span_id: bytes) -> NonRecordingSpan | None:
    """Return the stand-in of a span that the sidecar records in a run's trace; None if there is no trace.

    Flags and tracestate are the run's, as the decision to record it was, whatever span is current.
    """
    first = trace.get_current_span(run).get_span_context()
    if not first.is_valid:
        return None
    number = int.from_bytes(span_id, "big")
    return NonRecordingSpan(SpanContext(first.trace_id, number, True, first.trace_flags, first.trace_state))


def _tracestate(span: SpanContext, delivered: _Delivered | None) -> str:
    """Return the header; what a sampler of the user lost, that makes its own of level 1, is put back."""
    state = span.trace_state
    if delivered is None or delivered.trace_id != span.trace_id or isinstance(state, Level2TraceState):
        return state.to_header()
    return Level2TraceState(list(state.items())).completed_by(delivered.tracestate).to_header()


def _baggage(entries: Mapping[str, object], delivered: _Delivered | None) -> str:
    """Return the header: members as they came, properties included, but for those changed since."""
    text, former = (delivered.baggage, delivered.entries) if delivered else ("", {})
    if dict(entries) == former:
        return text
    changed = {key for key in {*former, *entries} if key not in former or entries.get(key) != former[key]}
    kept = ",".join(member for member in text.split(",") if _key(member) not in changed)
    made = (f"{key}={_value(value)}" for key, value in entries.items() if key in changed)
    return w3c_baggage.combine([kept, *(member for member in made if _MEMBER.fullmatch(member))])


def _value(value: object) -> str:
    return quote(str(value), safe=_BAGGAGE_OCTETS, errors="replace")


def _key(member: str) -> str:
    return member.partition(";")[0].partition("=")[0].strip()


def _pairs(header: str) -> Iterator[tuple[str, str]]:
    """Yield keys and decoded values; properties stay in the text that is handed on."""
    for member in header.split(","):
        key, mark, value = member.partition(";")[0].partition("=")
        if mark and key.strip():
            yield key.strip(), unquote(value.strip())
