"""Reads spans out of OTLP requests as the bytes they came in, without encoding anything again."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

DELIMITED = 2
RESOURCE_SPANS, RESOURCE, SCOPE_SPANS, SCOPE, SPANS = 1, 1, 2, 1, 2


@dataclass(frozen=True)
class SpanCopy:
    """One span as it arrived, with the bytes of the resource and the scope it arrived under."""

    raw: bytes
    resource_raw: bytes
    scope_raw: bytes

    @cached_property
    def span(self) -> Span:
        return Span.FromString(self.raw)

    @cached_property
    def resource(self) -> Resource:
        return Resource.FromString(self.resource_raw)

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def attributes(self) -> dict[str, object]:
        return {pair.key: plain(pair.value) for pair in self.span.attributes}

    @property
    def resource_attributes(self) -> dict[str, object]:
        return {pair.key: plain(pair.value) for pair in self.resource.attributes}


def plain(value: AnyValue) -> object:
    """The Python value of an OTLP attribute value."""
    match value.WhichOneof("value"):
        case "array_value":
            return [plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
        case None:
            return None
        case kind:
            scalar: object = getattr(value, kind)
            return scalar


def spans_in(request: bytes) -> Iterator[SpanCopy]:
    """The spans of a serialized ExportTraceServiceRequest, in the order of their bytes."""
    for under_resource in _fields(request, RESOURCE_SPANS):
        resource = b"".join(_fields(under_resource, RESOURCE))
        for under_scope in _fields(under_resource, SCOPE_SPANS):
            scope = b"".join(_fields(under_scope, SCOPE))
            for raw in _fields(under_scope, SPANS):
                yield SpanCopy(raw, resource, scope)


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """The length-delimited fields of one number, as their bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        start, at = _extent(message, at, kind)
        if number == wanted and kind == DELIMITED:
            yield message[start:at]


def _extent(message: bytes, at: int, kind: int) -> tuple[int, int]:
    """Where the content of a field starts and ends."""
    match kind:
        case 0:
            return at, _varint(message, at)[1]
        case 1:
            return at, at + 8
        case 2:
            length, start = _varint(message, at)
            return start, start + length
        case 5:
            return at, at + 4
    raise ValueError(f"not protobuf: wire type {kind} at byte {at}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
