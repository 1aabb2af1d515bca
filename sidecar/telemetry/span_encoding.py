"""One span as OTLP bytes, within limits.

Source: `opentelemetry/proto/trace/v1/trace.proto`.
"""

from hashlib import blake2b

from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

from sidecar.core.facts import Kind, Link, Role, SpanFacts
from sidecar.telemetry.attributes import AttributeWriter, utf8
from sidecar.telemetry.limits import MAX_DESCRIPTION, SpanLimits
from sidecar.telemetry.redaction import redacted

_ATTRIBUTES, _LINK_ATTRIBUTES = 9, 4
_HAS_IS_REMOTE = int(SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
_REMOTE = _HAS_IS_REMOTE | int(SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
_TRACE_FLAGS = int(SpanFlags.SPAN_FLAGS_TRACE_FLAGS_MASK)
_LATEST = 2**64 - 1
_KINDS = {
    Kind.INTERNAL: Span.SPAN_KIND_INTERNAL,
    Kind.PRODUCER: Span.SPAN_KIND_PRODUCER,
    Kind.CONSUMER: Span.SPAN_KIND_CONSUMER,
}
_REMOTE_PARENTS = frozenset({Role.SEND, Role.ATTEMPT})
"""The parent of `send` is the caller's span; that of `process` is ours, seen from the worker."""


class SpanWriter:
    """Turns the facts of a span into the bytes of an OTLP Span."""

    def __init__(self, limits: SpanLimits) -> None:
        self._limits = limits
        self._attributes = AttributeWriter(_ATTRIBUTES, limits.attributes, limits.attribute_length)
        self._link_attributes = AttributeWriter(
            _LINK_ATTRIBUTES, limits.link_attributes, limits.attribute_length
        )

    def write(self, facts: SpanFacts) -> bytes:
        """Return the whole span; what is over a limit is dropped and counted in it."""
        attributes, dropped = self._attributes.write(facts.attributes)
        links = facts.links[: self._limits.links]
        span = _frame(facts)
        span.trace_state = clean(facts.tracestate)
        span.dropped_attributes_count = dropped
        span.dropped_links_count = len(facts.links) - len(links)
        span.links.extend(map(self._link, links))
        return span.SerializeToString(deterministic=True) + attributes

    def write_minimal(self, facts: SpanFacts) -> bytes:
        """Return ids, times, name, status and the mark that the rest had to be left out."""
        attributes, dropped = self._attributes.write_minimal(facts.attributes)
        span = _frame(facts)
        span.dropped_attributes_count = dropped
        span.dropped_links_count = len(facts.links)
        return span.SerializeToString(deterministic=True) + attributes

    def _link(self, link: Link) -> Span.Link:
        attributes, dropped = self._link_attributes.write(link.attributes)
        encoded = Span.Link(
            trace_id=identity(link.trace_id, 16),
            span_id=identity(link.span_id, 8),
            trace_state=clean(link.tracestate),
            dropped_attributes_count=dropped,
            flags=_REMOTE | link.flags & _TRACE_FLAGS,
        )
        encoded.MergeFromString(attributes)
        return encoded


def clean(text: str) -> str:
    """Return text that protobuf takes: the same, but for lone surrogates."""
    return text if text.isascii() else utf8(text).decode()


def identity(text: str, size: int) -> bytes:
    """Return an id's bytes. What is no id of this size is digested to one, so that it stays told apart."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    return raw if len(raw) == size and any(raw) else blake2b(utf8(text), digest_size=size).digest()


def instant(at: int) -> int:
    """Return nanoseconds since the epoch within the range of the protocol."""
    return min(max(at, 0), _LATEST)


def _frame(facts: SpanFacts) -> Span:
    start = instant(facts.start_at)
    remote = facts.parent_span_id and facts.role in _REMOTE_PARENTS
    span = Span(
        trace_id=identity(facts.trace_id, 16),
        span_id=identity(facts.span_id, 8),
        name=clean(facts.name[:MAX_DESCRIPTION]),
        kind=_KINDS[facts.kind],
        start_time_unix_nano=start,
        end_time_unix_nano=max(start, instant(facts.end_at or start)),
        flags=(_REMOTE if remote else _HAS_IS_REMOTE) | facts.flags & _TRACE_FLAGS,
    )
    if facts.parent_span_id:
        span.parent_span_id = identity(facts.parent_span_id, 8)
    if facts.error_type:
        message = clean(redacted(facts.error_message, MAX_DESCRIPTION))
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=message))
    return span
