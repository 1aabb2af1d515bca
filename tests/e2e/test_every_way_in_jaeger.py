"""Whatever set it off: one connected trace in a real Jaeger, found by execution id and by request id."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import schedule_service_pb2 as timetable
from tests.conftest import StartSidecar
from tests.processes import ROOT, SidecarProcess
from tests.services.collector import Collector
from tests.services.jaeger import Jaeger, references_of, spans_of, tags_of
from tests.services.loopback import await_condition
from tests.wire import PATIENCE, Wire, refused

pytestmark = pytest.mark.e2e

CALLER_SPAN = "c0ffee00c0ffee00"
WORKED = ["execution audit", "process default", "send default"]
REFUSED = ["execution audit", "send default"]


@dataclass
class House:
    """A sidecar that sends to a Collector and that to Jaeger, with the ways to set something off."""

    sidecar: SidecarProcess
    wire: Wire
    caller_trace: str

    @property
    def traceparent(self) -> str:
        """The caller's own context, in a trace that is this test's."""
        return f"00-{self.caller_trace}-{CALLER_SPAN}-01"

    @property
    def request_id(self) -> str:
        """The caller's request, of this test alone."""
        return f"req-{self.caller_trace}"

    def post(self, hook: defs.Webhook, headers: dict[str, str]) -> str:
        """Deliver to a webhook and return the execution's id."""
        self.wire.define(hook)
        url = f"http://127.0.0.1:{self.sidecar.http_port}/hooks/{hook.path}"
        sent = {"traceparent": self.traceparent, "x-request-id": self.request_id, **headers}
        found: str = httpx.post(url, content=b"{}", headers=sent, timeout=PATIENCE).json()["execution_id"]
        return found


@pytest.fixture
def house(start_sidecar: StartSidecar, collector: Collector) -> Iterator[House]:
    process = start_sidecar(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.otlp_grpc}")
    process.start()
    wire = Wire(process.target, "default")
    yield House(process, wire, uuid.uuid4().hex)
    wire.close()


def by_api(house: House) -> str:
    carrier = pb.Carrier(traceparent=house.traceparent)
    return house.wire.enqueue(request_id=house.request_id, carrier=carrier).execution.correlation.execution_id


def by_a_verified_webhook(house: House) -> str:
    scheme = defs.VERIFICATION_SCHEME_BEARER
    verification = defs.Verification(scheme=scheme, secrets=["long-enough-a-secret"])
    hook = defs.Webhook(webhook_id="sure", path="sure", workflow_id="audit", verification=verification)
    return house.post(hook, {"authorization": "Bearer long-enough-a-secret"})


def by_an_open_webhook(house: House) -> str:
    return house.post(defs.Webhook(webhook_id="open", path="open", workflow_id="audit"), {})


def by_a_schedule(house: House) -> str:
    at = Timestamp()
    at.FromNanoseconds(time.time_ns() + 500_000_000)
    house.wire.define(defs.Schedule(schedule_id="soon", workflow_id="audit", once=at))
    await_condition(lambda: bool(house.wire.found(schedule_id="soon")), "the occurrence", PATIENCE)
    (found,) = house.wire.found(schedule_id="soon")
    assert found.correlation.scheduled_for == at
    return found.correlation.execution_id


def by_a_schedule_run_now(house: House) -> str:
    house.wire.define(defs.Schedule(schedule_id="yearly", workflow_id="audit", cron="0 0 1 1 *"))
    request = timetable.RunScheduleRequest(
        namespace="default", schedule_id="yearly", request_id=house.request_id
    )
    return house.wire.schedules.RunSchedule(request, timeout=PATIENCE).execution.correlation.execution_id


WAYS: dict[str, Callable[[House], str]] = {
    "api": by_api,
    "verified webhook": by_a_verified_webhook,
    "open webhook": by_an_open_webhook,
    "schedule": by_a_schedule,
    "schedule run now": by_a_schedule_run_now,
}
CONTINUED = {"api", "verified webhook"}


def one_trace(jaeger: Jaeger, record: pb.Execution, expected: list[str]) -> dict[str, Any]:
    """Return the one trace that both searches find, after a look at how it hangs together."""
    ids = record.correlation

    def whole(traces: list[dict[str, Any]]) -> bool:
        return sorted(span["operationName"] for span in spans_of(traces)) == expected

    (found,) = jaeger.await_traces(whole, tags={"sidecar.execution.id": ids.execution_id})
    (again,) = jaeger.await_traces(
        lambda traces: [t["traceID"] for t in traces] == [found["traceID"]],
        tags={"sidecar.request.id": ids.request_id},
    )
    assert again["traceID"] == found["traceID"] == record.trace_id
    inside = {span["spanID"] for span in found["spans"]}
    for span in found["spans"]:
        tags = tags_of(span)
        assert (tags["sidecar.execution.id"], tags["sidecar.request.id"]) == (
            ids.execution_id,
            ids.request_id,
        )
        parents = {span_id for _, span_id in references_of(span)}
        assert parents <= {*inside, CALLER_SPAN}, "an orphan"
    terminal = next(s for s in found["spans"] if s["operationName"].startswith("execution "))
    assert tags_of(terminal)["sidecar.terminal"] is True
    return {span["operationName"]: span for span in found["spans"]}


@pytest.mark.parametrize("way", WAYS)
def test_one_trace_whatever_set_it_off(house: House, jaeger: Jaeger, way: str) -> None:
    execution_id = WAYS[way](house)
    with house.wire.worker() as worker:
        worker.settle(worker.lease())
    record = house.wire.wait(execution_id)
    spans = one_trace(jaeger, record, WORKED)
    assert (record.trace_id == house.caller_trace) == (way in CONTINUED)
    callers = [kind for kind, span_id in references_of(spans["send default"]) if span_id == CALLER_SPAN]
    expected = {"api": ["CHILD_OF"], "verified webhook": ["CHILD_OF"], "open webhook": ["FOLLOWS_FROM"]}
    assert callers == expected.get(way, [])
    assert (
        tags_of(spans["send default"])["sidecar.source"]
        == pb.Source.Name(record.correlation.source)[7:].lower()
    )


@pytest.mark.parametrize("way", WAYS)
def test_what_is_refused_is_one_trace_too(house: House, jaeger: Jaeger, way: str) -> None:
    """ADM-2: a preprocessing failure has its span, in the caller's trace."""
    house.wire.define(defs.Workflow(workflow_id="audit", json_schema='{"required": ["n"]}'))
    if way == "api":
        (result,) = house.wire.enqueue_many(
            {
                "payload": b"{}",
                "carrier": pb.Carrier(traceparent=house.traceparent),
                "request_id": house.request_id,
            }
        )
        execution_id = result.refused.metadata["execution_id"]
    elif way == "schedule run now":
        house.wire.define(defs.Workflow(workflow_id="audit", disabled=True))
        with refused("WORKFLOW_DISABLED", code_pb2.FAILED_PRECONDITION):
            by_a_schedule_run_now(house)
        execution_id = house.wire.found(schedule_id="yearly")[0].correlation.execution_id
    else:
        execution_id = WAYS[way](house)
    record = house.wire.wait(execution_id)
    assert record.finalization_path == pb.FINALIZATION_PATH_REJECTED
    spans = one_trace(jaeger, record, REFUSED)
    assert tags_of(spans["execution audit"])["error.type"].startswith("preprocessing.")


def test_a_command_is_one_trace_under_the_cron_job_that_ran_it(house: House, jaeger: Jaeger) -> None:
    """SCH-5: its TRACEPARENT is the parent, and the command finds its own in its environment."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SIDECAR_TARGET": house.sidecar.target,
        "TRACEPARENT": house.traceparent,
    }
    line = [sys.executable, "-m", "sidecar", "run", "--workflow", "audit", "--request-id", house.request_id]
    shown = "import os; print(os.environ['SIDECAR_EXECUTION_ID'], os.environ['TRACEPARENT'])"
    ran = subprocess.run(
        [*line, "--", sys.executable, "-c", shown],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    execution_id, traceparent = ran.stdout.split()
    record = house.wire.wait(execution_id)
    spans = one_trace(jaeger, record, WORKED)
    assert record.trace_id == house.caller_trace
    assert traceparent == f"00-{house.caller_trace}-{spans['process default']['spanID']}-01"
