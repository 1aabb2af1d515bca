"""The meter: what is emitted is what the table documents, bounded, and exported to a real sink."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import structlog
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric, NumberDataPoint

from sidecar.conventions import names
from sidecar.conventions.metrics import METRICS
from sidecar.core.correlation import Correlation
from sidecar.core.lifecycle import State
from sidecar.core.model import Anchor, Execution, Failure, Path, Recording, TerminalRecord, Terms
from sidecar.core.ports import Gauges
from sidecar.telemetry.metrics import OtlpMeter
from sidecar.telemetry.observer import Observer
from sidecar.telemetry.settings import read_settings
from tests.services.sink import Sink
from tests.telemetry.samples import OWN, T0

SECOND = 1_000_000_000
GAUGES = Gauges({("mail", "QUEUED"): 3, ("mail", "RUNNING"): 1}, T0 - 5 * SECOND, 7, None)


@dataclass
class StillClock:
    """A clock that stands still."""

    at: int = T0

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return 0.0


def ended(workflow: str = "wf", failure: Failure | None = None, seconds: float = 2.0) -> Execution:
    return Execution(
        correlation=Correlation("default", "e", "q", workflow, "e"),
        anchor=Anchor("1" * 32, "2" * 16, "3" * 16, None, 1, "", "", Recording.SAMPLED),
        terms=Terms("mail", b"", "", "f"),
        accepted_at=T0,
        run_at=T0,
        state=State.FAILED if failure else State.SUCCEEDED,
        terminal=TerminalRecord(T0 + int(seconds * SECOND), Path.COMPLETED, failure=failure),
    )


def recorded() -> tuple[OtlpMeter, InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    return OtlpMeter(read_settings({}), OWN, StillClock(), reader), reader


def collected(reader: InMemoryMetricReader) -> dict[str, Metric]:
    data = reader.get_metrics_data()
    assert data is not None
    groups = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    return {metric.name: metric for scope in groups for metric in scope.metrics}


def points(metric: Metric) -> dict[frozenset[tuple[str, object]], float]:
    found: dict[frozenset[tuple[str, object]], float] = {}
    for point in metric.data.data_points:
        assert isinstance(point, HistogramDataPoint | NumberDataPoint)
        value = point.value if isinstance(point, NumberDataPoint) else point.sum
        found[attributed(dict(point.attributes or {}))] = value
    return found


def attributed(attributes: Mapping[str, object]) -> frozenset[tuple[str, object]]:
    return frozenset(attributes.items())


def record_everything(meter: OtlpMeter) -> None:
    meter.settled(ended())
    meter.settled(ended(failure=Failure("boom"), seconds=86_400))
    meter.conflicts(2)
    meter.committed(10, 0.002)
    for outcome in ("delivered", "rejected", "dead_lettered"):
        meter.exported(outcome, 4)
    meter.called("sidecar.v1.ExecutionService/Enqueue", "OK", 0.01)
    meter.called("sidecar.v1.ExecutionService/Enqueue", "UNAVAILABLE", 0.01)
    meter.observe(GAUGES)


def test_every_documented_metric_is_emitted_as_documented_and_no_other() -> None:
    meter, reader = recorded()
    record_everything(meter)
    found = collected(reader)
    assert set(found) == {metric.name for metric in METRICS}
    for metric in METRICS:
        assert (found[metric.name].unit, found[metric.name].description) == (metric.unit, metric.description)
        used = {name for point in found[metric.name].data.data_points for name in point.attributes or {}}
        assert used == set(metric.attributes)
        for point in found[metric.name].data.data_points:
            if isinstance(point, HistogramDataPoint):
                assert tuple(point.explicit_bounds) == metric.buckets


def test_durations_and_outcomes() -> None:
    meter, reader = recorded()
    record_everything(meter)
    found = points(collected(reader)[names.EXECUTION_DURATION])
    succeeded = {names.WORKFLOW_ID: "wf", names.OUTCOME: "succeeded"}
    failed = {names.WORKFLOW_ID: "wf", names.OUTCOME: "failed", names.ERROR_TYPE: "boom"}
    assert found == {attributed(succeeded): 2.0, attributed(failed): 86_400.0}


def test_gauges_show_the_last_snapshot_and_its_age() -> None:
    meter, reader = recorded()
    assert names.OUTBOX_SPANS not in {**collected_or_nothing(reader)}
    meter.observe(GAUGES)
    found = collected(reader)
    assert points(found[names.QUEUE_OLDEST_AGE]) == {frozenset(): 5.0}
    assert points(found[names.OUTBOX_OLDEST_AGE]) == {frozenset(): 0.0}
    assert points(found[names.OUTBOX_SPANS]) == {frozenset(): 7}
    mail = {names.MESSAGING_DESTINATION: "mail"}
    assert points(found[names.QUEUE_MESSAGES]) == {
        attributed({**mail, names.STATE: "QUEUED"}): 3,
        attributed({**mail, names.STATE: "RUNNING"}): 1,
    }


def collected_or_nothing(reader: InMemoryMetricReader) -> dict[str, Metric]:
    return {} if reader.get_metrics_data() is None else collected(reader)


def test_no_caller_can_make_series_without_end() -> None:
    meter, reader = recorded()
    for number in range(300):
        meter.settled(ended(f"wf-{number}", Failure(f"type-{number}")))
        meter.called(f"method-{number}", "OK", 0.1)
    meter.observe(Gauges({(f"q-{n}", "QUEUED"): 1 for n in range(300)}, None, 0, None))
    found = collected(reader)
    for name in (names.EXECUTION_DURATION, names.RPC_DURATION, names.QUEUE_MESSAGES):
        assert len(found[name].data.data_points) == 101
    others = attributed({names.MESSAGING_DESTINATION: names.OTHER, names.STATE: "QUEUED"})
    assert points(found[names.QUEUE_MESSAGES])[others] == 200


def test_what_has_not_ended_is_not_counted() -> None:
    meter, reader = recorded()
    unsettled = ended()
    unsettled.terminal = None
    meter.settled(unsettled)
    meter.exported("delivered", 0)
    assert collected_or_nothing(reader) == {}


def test_metrics_reach_a_collector_with_the_sidecars_resource(sink: Sink) -> None:
    meter = OtlpMeter(read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}), OWN, StillClock())
    record_everything(meter)
    meter.close()
    assert {metric.name for metric in sink.metrics()} >= {metric.name for metric in METRICS}


def test_disabled_or_unexported_metrics_cost_nothing(sink: Sink) -> None:
    for variable, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "none")):
        settings = read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, variable: value})
        meter = OtlpMeter(settings, OWN, StillClock())
        record_everything(meter)
        meter.close()
    assert sink.requests == []


def test_what_cannot_be_recorded_is_counted_and_told_once_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observer = Observer(read_settings({}), OWN, StillClock(), InMemoryMetricReader())
    monkeypatch.setattr(observer, "_histograms", {})
    monkeypatch.setattr(observer, "_counters", {})
    with structlog.testing.capture_logs() as lines:
        observer.settled(ended())
        observer.settled(ended())
        observer.conflicts(1)
        observer.committed(1, 0.1)
        observer.exported("lost", 1)
        observer.called("p.S/M", "OK", 0.1)
    failed = [line["what"] for line in lines if line["event"] == "telemetry.not_recorded"]
    assert failed == ["settled", "conflicts", "committed", "exported", "called"]
    assert observer.unrecorded == 6


def test_a_log_that_fails_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no room left")

    observer = Observer(read_settings({}), OWN, StillClock(), InMemoryMetricReader())
    wanted = SimpleNamespace(isEnabledFor=lambda _: True)
    monkeypatch.setattr("sidecar.telemetry.observer._standard", wanted)
    monkeypatch.setattr("sidecar.telemetry.observer._log", SimpleNamespace(log=broken))
    monkeypatch.setattr("sidecar.telemetry.guarded._log", SimpleNamespace(exception=broken))
    observer.settled(ended())
    assert observer.unrecorded == 1
