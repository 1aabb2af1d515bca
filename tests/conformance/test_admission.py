"""Admission as a caller meets it: one order, durable refusals, limits, and a second look at the claim."""

import uuid
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from tests.wire import Wire, refused

FAILED, RUNNING, QUEUED = (
    pb.EXECUTION_STATE_FAILED,
    pb.EXECUTION_STATE_RUNNING,
    pb.EXECUTION_STATE_QUEUED,
)
REJECTED = pb.FINALIZATION_PATH_REJECTED
NUMBER = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
REFUSING = defs.Concurrency(limit=1, over_limit=defs.OVER_LIMIT_REFUSE)


def hourly(limit: int) -> defs.RateLimit:
    return defs.RateLimit(limit=limit, per=Duration(seconds=3600))


def workflow(**fields: Any) -> defs.Workflow:
    return defs.Workflow(workflow_id="audit", **fields)


def rejected(wire: Wire, execution_id: str, reason: str) -> pb.Execution:
    """Read the record of refused work: settled, never queued, its ids as they were asked for."""
    record = wire.get(execution_id)
    assert (record.state, record.finalization_path) == (FAILED, REJECTED)
    assert record.error.type == f"preprocessing.{reason}"
    assert record.attempts == 0
    return record


@pytest.mark.parametrize(
    ("definition", "reason", "code", "fields"),
    [
        (workflow(disabled=True), "WORKFLOW_DISABLED", code_pb2.FAILED_PRECONDITION, {}),
        (workflow(max_payload_bytes=2), "PAYLOAD_TOO_LARGE", code_pb2.INVALID_ARGUMENT, {"payload": b"123"}),
        (
            workflow(json_schema=NUMBER),
            "PAYLOAD_INVALID",
            code_pb2.INVALID_ARGUMENT,
            {"payload": b'{"n":"x"}'},
        ),
        (workflow(json_schema=NUMBER), "PAYLOAD_INVALID", code_pb2.INVALID_ARGUMENT, {"payload": b"\xff{"}),
        (workflow(sources=[pb.SOURCE_WEBHOOK]), "CALLER_NOT_ALLOWED", code_pb2.PERMISSION_DENIED, {}),
    ],
)
def test_what_is_refused_is_durable_with_all_that_it_was_asked_with(
    wire: Wire, definition: defs.Workflow, reason: str, code: int, fields: dict[str, Any]
) -> None:
    """ADM-2: the caller gets the code and the execution id; the record has the whole correlation."""
    wire.define(definition)
    execution_id = str(uuid.uuid4())
    with refused(reason, code) as refusal:
        wire.enqueue(execution_id=execution_id, request_id="req-7", external_id="ext-7", **fields)
    assert refusal.metadata["execution_id"] == execution_id
    record = rejected(wire, execution_id, reason.lower())
    ids = record.correlation
    assert (ids.request_id, ids.external_id, ids.root_execution_id) == ("req-7", "ext-7", execution_id)
    assert [e.correlation for e in wire.found(request_id="req-7")] == [ids]
    with refused(reason, code):
        wire.enqueue(execution_id=execution_id, request_id="req-7", external_id="ext-7", **fields)
    assert wire.get(execution_id) == record


def test_a_rate_tells_when_to_come_again_and_the_key_is_free_then(wire: Wire) -> None:
    wire.define(workflow(rate=hourly(1)))
    assert wire.enqueue(idempotency_key="first").existing is False
    assert wire.enqueue(idempotency_key="first").existing is True, "a repeat takes no token"
    with refused("RATE_LIMITED", code_pb2.RESOURCE_EXHAUSTED) as refusal:
        wire.enqueue(idempotency_key="second")
    assert 0 < refusal.retry_after <= 3600
    rejected(wire, refusal.metadata["execution_id"], "rate_limited")
    wire.define(workflow())
    assert wire.enqueue(idempotency_key="second").existing is False


def test_a_full_queue_refuses_and_one_item_of_many_fails_alone(wire: Wire) -> None:
    wire.define(defs.Queue(queue="default", max_depth=2))
    answers = wire.enqueue_many(*({} for _ in range(4)))
    outcomes = [str(a.WhichOneof("result")) for a in answers]
    assert sorted(outcomes) == ["accepted", "accepted", "refused", "refused"]
    assert {a.refused.reason for a in answers if a.HasField("refused")} == {"QUEUE_FULL"}
    for answer in answers:
        if answer.HasField("refused"):
            rejected(wire, answer.refused.metadata["execution_id"], "queue_full")


def test_work_beyond_a_concurrency_limit_waits_and_goes_out_when_there_is_room(wire: Wire) -> None:
    wire.define(workflow(concurrency=defs.Concurrency(limit=2)))
    for _ in range(5):
        wire.enqueue()
    with wire.worker(credits=5) as worker:
        for number in range(1, 6):
            lease = worker.lease(number)
            assert len(wire.found(states=[RUNNING])) <= 2
            if number == 2:
                assert len(wire.found(states=[QUEUED])) == 3
            if number > 1:
                worker.settle(lease)


def test_of_each_key_one_runs_and_the_others_do_not_stand_in_the_way(wire: Wire) -> None:
    wire.define(workflow(concurrency=defs.Concurrency(per_key=1)))
    for key in ("a", "a", "a", "b", "b", ""):
        wire.enqueue(concurrency_key=key)
    with wire.worker(credits=6) as worker:
        worker.lease(3)
        leases = worker.heard.leases
        keys = [wire.get(lease.correlation.execution_id).concurrency_key for lease in leases]
        assert sorted(keys) == ["", "a", "b"]
        assert len(wire.found(states=[QUEUED])) == 3


def test_a_limit_that_refuses_does_so_at_the_accept(wire: Wire) -> None:
    wire.define(defs.Queue(queue="default", concurrency=REFUSING))
    wire.enqueue()
    with refused("CONCURRENCY_LIMIT", code_pb2.RESOURCE_EXHAUSTED):
        wire.enqueue()


def test_what_is_disabled_meanwhile_does_not_go_out(wire: Wire) -> None:
    """ADM-3: looked at again before it is handed out, with the same correlation."""
    accepted = wire.enqueue(request_id="req-8").execution
    wire.define(workflow(disabled=True))
    with wire.worker():
        record = wire.wait(accepted.correlation.execution_id)
    assert record.correlation == accepted.correlation
    rejected(wire, accepted.correlation.execution_id, "workflow_disabled")


def test_what_an_enqueue_leaves_open_the_workflow_decides(wire: Wire) -> None:
    wire.define(
        workflow(
            queue="fast",
            retry=pb.RetryPolicy(max_attempts=2),
            deadlines=pb.Deadlines(attempt=Duration(seconds=60)),
        )
    )
    own = wire.enqueue(queue="own", retry=pb.RetryPolicy(max_attempts=5))
    assert (wire.enqueue().execution.queue, own.execution.queue) == ("fast", "own")
    with wire.worker(queues=["fast", "own"], credits=2) as worker:
        leases = {lease.queue: lease for lease in (worker.lease(1), worker.lease(2))}
    assert (leases["fast"].max_attempts, leases["own"].max_attempts) == (2, 5)
    assert 0 < leases["fast"].deadline.seconds <= 60


def test_an_error_says_what_does_not_fit_and_where(wire: Wire) -> None:
    wire.define(workflow(json_schema=NUMBER))
    with refused("PAYLOAD_INVALID", code_pb2.INVALID_ARGUMENT) as refusal:
        wire.enqueue(payload=b'{"n": "many"}')
    assert "$.n" in refusal.message
    assert "many" in refusal.message
    assert refusal.metadata["field"] == "payload"
