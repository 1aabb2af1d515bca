"""Enqueueing over the API: identity, repeats, and many at once; COR-1, COR-4 and ADM-4."""

import threading
import uuid

import grpc
import pytest

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from tests.wire import Wire, reason_of

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_an_accepted_execution_has_its_whole_identity(wire: Wire) -> None:
    """Invariant 4; COR-1."""
    answer = wire.enqueue(execution_id="e1", request_id="r1", external_id="x1", trigger_type="manual")
    ids = answer.execution.correlation
    assert (ids.execution_id, ids.request_id, ids.root_execution_id) == ("e1", "r1", "e1")
    assert (ids.source, ids.trigger_type, ids.external_id) == (pb.SOURCE_WORKFLOW, "manual", "x1")
    assert wire.get("e1").correlation == ids


def test_the_callers_trace_goes_on_in_the_carrier(wire: Wire) -> None:
    carrier = pb.Carrier(traceparent=TRACEPARENT, tracestate="vendor=1", baggage="tenant=a;p=1")
    answer = wire.enqueue(carrier=carrier)
    _, trace_id, span_id, flags = answer.carrier.traceparent.split("-")
    assert trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span_id != "b7ad6b7169203331"
    assert (flags, answer.carrier.tracestate, answer.carrier.baggage) == ("01", "vendor=1", "tenant=a;p=1")


def test_the_calls_metadata_serves_where_the_item_has_no_carrier(wire: Wire) -> None:
    request = api.EnqueueExecutionRequest(namespace=wire.namespace, item=wire.item())
    answer = wire.executions.EnqueueExecution(request, metadata=(("traceparent", TRACEPARENT),), timeout=10)
    assert answer.execution.trace_id == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("bad", ["nonsense", TRACEPARENT.upper(), f"ff{TRACEPARENT[2:]}", "00-" + "0" * 32])
def test_a_bad_traceparent_begins_a_new_trace_and_refuses_nothing(wire: Wire, bad: str) -> None:
    answer = wire.enqueue(carrier=pb.Carrier(traceparent=bad, tracestate="a=1"))
    assert answer.execution.trace_id not in ("", "0" * 32, "0af7651916cd43dd8448eb211c80319c")
    assert answer.carrier.tracestate == ""


def test_the_same_id_and_work_is_accepted_once(wire: Wire) -> None:
    """COR-4."""
    first = wire.enqueue(execution_id="e1", payload=b"p")
    again = wire.enqueue(execution_id="e1", payload=b"p")
    assert (first.existing, again.existing) == (False, True)
    assert first.execution == again.execution


def test_the_same_id_for_other_work_is_refused(wire: Wire) -> None:
    """COR-4."""
    wire.enqueue(execution_id="e1", payload=b"p")
    with pytest.raises(grpc.RpcError) as refused:
        wire.enqueue(execution_id="e1", payload=b"other")
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(refused.value) == "EXECUTION_ID_CONFLICT"


def test_a_hundred_callers_with_one_key_get_one_execution(wire: Wire) -> None:
    """COR-4: by the database's own uniqueness, not by a look before."""
    answers: list[str] = []

    def call() -> None:
        answer = wire.enqueue(idempotency_key="k1")
        answers.append(answer.execution.correlation.execution_id)

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 100
    assert len(set(answers)) == 1


def test_a_key_for_other_work_is_refused(wire: Wire) -> None:
    wire.enqueue(idempotency_key="k1", payload=b"p")
    with pytest.raises(grpc.RpcError) as refused:
        wire.enqueue(idempotency_key="k1", payload=b"other")
    assert reason_of(refused.value) == "IDEMPOTENCY_CONFLICT"


def test_one_key_in_two_namespaces_is_two_executions(wire: Wire) -> None:
    other = Wire(wire.target, f"ns-{uuid.uuid4()}")
    ids = {w.enqueue(idempotency_key="k1").execution.correlation.execution_id for w in (wire, other)}
    other.close()
    assert len(ids) == 2


def test_of_many_the_bad_ones_fail_alone(wire: Wire) -> None:
    """One bad command among a hundred."""
    items = [wire.item(execution_id=f"e{n}") for n in range(100)]
    items[13].workflow_id = ""
    items[42].execution_id = "e41"
    items[42].payload = b"other"
    request = api.EnqueueExecutionsRequest(namespace=wire.namespace, items=items)
    results = wire.executions.EnqueueExecutions(request, timeout=20).results
    refused = {n: r.refused.reason for n, r in enumerate(results) if r.HasField("refused")}
    assert refused == {13: "INVALID_ARGUMENT", 42: "EXECUTION_ID_CONFLICT"}
    assert results[99].accepted.execution.correlation.execution_id == "e99"
    assert wire.get("e98").state == pb.EXECUTION_STATE_QUEUED


def test_pages_hold_every_execution_once_newest_first(wire: Wire) -> None:
    for n in range(25):
        wire.enqueue(execution_id=f"e{n:02}", workflow_id="w2" if n % 5 == 0 else "w1")
    seen: list[str] = []
    request = api.ListExecutionsRequest(namespace=wire.namespace, page_size=10)
    while True:
        page = wire.executions.ListExecutions(request, timeout=10)
        seen += [e.correlation.execution_id for e in page.executions]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [f"e{n:02}" for n in reversed(range(25))]
    mine = api.ListExecutionsRequest(namespace=wire.namespace, workflow_id="w2")
    assert len(wire.executions.ListExecutions(mine, timeout=10).executions) == 5
    named = api.ListExecutionsRequest(namespace=wire.namespace, execution_ids=["e03", "e07", "none"])
    assert len(wire.executions.ListExecutions(named, timeout=10).executions) == 2


def test_an_unknown_id_is_not_found(wire: Wire) -> None:
    """COR-5: never `pending`."""
    with pytest.raises(grpc.RpcError) as refused:
        wire.get("nobody")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason_of(refused.value) == "EXECUTION_NOT_FOUND"
