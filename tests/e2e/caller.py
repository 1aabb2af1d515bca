"""A caller with an OpenTelemetry SDK of its own: enqueues within a span, waits, and prints ids."""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from sidecar.client import SyncClient


def main() -> None:
    """Enqueue the workflow named on the command line with the payload beside it."""
    target, collector, sampled, payload = sys.argv[1:]
    sampler = ALWAYS_ON if sampled == "sampled" else ALWAYS_OFF
    provider = TracerProvider(resource=Resource.create({"service.name": "caller"}), sampler=sampler)
    exporter = OTLPSpanExporter(endpoint=f"http://{collector}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with SyncClient(target) as client, trace.get_tracer("caller").start_as_current_span("ask") as span:
        handle = client.enqueue("measure", json.loads(payload), request_id="req-" + span_id(span))
        ids = {"execution_id": handle.execution_id, "request_id": handle.request_id}
        sys.stdout.write(json.dumps({**ids, "trace_id": handle.trace_id, "span_id": span_id(span)}) + "\n")
    provider.shutdown()


def span_id(span: trace.Span) -> str:
    """Return the id as hex."""
    return f"{span.get_span_context().span_id:016x}"


if __name__ == "__main__":
    main()
