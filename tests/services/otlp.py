"""Makes OTLP and sends it as raw bytes, with no SDK between a test and the wire."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
Value: TypeAlias = str | bool | int | float


def make_span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: Span | None = None,
    links: Sequence[Span] = (),
    seconds: float = 0.25,
) -> Span:
    """A span that ends now, in its parent's trace or in one of its own."""
    end = time.time_ns()
    span = Span(name=name, kind=Span.SPAN_KIND_INTERNAL, span_id=os.urandom(8))
    span.trace_id = parent.trace_id if parent else os.urandom(16)
    span.parent_span_id = parent.span_id if parent else b""
    span.start_time_unix_nano, span.end_time_unix_nano = end - round(seconds * 1e9), end
    span.attributes.extend(_pairs(attributes or {}))
    for linked in links:
        span.links.add(trace_id=linked.trace_id, span_id=linked.span_id)
    return span


def request_of(spans: Sequence[Span], *, service: str = "sidecar") -> bytes:
    """One serialized request with all the spans under one resource."""
    request = ExportTraceServiceRequest()
    under_resource = request.resource_spans.add()
    under_resource.resource.attributes.extend(_pairs({"service.name": service}))
    under_resource.scope_spans.add(spans=spans).scope.name = "tests"
    return request.SerializeToString()


def log_request_of(event: str, body: str) -> bytes:
    """One serialized request with one log record."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(event_name=event)
    record.body.string_value = body
    record.time_unix_nano = time.time_ns()
    return request.SerializeToString()


def gauge_request_of(name: str, value: float) -> bytes:
    """One serialized request with one data point of one gauge."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.gauge.data_points.add(as_double=value, time_unix_nano=time.time_ns())
    return request.SerializeToString()


def send(
    endpoint: str, request: bytes, method: str = TRACES, *, timeout: float = 10.0
) -> ExportTraceServiceResponse:
    """Send the bytes as they are, on a connection of their own; raises grpc.RpcError."""
    with grpc.insecure_channel(endpoint) as channel:
        return exporter(channel, method)(request, timeout=timeout)


def exporter(
    channel: grpc.Channel, method: str = TRACES
) -> "grpc.UnaryUnaryMultiCallable[bytes, ExportTraceServiceResponse]":
    """The call that exports raw bytes; the answers of all signals have the same shape."""
    return channel.unary_unary(method, _as_is, ExportTraceServiceResponse.FromString)


def _as_is(request: bytes) -> bytes:
    return request


def _pairs(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
