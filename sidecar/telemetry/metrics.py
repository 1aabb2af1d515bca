"""The product's own metrics, recorded with the OpenTelemetry SDK; what is recorded never fails."""

import threading
from datetime import timedelta

import grpc
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    NoOpMeterProvider,
)
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from sidecar.conventions import names
from sidecar.conventions.metrics import METRICS, Instrument
from sidecar.core.model import Attributes, Execution
from sidecar.core.ports import Clock, Gauges
from sidecar.telemetry.bounded import Bounded
from sidecar.telemetry.destination import Destination
from sidecar.telemetry.guarded import Guarded, guarded
from sidecar.telemetry.levels import Levels
from sidecar.telemetry.otlp_client import credentials
from sidecar.telemetry.resource import product_version
from sidecar.telemetry.settings import TelemetrySettings

_NANOS = 1_000_000_000
_MILLISECOND = timedelta(milliseconds=1)
_LAST_EXPORT_SECONDS = 2.0
_SERVER_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
_OUTCOMES = {
    "delivered": names.OUTBOX_DELIVERED,
    "rejected": names.OUTBOX_REJECTED,
    "dead_lettered": names.OUTBOX_DEAD_LETTERED,
}
"""Those that `core.ports.Meter.exported` may be told."""


class OtlpMeter(Guarded):
    """Implements `core.ports.Meter`; its instruments come from the table of conventions.

    Raises:
        TelemetrySettingError: at once, for a certificate or key that cannot be read.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        resource: Attributes,
        clock: Clock,
        reader: MetricReader | None = None,
    ) -> None:
        """Export as the settings say, or let `reader` collect."""
        super().__init__()
        self._provider = _provider(resource, reader or _reader(settings))
        self._levels = Levels(clock)
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._workflow, self._error_type, self._method = Bounded(), Bounded(), Bounded()
        self._make_instruments()

    @guarded
    def settled(self, execution: Execution) -> None:
        """Count one terminal execution and its duration."""
        record = execution.terminal
        if record is None:
            return
        attributes = {
            names.WORKFLOW_ID: self._workflow(execution.correlation.workflow_id),
            names.OUTCOME: execution.state.lower(),
        }
        if record.failure is not None:
            attributes[names.ERROR_TYPE] = self._error_type(record.failure.type)
        seconds = max(0, record.finalized_at - execution.accepted_at) / _NANOS
        self._histograms[names.EXECUTION_DURATION].record(seconds, attributes)

    @guarded
    def conflicts(self, count: int) -> None:
        """Count settlements that lost."""
        self._counters[names.FINALIZATION_CONFLICTS].add(count)

    @guarded
    def committed(self, commands: int, seconds: float) -> None:
        """Record one commit's size and duration."""
        self._histograms[names.COMMIT_SIZE].record(commands)
        self._histograms[names.COMMIT_DURATION].record(max(0.0, seconds))

    @guarded
    def exported(self, outcome: str, spans: int) -> None:
        """Count spans by what became of them: delivered, rejected, dead_lettered."""
        if spans > 0:
            self._counters[_OUTCOMES[outcome]].add(spans)

    @guarded
    def called(self, method: str, status: str, seconds: float) -> None:
        """Record one call to the sidecar: `package.Service/Method` and the name of its status."""
        attributes = {
            names.RPC_SYSTEM: "grpc",
            names.RPC_METHOD: self._method(method),
            names.RPC_STATUS: status,
        }
        if status in _SERVER_FAULTS:
            attributes[names.ERROR_TYPE] = status
        self._histograms[names.RPC_DURATION].record(max(0.0, seconds), attributes)

    def observe(self, gauges: Gauges) -> None:
        """Note what the gauges show from now on."""
        self._levels.latest = gauges

    def close(self, within: float = _LAST_EXPORT_SECONDS) -> None:
        """Export once more and stop, giving up after `within` seconds: an absent collector delays nobody."""
        if isinstance(self._provider, SdkMeterProvider):
            provider = self._provider
            last = threading.Thread(target=lambda: provider.shutdown(within * 1_000), daemon=True)
            last.start()
            last.join(within)

    def _make_instruments(self) -> None:
        meter = self._provider.get_meter(names.SCOPE, product_version(), names.SCHEMA_URL)
        for metric in METRICS:
            about = (metric.name, metric.unit, metric.description)
            match metric.instrument:
                case Instrument.COUNTER:
                    self._counters[metric.name] = meter.create_counter(*about)
                case Instrument.HISTOGRAM:
                    self._histograms[metric.name] = meter.create_histogram(
                        *about, explicit_bucket_boundaries_advisory=metric.buckets
                    )
                case Instrument.GAUGE:
                    name, *rest = about
                    meter.create_observable_gauge(name, [self._levels.callback(name)], *rest)


def _provider(resource: Attributes, reader: MetricReader | None) -> MeterProvider:
    if reader is None:
        return NoOpMeterProvider()
    return SdkMeterProvider([reader], Resource(dict(resource), names.SCHEMA_URL), shutdown_on_exit=False)


def _reader(settings: TelemetrySettings) -> MetricReader | None:
    if settings.metrics is None:
        return None
    return PeriodicExportingMetricReader(
        _exporter(settings.metrics),
        export_interval_millis=settings.metric_interval / _MILLISECOND,
        export_timeout_millis=settings.metric_timeout / _MILLISECOND,
    )


def _exporter(destination: Destination) -> OTLPMetricExporter:
    return OTLPMetricExporter(
        endpoint=destination.target,
        insecure=not destination.secure,
        credentials=credentials(destination),
        headers=destination.headers,
        timeout=destination.timeout.total_seconds(),
        compression=grpc.Compression.Gzip if destination.gzip else grpc.Compression.NoCompression,
    )
