"""OpenTelemetry for the demo's own processes: the SDK, and an exporter if a collector listens."""

import os
import socket
from urllib.parse import urlsplit

from opentelemetry import trace

DEFAULT_ENDPOINT = "http://127.0.0.1:4317"


def endpoint() -> str:
    """Return where spans go: as `OTEL_EXPORTER_OTLP_ENDPOINT` says, else this machine."""
    return os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT


def collector_listens() -> bool:
    """Say whether anything accepts connections there."""
    parts = urlsplit(endpoint() if "//" in endpoint() else f"//{endpoint()}")
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 4317), timeout=1):
            return True
    except OSError:
        return False


def set_up(service: str) -> None:
    """Have this process make spans of its own, if the SDK is installed."""
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return
    from sidecar.client import CorrelationSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(CorrelationSpanProcessor())
    if collector_listens():
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint(), insecure=True)))
    trace.set_tracer_provider(provider)


def finish() -> None:
    """Send what is left; a provider without an exporter has nothing."""
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        shutdown()
