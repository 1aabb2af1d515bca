"""Leases, steps, settlements and retries over a raw worker stream; FIN and RUN of the behaviours."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.wire import RawWorker, Wire, detail, failed, reason_of, settlement

AT_ONCE = pb.RetryPolicy(max_attempts=2, initial_interval=Duration(nanos=1_000_000))


def test_work_goes_from_enqueue_to_its_outcome(wire: Wire) -> None:
    """FIN-1 and RUN-2."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1", payload=b"in", content_type="text/plain")
        lease = worker.lease()
        assert (lease.payload, lease.content_type, lease.attempt) == (b"in", "text/plain", 1)
        result = worker.settle(lease, succeeded=work.Succeeded(output=b"out", content_type="text/plain"))
    assert result.settled.state == pb.EXECUTION_STATE_SUCCEEDED
    record = wire.get("e1")
    assert (record.output, record.attempts) == (b"out", 1)
    assert record.finalization_path == pb.FINALIZATION_PATH_COMPLETED
    assert record.started_at.ToNanoseconds() <= record.finalized_at.ToNanoseconds()


def test_what_was_enqueued_before_a_worker_came_is_given_to_it_in_order(wire: Wire) -> None:
    for n in range(5):
        wire.enqueue(execution_id=f"e{n}")
    with wire.worker(credits=5) as worker:
        worker.lease(5)
        given = [lease.correlation.execution_id for lease in worker.heard.leases]
    assert given == [f"e{n}" for n in range(5)]


def test_nothing_is_pushed_beyond_the_credits(wire: Wire) -> None:
    with wire.worker(credits=2) as worker:
        for n in range(5):
            wire.enqueue(execution_id=f"e{n}")
        worker.settle(worker.lease(2))
        assert len(worker.heard.leases) == 2
        worker.send(credits=1)
        worker.lease(3)


def test_a_worker_is_given_only_what_it_named(wire: Wire) -> None:
    with wire.worker(queues=["fast"], workflows=["parse"], credits=10) as worker:
        wire.enqueue(queue="slow", workflow_id="parse")
        wire.enqueue(queue="fast", workflow_id="other")
        wire.enqueue(queue="fast", workflow_id="parse", execution_id="mine")
        assert worker.lease().correlation.execution_id == "mine"
        assert len(worker.heard.leases) == 1


def test_a_failure_is_kept_as_the_worker_put_it(wire: Wire) -> None:
    """FIN-8."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        error = pb.ExecutionError(type="app.Broken", message="line 1\nline 2 \x00", stack="at f()")
        worker.settle(worker.lease(), failed=work.Failed(error=error))
    record = wire.get("e1")
    assert record.state == pb.EXECUTION_STATE_FAILED
    assert (record.error.type, record.error.stack) == ("app.Broken", "at f()")
    assert record.error.message.startswith("line 1\nline 2 ")


def test_a_failed_attempt_is_repeated_and_its_repair_is_the_outcome(wire: Wire) -> None:
    """RUN-4."""
    with wire.worker(credits=2) as worker:
        wire.enqueue(execution_id="e1", retry=AT_ONCE)
        first = worker.settle(worker.lease(), failed=failed("Flaky"))
        assert first.settled.state in (pb.EXECUTION_STATE_QUEUED, pb.EXECUTION_STATE_RUNNING)
        second = worker.lease(2)
        assert (second.attempt, second.max_attempts) == (2, 2)
        worker.settle(second)
    assert wire.get("e1").state == pb.EXECUTION_STATE_SUCCEEDED


def test_a_repeated_settlement_gets_the_settled_record(wire: Wire) -> None:
    """FIN-3."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        first = worker.settle(lease, succeeded=work.Succeeded(output=b"x"))
        again = worker.settle(lease, succeeded=work.Succeeded(output=b"x"))
    assert (first.replayed, again.replayed) == (False, True)
    assert first.settled == again.settled


def test_another_settlement_is_refused_with_the_record(wire: Wire) -> None:
    """FIN-3, by the unary call: the details hold the record."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        worker.settle(lease, succeeded=work.Succeeded(output=b"x"))
        request = work.SettleRequest(settlement=settlement(lease.lease, failed=failed("Late")))
        with pytest.raises(grpc.RpcError) as refused:
            wire.workers.Settle(request, timeout=10)
    assert reason_of(refused.value) == "ALREADY_FINALIZED"
    current = detail(refused.value, pb.CurrentExecution).execution
    assert (current.state, current.output) == (pb.EXECUTION_STATE_SUCCEEDED, b"x")


def test_a_settlement_with_a_forged_token_changes_nothing(wire: Wire) -> None:
    """Invariant 5."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        forged = work.LeaseRef()
        forged.CopyFrom(lease.lease)
        forged.token = bytes(16)
        request = work.SettleRequest(settlement=settlement(forged))
        with pytest.raises(grpc.RpcError) as refused:
            wire.workers.Settle(request, timeout=10)
        assert reason_of(refused.value) == "LEASE_LOST"
        assert wire.get("e1").state == pb.EXECUTION_STATE_RUNNING
        worker.settle(lease)


def step(lease: work.Lease, sequence: int, **fields: Any) -> work.StepReport:
    defaults: dict[str, Any] = {
        "lease": lease.lease,
        "sequence": sequence,
        "name": f"step-{sequence}",
        "phase": work.STEP_PHASE_STARTED,
        "span_id": sequence.to_bytes(8, "big"),
        "started_after": Duration(),
    }
    return work.StepReport(**{**defaults, **fields})


def test_steps_before_the_settlement_are_in_the_record_and_later_ones_refused(wire: Wire) -> None:
    """FIN-10 and RUN-8."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        done = step(lease, 1, phase=work.STEP_PHASE_COMPLETED, completed_after=Duration())
        frame = {"steps": [step(lease, 1), done, step(lease, 2)], "settlements": [settlement(lease.lease)]}
        worker.send(**frame)
        worker.until(lambda heard: heard.settled, "the settlement's answer")
        worker.send(steps=[step(lease, 3)])
        worker.until(lambda heard: heard.refused, "the refusal of a late step")
    markers = wire.get("e1").steps
    assert (markers.last_started, markers.last_completed) == ("step-2", "step-1")
    assert worker.heard.refused[0].refused.reason == "ALREADY_FINALIZED"


def test_a_malformed_report_is_refused_alone_and_the_stream_lives(wire: Wire) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        worker.send(steps=[step(lease, 1, name=""), step(lease, 2, span_id=b"short"), step(lease, 3)])
        worker.until(lambda heard: len(heard.refused) == 2, "two refusals")
        assert {r.refused.metadata["field"] for r in worker.heard.refused} == {"steps.name", "steps.span_id"}
        worker.settle(lease)
    assert wire.get("e1").steps.last_started == "step-3"


def reconnected(worker: RawWorker, *held: work.LeaseRef) -> RawWorker:
    worker.disconnect()
    worker.connect(*held)
    return worker


def test_a_delivery_that_was_pushed_but_never_received_is_no_attempt(wire: Wire) -> None:
    """RUN-4: the worker comes back and does not name the lease."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lost = worker.lease()
        again = reconnected(worker).lease()
        assert again.lease.fence == lost.lease.fence + 1
        assert again.attempt == 1
        worker.settle(again)
    assert wire.get("e1").attempts == 1


def test_a_lease_that_is_held_survives_a_reconnect(wire: Wire) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        reconnected(worker, lease.lease)
        assert not worker.heard.welcomes[0].lost
        worker.settle(lease)
    assert wire.get("e1").attempts == 1


def test_a_lease_given_back_goes_to_another_worker_uncounted(wire: Wire) -> None:
    with wire.worker() as first, wire.worker(credits=0) as second:
        wire.enqueue(execution_id="e1")
        lease = first.lease()
        second.send(credits=1)
        first.send(releases=[work.ReleaseLease(lease=lease.lease)])
        assert second.lease().attempt == 1
        second.settle(second.lease())


def test_an_output_over_the_limit_leaves_a_success(wire: Wire) -> None:
    """FIN-4."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        worker.settle(worker.lease(), succeeded=work.Succeeded(output=b"x" * 1_048_577))
    record = wire.get("e1")
    assert (record.state, record.output_missing, record.output) == (pb.EXECUTION_STATE_SUCCEEDED, True, b"")
    assert "limit" in record.minimal
