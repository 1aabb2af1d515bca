"""Looking executions up by any id they are known by, and ids for payloads that have none; COR-3 and COR-5."""

import json
import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from tests.wire import PATIENCE, Wire, reason_of, refused

TRACE = "0af7651916cd43dd8448eb211c80319c"


def ids(found: list[pb.Execution]) -> list[str]:
    return [each.correlation.execution_id for each in found]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"request_id": "r1"}, {"request_id": "r1"}),
        ({"external_id": "x1"}, {"external_id": "x1"}),
        ({"idempotency_key": "k1"}, {"idempotency_key": "k1"}),
        ({"workflow_id": "other"}, {"workflow_id": "other"}),
        ({"trace_id": TRACE}, {"carrier": pb.Carrier(traceparent=f"00-{TRACE}-b7ad6b7169203331-01")}),
    ],
    ids=lambda each: "-".join(each),
)
def test_an_id_finds_its_execution_and_no_other(
    wire: Wire, asked: dict[str, Any], given: dict[str, Any]
) -> None:
    """COR-5."""
    elsewhere = Wire(wire.target, f"ns-{uuid.uuid4()}")
    elsewhere.enqueue(execution_id="theirs", **given)
    elsewhere.close()
    wire.enqueue(execution_id="e1", **given)
    wire.enqueue(execution_id="e2")
    assert ids(wire.found(**asked)) == ["e1"]
    unknown = {name: value[:-1] + "0" for name, value in asked.items()}
    assert wire.found(**unknown) == []


def test_several_ids_narrow_the_list(wire: Wire) -> None:
    """COR-5; one request may start many executions."""
    for n in range(3):
        wire.enqueue(execution_id=f"e{n}", request_id="r1", external_id=f"x{n}")
    assert ids(wire.found(request_id="r1")) == ["e2", "e1", "e0"]
    assert ids(wire.found(request_id="r1", external_id="x1")) == ["e1"]
    assert wire.found(request_id="r1", idempotency_key="none") == []


def test_a_request_of_many_executions_comes_in_pages(wire: Wire) -> None:
    for n in range(7):
        wire.enqueue(execution_id=f"e{n}", request_id="r1" if n % 2 else "r2")
    request = api.ListExecutionsRequest(namespace=wire.namespace, request_id="r2", page_size=3)
    first = wire.executions.ListExecutions(request, timeout=PATIENCE)
    request.page_token = first.next_page_token
    second = wire.executions.ListExecutions(request, timeout=PATIENCE)
    assert ids([*first.executions, *second.executions]) == ["e6", "e4", "e2", "e0"]
    assert second.next_page_token == ""


def test_an_id_that_nothing_has_is_not_found(wire: Wire) -> None:
    """COR-5: never `pending`."""
    with pytest.raises(grpc.RpcError) as missing:
        wire.get("nobody")
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason_of(missing.value) == "EXECUTION_NOT_FOUND"


def test_a_record_tells_its_concurrency_key_and_whose_queue_carries_it(wire: Wire) -> None:
    wire.enqueue(execution_id="e1", concurrency_key="tenant-1", dispatch=pb.DISPATCH_EXTERNAL)
    record = wire.get("e1")
    assert (record.concurrency_key, record.dispatch) == ("tenant-1", pb.DISPATCH_EXTERNAL)
    wire.enqueue(execution_id="e2")
    assert (wire.get("e2").concurrency_key, wire.get("e2").dispatch) == ("", pb.DISPATCH_MANAGED)


@pytest.mark.parametrize("key", ["schedule:nightly:1", "webhook:1:h:d"])
def test_keys_of_the_sidecars_own_are_out_of_reach(wire: Wire, key: str) -> None:
    """COR-4: keys of webhooks and schedules are prefixed on the server."""
    with refused("INVALID_ARGUMENT", code_pb2.INVALID_ARGUMENT) as told:
        wire.enqueue(idempotency_key=key)
    assert told.metadata["field"] == "item.idempotency_key"


def test_what_was_handed_in_earlier_was_accepted_then(wire: Wire) -> None:
    earlier = wire.enqueue(accepted_ago=Duration(seconds=3_600)).execution.accepted_at
    now = wire.enqueue().execution.accepted_at
    assert 3_599 <= now.seconds - earlier.seconds <= 3_660


def legacy(wire: Wire, payload: bytes, job_type: str = "api", **fields: Any) -> pb.Execution:
    """Enqueue as a producer does that knows nothing of correlation."""
    item = api.EnqueueItem(
        workflow_id="audit", payload=payload, legacy=api.LegacyPayload(job_type=job_type), **fields
    )
    request = api.EnqueueExecutionRequest(namespace=wire.namespace, item=item)
    return wire.executions.EnqueueExecution(request, timeout=PATIENCE).execution


@pytest.mark.parametrize(
    ("job_type", "source", "trigger_type"),
    [
        ("api", pb.SOURCE_WORKFLOW, "api"),
        ("schedule", pb.SOURCE_SCHEDULE, "schedule"),
        ("webhook", pb.SOURCE_WEBHOOK, "webhook"),
    ],
)
def test_a_legacy_payload_runs_with_ids_of_its_own(
    wire: Wire, job_type: str, source: pb.Source.ValueType, trigger_type: str
) -> None:
    """COR-3: marked, with the source of its job type and a new trace; a worker gets all of it."""
    payload = json.dumps({"correlation": {"executionId": "old-1"}, "request_id": "q-1"}).encode()
    found = legacy(wire, payload, job_type).correlation
    assert (found.execution_id, found.request_id, found.fallback) == ("old-1", "q-1", True)
    assert (found.source, found.trigger_type, found.root_execution_id) == (source, trigger_type, "old-1")
    with wire.worker() as worker:
        lease = worker.lease()
        assert (lease.correlation, lease.payload) == (found, payload)
        worker.settle(lease)
    record = wire.get("old-1")
    assert (record.correlation, record.state) == (found, pb.EXECUTION_STATE_SUCCEEDED)
    assert record.trace_id != "0" * 32


def test_a_redelivered_legacy_payload_is_the_same_execution(wire: Wire) -> None:
    """COR-3: derived from namespace, source and external id."""
    first = legacy(wire, b"not json", external_id="msg-1")
    assert legacy(wire, b"not json", external_id="msg-1") == first
    assert first.correlation.request_id == first.correlation.execution_id
    others = (legacy(wire, b"not json", **each) for each in ({"external_id": "msg-2"}, {}, {}))
    other_source = legacy(wire, b"not json", "webhook", external_id="msg-1")
    everything = {e.correlation.execution_id for e in (first, *others, other_source)}
    assert len(everything) == 5
    assert ids(wire.found(external_id="msg-1"))[-1] == first.correlation.execution_id
