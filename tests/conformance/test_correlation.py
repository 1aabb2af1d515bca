"""COR-1: whatever set an execution off, one correlation is on all that it leaves, to the last field."""

import json
from collections.abc import Mapping

import grpc
import httpx
import pytest

from sidecar.conventions import names
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from tests.conformance.ways_in import WAYS_IN, SetOff, WayIn
from tests.conftest import StartSidecar
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.wire import PATIENCE, Wire

every_way_in = pytest.mark.parametrize("way_in", WAYS_IN.values(), ids=WAYS_IN)

ON_SPANS = {
    "execution_id": names.EXECUTION_ID,
    "request_id": names.REQUEST_ID,
    "workflow_id": names.WORKFLOW_ID,
    "namespace": names.NAMESPACE,
    "trigger_type": names.TRIGGER_TYPE,
    "webhook_id": names.WEBHOOK_ID,
    "provider": names.WEBHOOK_PROVIDER,
    "schedule_id": names.SCHEDULE_ID,
    "external_id": names.EXTERNAL_ID,
    "parent_execution_id": names.PARENT_EXECUTION_ID,
}


def asked_for(set_off: SetOff, wire: Wire) -> pb.Correlation:
    """Return the correlation of the accepted record, after a look at what it must say."""
    found = wire.get(set_off.execution_id).correlation
    for name, value in set_off.expected.items():
        assert getattr(found, name) == value, name
    assert (found.namespace, found.workflow_id) == (wire.namespace, "audit")
    assert found.execution_id == set_off.execution_id
    return found


def spans_of(wire: Wire, execution_id: str) -> dict[str, Mapping[str, str]]:
    request = admin.GetTraceRequest(namespace=wire.namespace, execution_id=execution_id)
    return {s.name: s.attributes for s in wire.admin.GetTrace(request, timeout=PATIENCE).spans}


def assert_on_spans(wire: Wire, correlation: pb.Correlation, count: int) -> None:
    spans = spans_of(wire, correlation.execution_id)
    assert len(spans) == count
    for attributes in spans.values():
        for name, attribute in ON_SPANS.items():
            assert attributes.get(attribute, "") == getattr(correlation, name), attribute
        assert attributes[names.SOURCE] == pb.Source.Name(correlation.source)[7:].lower()
        assert (attributes.get(names.FALLBACK) == "true") == correlation.fallback
        assert (names.SCHEDULED_FOR in attributes) == correlation.HasField("scheduled_for")


def log_line(sidecar: SidecarProcess, execution_id: str) -> dict[str, object]:
    def found() -> list[dict[str, object]]:
        lines = [line for line in sidecar.said().splitlines() if execution_id in line]
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in parsed if line.get("event") == "execution.settled"]

    await_condition(lambda: bool(found()), "the line of the settlement", PATIENCE)
    return found()[0]


@every_way_in
def test_one_correlation_from_the_first_byte_to_the_terminal_span(
    wire: Wire, sidecar: SidecarProcess, way_in: WayIn
) -> None:
    """On payload and job metadata, start record, terminal record, spans, carrier and log lines."""
    correlation = asked_for(way_in(wire, sidecar), wire)
    with wire.worker() as worker:
        lease = worker.lease()
        assert lease.correlation == correlation
        started = wire.get(correlation.execution_id)
        assert started.HasField("started_at")
        assert started.correlation == correlation
        assert lease.carrier.traceparent.split("-")[1] == started.trace_id
        worker.settle(lease, failed={"error": {"type": "boom"}})
    record = wire.get(correlation.execution_id)
    assert (record.state, record.correlation) == (pb.EXECUTION_STATE_FAILED, correlation)
    assert_on_spans(wire, correlation, 3)
    line = log_line(sidecar, correlation.execution_id)
    for name in (
        "namespace",
        "execution_id",
        "request_id",
        "workflow_id",
        "trigger_type",
        "root_execution_id",
    ):
        assert line[name] == getattr(correlation, name), name
    assert line.get("schedule_id", "") == correlation.schedule_id
    assert line.get("webhook_id", "") == correlation.webhook_id
    assert line.get("external_id", "") == correlation.external_id
    assert line["trace_id"] == record.trace_id
    for ids in ({"request_id": correlation.request_id}, {"trace_id": record.trace_id}):
        assert correlation in [e.correlation for e in wire.found(**ids)]


@every_way_in
def test_work_that_is_refused_has_the_same_correlation(
    wire: Wire, sidecar: SidecarProcess, way_in: WayIn
) -> None:
    """ADM-2: a preprocessing failure is as traceable as any other."""
    wire.define(defs.Workflow(workflow_id="audit", disabled=True))
    correlation = asked_for(way_in(wire, sidecar), wire)
    record = wire.get(correlation.execution_id)
    assert record.finalization_path == pb.FINALIZATION_PATH_REJECTED
    assert record.error.type == "preprocessing.workflow_disabled"
    spans = spans_of(wire, correlation.execution_id)
    assert {name.split()[0] for name in spans} == {"send", "execution"}
    assert_on_spans(wire, correlation, 2)


@every_way_in
def test_a_restart_changes_no_field(start_sidecar: StartSidecar, way_in: WayIn) -> None:
    sidecar = start_sidecar()
    sidecar.start()
    wire = Wire(sidecar.target, "default")
    before = asked_for(way_in(wire, sidecar), wire)
    sidecar.kill()
    sidecar.start()
    again = Wire(sidecar.target, "default")
    assert again.get(before.execution_id).correlation == before
    with again.worker() as worker:
        lease = worker.lease()
        assert lease.correlation == before
        worker.settle(lease)
    assert again.get(before.execution_id).correlation == before
    assert_on_spans(again, before, 3)
    wire.close()
    again.close()


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["accept.before_commit", "accept.after_commit"])
@every_way_in
def test_a_failed_enqueue_that_is_repeated_is_one_execution_with_one_correlation(
    start_sidecar: StartSidecar, way_in: WayIn, point: str
) -> None:
    """ADM-4: killed before or after its commit, the caller has no answer; the repeat gives exactly one."""
    sidecar = start_sidecar().armed(f"{point}=kill")
    sidecar.start()
    wire = Wire(sidecar.target, "default")
    with pytest.raises((grpc.RpcError, httpx.TransportError)):
        way_in(wire, sidecar)
    assert sidecar.await_death() == -9
    sidecar.armed("").start()
    again = Wire(sidecar.target, "default")
    set_off = way_in(again, sidecar)
    correlation = asked_for(set_off, again)
    assert [e.correlation for e in again.found()] == [correlation]
    assert asked_for(way_in(again, sidecar), again) == correlation
    wire.close()
    again.close()
