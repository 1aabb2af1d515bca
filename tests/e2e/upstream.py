"""Another service with an OpenTelemetry SDK of its own, which the worker calls: one server span a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, Tracer

from tests.services.loopback import HOST, address


@dataclass(frozen=True)
class Upstream:
    """Where it listens, and the `traceparent` that came with each path."""

    address: str
    arrived: dict[str, str]


@contextmanager
def tracing(service: str, collector: str, *, sampled: bool = True) -> Iterator[Tracer]:
    """Yield the tracer of a service that sends to a collector; it samples as its callers do, else as told."""
    sampler = ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF)
    provider = TracerProvider(resource=Resource.create({"service.name": service}), sampler=sampler)
    exporter = OTLPSpanExporter(endpoint=f"http://{collector}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        yield provider.get_tracer(service)
    finally:
        provider.shutdown()


@contextmanager
def serving(tracer: Tracer) -> Iterator[Upstream]:
    """Yield the service while it listens."""
    arrived: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parent = propagate.extract(dict(self.headers.items()))
            with tracer.start_as_current_span(f"serve {self.path}", context=parent, kind=SpanKind.SERVER):
                arrived[self.path] = self.headers.get("traceparent", "")
                self.send_response(204)
                self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Upstream(address(server.server_port), arrived)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
