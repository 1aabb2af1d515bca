"""Time running out and cancellations, over the API; RUN-5, RUN-6 and CAN."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work
from tests.wire import Wire, detail, reason_of

SHORT = Duration(nanos=200_000_000)


def test_work_that_nobody_takes_expires_in_the_queue(wire: Wire) -> None:
    wire.enqueue(execution_id="e1", deadlines=pb.Deadlines(in_queue=SHORT))
    record = wire.wait("e1")
    assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "expired_in_queue")
    assert record.finalization_path == pb.FINALIZATION_PATH_REAPED


@pytest.mark.parametrize("limit", ["attempt", "total"])
def test_a_passed_deadline_fails_a_running_execution(wire: Wire, limit: str) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1", deadlines=pb.Deadlines(**{limit: SHORT}))
        lease = worker.lease()
        assert lease.HasField("deadline")
        record = wire.wait("e1")
        assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "timeout")
        assert worker.settle(lease).refused.reason == "ALREADY_FINALIZED"


def test_a_worker_that_gives_up_at_the_deadline_timed_out(wire: Wire) -> None:
    """RUN-5: never CANCELLED."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1", deadlines=pb.Deadlines(attempt=Duration(seconds=60)))
        worker.settle(worker.lease(), cancelled=work.Cancelled(reason="deadline"))
    assert (wire.get("e1").state, wire.get("e1").error.type) == (pb.EXECUTION_STATE_FAILED, "timeout")


def test_a_worker_that_cancels_unasked_failed(wire: Wire) -> None:
    """RUN-6."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        worker.settle(worker.lease(), cancelled=work.Cancelled())
    assert wire.get("e1").error.type == "worker_cancelled"


def test_cancelling_what_waits_settles_it_at_once(wire: Wire) -> None:
    """CAN-1 and CAN-2."""
    wire.enqueue(execution_id="e1")
    first, again = wire.cancel("e1"), wire.cancel("e1")
    assert (first.settled, again.settled, first.worker_told) == (True, True, False)
    assert wire.get("e1").state == pb.EXECUTION_STATE_CANCELLED


def test_a_running_worker_is_told_and_its_answer_counts(wire: Wire) -> None:
    """CAN-1."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        answer = wire.cancel("e1")
        assert (answer.settled, answer.worker_told) == (False, True)
        worker.until(lambda heard: heard.cancels, "the cancellation")
        assert worker.heard.cancels[0].reason == "test"
        worker.settle(lease, cancelled=work.Cancelled())
    record = wire.get("e1")
    assert (record.state, record.cancel_reason) == (pb.EXECUTION_STATE_CANCELLED, "test")


def test_a_success_wins_over_a_pending_cancellation_and_shows_it(wire: Wire) -> None:
    """CAN-2."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        wire.cancel("e1")
        worker.settle(lease)
    record = wire.get("e1")
    assert (record.state, record.cancel_requested) == (pb.EXECUTION_STATE_SUCCEEDED, True)


def test_a_worker_that_does_not_react_is_fenced_after_the_grace(wire: Wire) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        wire.cancel("e1", grace=0.2)
        assert wire.wait("e1").state == pb.EXECUTION_STATE_CANCELLED
        assert worker.settle(lease).refused.reason == "ALREADY_FINALIZED"


def test_a_cancellation_asked_for_while_the_worker_was_away_reaches_it_by_heartbeat(wire: Wire) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        worker.disconnect()
        assert not wire.cancel("e1").settled
        worker.connect(lease.lease)
        worker.send(heartbeats=[work.Heartbeat(lease=lease.lease)])
        worker.until(lambda heard: heard.cancels, "the cancellation")
        worker.settle(lease, cancelled=work.Cancelled())


def test_what_is_settled_cannot_be_cancelled(wire: Wire) -> None:
    """CAN-2."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        worker.settle(worker.lease())
    with pytest.raises(grpc.RpcError) as refused:
        wire.cancel("e1")
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(refused.value) == "ALREADY_FINALIZED"
    assert detail(refused.value, pb.CurrentExecution).execution.state == pb.EXECUTION_STATE_SUCCEEDED


def test_work_for_later_waits_for_its_time(wire: Wire) -> None:
    with wire.worker() as worker:
        first = wire.enqueue(execution_id="later")
        run_at = first.execution.accepted_at
        later = api.EnqueueItem(workflow_id="audit", execution_id="e2")
        later.run_at.FromNanoseconds(run_at.ToNanoseconds() + 1_000_000_000)
        worker.settle(worker.lease())
        worker.send(credits=1)
        request = api.EnqueueExecutionRequest(namespace=wire.namespace, item=later)
        wire.executions.EnqueueExecution(request, timeout=10)
        worker.settle(worker.lease(2))
    record = wire.get("e2")
    assert record.started_at.ToNanoseconds() >= later.run_at.ToNanoseconds()


def test_a_watcher_sees_versions_grow_up_to_the_end(wire: Wire) -> None:
    wire.enqueue(execution_id="e1")
    request = api.WatchExecutionRequest(namespace=wire.namespace, execution_id="e1")
    stream = wire.executions.WatchExecution(request, timeout=20)
    seen = [next(stream).execution]
    with wire.worker() as worker:
        worker.settle(worker.lease())
    seen += [response.execution for response in stream]
    versions = [execution.version for execution in seen]
    assert versions == sorted(set(versions))
    assert (seen[0].state, seen[-1].state) == (pb.EXECUTION_STATE_QUEUED, pb.EXECUTION_STATE_SUCCEEDED)


def test_waiting_ends_with_the_time_given(wire: Wire) -> None:
    wire.enqueue(execution_id="e1")
    request = api.WaitExecutionRequest(namespace=wire.namespace, execution_id="e1", timeout=SHORT)
    answer = wire.executions.WaitExecution(request, timeout=10)
    assert (answer.finalized, answer.execution.state) == (False, pb.EXECUTION_STATE_QUEUED)
