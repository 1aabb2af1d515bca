"""A webhook that is answered with the outcome, whose worker calls out: one trace from sender to upstream.

Sender, sidecar, worker and the service that is called each make spans of their own, with an SDK of their own.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import propagate
from opentelemetry.trace import SpanKind, Tracer, format_trace_id

from sidecar.v1 import definitions_pb2 as defs
from tests.e2e.conftest import WorkerProcess
from tests.e2e.upstream import Upstream, serving, tracing
from tests.processes import SidecarProcess
from tests.services.collector import Collector
from tests.services.jaeger import Jaeger, process_of, references_of, spans_of, tags_of
from tests.services.loopback import HOST, await_condition
from tests.web import SECRET, seconds, trusted
from tests.wire import PATIENCE, Wire

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
CALLS = ("/first", "/second", "/third")
SERVICES = {
    "sender": ["deliver"],
    "sidecar": ["execution relay", "send default"],
    "worker": ["GET /first", "GET /second", "GET /third", "ask once more", "process default"],
    "upstream": [f"serve {path}" for path in CALLS],
}


@pytest.fixture
def upstream(collector: Collector) -> Iterator[Upstream]:
    with tracing("upstream", collector.otlp_grpc) as tracer, serving(tracer) as service:
        yield service


def define(house: SidecarProcess) -> str:
    """Define a webhook that waits for the outcome; return its address."""
    wire = Wire(house.target, "default")
    hook = defs.Webhook(webhook_id="relay", path="relay", workflow_id="relay", wait=seconds(20))
    hook.verification.CopyFrom(trusted(defs.VERIFICATION_SCHEME_BEARER))
    wire.define(hook)
    wire.close()
    return f"http://{HOST}:{house.http_port}/hooks/{hook.path}"


def deliver(url: str, tracer: Tracer, upstream: Upstream) -> tuple[httpx.Response, str]:
    """Send one delivery under a span of the sender's own; return the answer and the trace id."""
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
    with tracer.start_as_current_span("deliver", kind=SpanKind.CLIENT) as span:
        propagate.inject(headers)
        body = json.dumps({"address": upstream.address}).encode()
        answer = httpx.post(url, content=body, headers=headers, timeout=PATIENCE)
    return answer, format_trace_id(span.get_span_context().trace_id)


def check_calls(upstream: Upstream, trace_id: str, flags: str) -> dict[str, str]:
    """Look at what arrived with each call; return its parent ids."""
    parts = {path: upstream.arrived[path].split("-") for path in CALLS}
    assert {(part[1], int(part[3], 16) & 1) for part in parts.values()} == {(trace_id, int(flags))}
    parents = {path: part[2] for path, part in parts.items()}
    assert len(set(parents.values())) == len(CALLS)
    return parents


def check_is_connected(found: Json) -> None:
    """One root, and everything else refers only to what is in the trace."""
    inside = {span["spanID"] for span in found["spans"]}
    references = {s["operationName"]: {each for _, each in references_of(s)} for s in found["spans"]}
    assert [name for name, parents in references.items() if not parents] == ["deliver"]
    assert all(parents <= inside for parents in references.values()), references


def test_one_trace_from_the_sender_through_the_worker_to_whom_it_calls(
    house: SidecarProcess, worker: WorkerProcess, upstream: Upstream, collector: Collector, jaeger: Jaeger
) -> None:
    """WEB-3, WEB-4: each call out has a parent of its own, which is a span in Jaeger; no orphans."""
    assert worker.running
    with tracing("sender", collector.otlp_grpc) as tracer:
        answer, trace_id = deliver(define(house), tracer, upstream)
    assert (answer.status_code, answer.json()) == (200, {"calls": 3})
    expected = sorted(name for each in SERVICES.values() for name in each)
    by = {"execution": "x-execution-id", "request": "x-request-id"}
    for kind, header in by.items():
        (found,) = jaeger.await_traces(
            lambda traces: sorted(s["operationName"] for s in spans_of(traces)) == expected,
            tags={f"sidecar.{kind}.id": answer.headers[header]},
        )
        assert found["traceID"] == trace_id
    check_is_connected(found)
    services = {s["operationName"]: process_of(found, s)["service.name"] for s in found["spans"]}
    assert services == {name: service for service, each in SERVICES.items() for name in each}
    ids = {span["operationName"]: span["spanID"] for span in found["spans"]}
    assert check_calls(upstream, trace_id, "1") == {path: ids[f"GET {path}"] for path in CALLS}
    (terminal,) = [tags_of(s) for s in found["spans"] if "sidecar.terminal" in tags_of(s)]
    assert terminal["sidecar.execution.outcome"] == "succeeded"


def test_an_unsampled_sender_leaves_no_span_and_his_trace_goes_on_all_the_same(
    house: SidecarProcess, worker: WorkerProcess, upstream: Upstream, collector: Collector
) -> None:
    assert worker.running
    with tracing("sender", collector.otlp_grpc, sampled=False) as tracer:
        answer, trace_id = deliver(define(house), tracer, upstream)
    assert (answer.status_code, answer.json()) == (200, {"calls": 3})
    check_calls(upstream, trace_id, "0")
    settled = f'"stringValue":"{answer.headers["x-execution-id"]}"'

    def log_arrived() -> bool:
        records = (json.dumps(e, separators=(",", ":")) for e in collector.received("resourceLogs"))
        return any(settled in record for record in records)

    await_condition(log_arrived, "the settlement's log record", 15)
    assert trace_id not in {span["traceId"] for span in collector.received_spans()}
