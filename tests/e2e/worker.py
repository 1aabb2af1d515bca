"""A worker with an OpenTelemetry SDK of its own: steps, spans under them, a gate to hold it at, calls out."""

import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from sidecar.client import CorrelationSpanProcessor, Run, Worker


def main() -> None:
    """Serve `measure` and `relay` until told to stop."""
    target, collector = sys.argv[1:]
    attributes = {"service.name": "worker", "service.version": "7", "deployment.environment.name": "test"}
    provider = TracerProvider(resource=Resource.create(attributes))
    provider.add_span_processor(CorrelationSpanProcessor())
    exporter = OTLPSpanExporter(endpoint=f"http://{collector}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    worker = Worker(target, concurrency=2)
    worker.workflow("measure")(measure)
    worker.workflow("relay")(relay)
    worker.run()


def measure(run: Run, payload: dict[str, str]) -> dict[str, int]:
    """Read, then wait for the gate file, then fail if told to."""
    with run.step("read"), trace.get_tracer("worker").start_as_current_span("read bytes"):
        size = len(payload["text"])
    gate = payload.get("gate")
    while gate and not Path(gate).exists():
        time.sleep(0.02)
    with run.step("measure"):
        if payload.get("fail"):
            raise ValueError(payload["fail"])
    return {"size": size}


def relay(run: Run, payload: dict[str, str]) -> dict[str, int]:
    """Call another service: twice as the step's headers say, once as the SDK's own client span does."""
    for path in ("/first", "/second"):
        with run.step(f"GET {path}") as step:
            get(payload["address"], path, step.headers())
    client_span = trace.get_tracer("worker").start_as_current_span("GET /third", kind=trace.SpanKind.CLIENT)
    with run.step("ask once more"), client_span:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        get(payload["address"], "/third", headers)
    return {"calls": 3}


def get(address: str, path: str, headers: dict[str, str]) -> None:
    """Make one call."""
    connection = HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers=headers)
    connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    main()
