"""The proof against the real things: one connected trace, through a real Collector, in a real Jaeger.

Invariants 4 and 8. Caller, sidecar and worker are processes of their own, each with its own resource.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.v1 import execution_pb2 as pb
from tests.e2e.conftest import WorkerProcess
from tests.processes import ROOT, SidecarProcess
from tests.services.collector import Collector
from tests.services.jaeger import Jaeger, process_of, references_of, spans_of, tags_of
from tests.services.loopback import await_condition
from tests.wire import Wire

pytestmark = pytest.mark.e2e
Json = dict[str, Any]


def ask(house: SidecarProcess, collector: Collector, payload: Json, sampled: str = "sampled") -> Json:
    """Run the caller; return the ids that it printed."""
    command = [sys.executable, "-m", "tests.e2e.caller", house.target, collector.otlp_grpc, sampled]
    said = subprocess.run(
        [*command, json.dumps(payload)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    ids: Json = json.loads(said.stdout)
    return ids


def names(traces: list[Json]) -> list[str]:
    return sorted(span["operationName"] for span in spans_of(traces))


STARTED = ["ask", "send default", "read", "read bytes"]
WHOLE = sorted([*STARTED, "process default", "measure", "execution measure"])


def wait(house: SidecarProcess, execution_id: str) -> pb.Execution:
    wire = Wire(house.target, "default")
    record = wire.wait(execution_id)
    wire.close()
    return record


@pytest.mark.parametrize("by", ["execution_id", "request_id"])
def test_one_search_finds_one_connected_trace(
    house: SidecarProcess, worker: WorkerProcess, collector: Collector, jaeger: Jaeger, by: str
) -> None:
    assert worker.running
    ids = ask(house, collector, {"text": "hello"})
    wait(house, ids["execution_id"])
    tags = {f"sidecar.{by.removesuffix('_id')}.id": ids[by]}
    (found,) = jaeger.await_traces(lambda t: names(t) == WHOLE, tags=tags)
    assert found["traceID"] == ids["trace_id"]
    span = {s["operationName"]: s for s in found["spans"]}
    parent = {name: dict(reversed(references_of(s))) for name, s in span.items()}
    assert parent["send default"]["CHILD_OF"] == ids["span_id"] == span["ask"]["spanID"]
    send = span["send default"]["spanID"]
    assert parent["execution measure"]["CHILD_OF"] == send
    # Jaeger shows the link to a span's own parent in the place of the parent.
    assert ("FOLLOWS_FROM", send) in references_of(span["process default"])
    attempt = span["process default"]["spanID"]
    assert parent["read"]["CHILD_OF"] == parent["measure"]["CHILD_OF"] == attempt
    assert parent["read bytes"]["CHILD_OF"] == span["read"]["spanID"]
    assert_resources(found, span)
    assert_attributes(span, ids)


def assert_resources(trace: Json, span: dict[str, Json]) -> None:
    by_service = {name: process_of(trace, s)["service.name"] for name, s in span.items()}
    assert {by_service[n] for n in ("send default", "execution measure")} == {"sidecar"}
    assert {by_service[n] for n in ("process default", "read", "measure", "read bytes")} == {"worker"}
    assert by_service["ask"] == "caller"
    assert process_of(trace, span["process default"])["service.version"] == "7"


def assert_attributes(span: dict[str, Json], ids: Json) -> None:
    kinds = {name: tags_of(s).get("span.kind") for name, s in span.items()}
    assert kinds["send default"] == "producer"
    assert kinds["process default"] == "consumer"
    assert kinds["execution measure"] in (None, "internal")
    for each in span.values():
        assert tags_of(each)["sidecar.execution.id"] == ids["execution_id"], each["operationName"]
    terminal = tags_of(span["execution measure"])
    assert terminal["sidecar.terminal"] is True
    assert terminal["sidecar.execution.outcome"] == "succeeded"
    assert terminal["sidecar.finalization.path"] == "completed"
    assert "otel.status_code" not in terminal
    assert tags_of(span["send default"])["messaging.operation.type"] == "send"
    assert tags_of(span["process default"])["messaging.message.id"] == ids["execution_id"]
    assert span["execution measure"]["duration"] >= span["process default"]["duration"] > 0


def test_a_failure_is_an_error_with_its_type_and_message(
    house: SidecarProcess, worker: WorkerProcess, collector: Collector, jaeger: Jaeger
) -> None:
    assert worker.running
    ids = ask(house, collector, {"text": "x", "fail": "no such luck"})
    wait(house, ids["execution_id"])
    tags = {"sidecar.execution.id": ids["execution_id"]}
    (found,) = jaeger.await_traces(lambda t: names(t) == WHOLE, tags=tags)
    failed = {s["operationName"] for s in found["spans"] if tags_of(s).get("error") is True}
    assert failed == {"process default", "measure", "execution measure"}
    terminal = next(tags_of(s) for s in found["spans"] if s["operationName"] == "execution measure")
    assert terminal["error.type"] == "ValueError"
    assert "no such luck" in terminal["otel.status_description"]
    assert terminal["sidecar.step.last_started"] == "measure"


def test_a_long_attempt_can_be_looked_at_while_it_runs(
    house: SidecarProcess, worker: WorkerProcess, collector: Collector, jaeger: Jaeger, tmp_path: Path
) -> None:
    """The anchor is there from the accept on, and so are the steps that have ended."""
    assert worker.running
    gate = tmp_path / "gate"
    ids = ask(house, collector, {"text": "x", "gate": str(gate)})
    tags = {"sidecar.execution.id": ids["execution_id"]}
    (during,) = jaeger.await_traces(lambda t: names(t) == sorted(STARTED), tags=tags)
    assert during["traceID"] == ids["trace_id"]
    gate.touch()
    wait(house, ids["execution_id"])
    jaeger.await_traces(lambda t: names(t) == WHOLE, tags=tags)


def test_an_unsampled_caller_leaves_state_and_a_log_record_but_no_span(
    house: SidecarProcess, worker: WorkerProcess, collector: Collector
) -> None:
    """Invariant 8: the sampled flag is honoured, and no lost job is invisible."""
    assert worker.running
    ids = ask(house, collector, {"text": "x"}, "unsampled")
    record = wait(house, ids["execution_id"])
    assert (record.state, record.sampled) == (pb.EXECUTION_STATE_SUCCEEDED, False)
    settled = f'"stringValue":"{ids["execution_id"]}"'

    def log_arrived() -> bool:
        records = (json.dumps(e, separators=(",", ":")) for e in collector.received("resourceLogs"))
        return any(settled in record for record in records)

    await_condition(log_arrived, "the settlement's log record", 15)
    assert ids["trace_id"] not in {s["traceId"] for s in collector.received_spans()}
