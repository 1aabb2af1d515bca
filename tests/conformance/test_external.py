"""Executions whose work an outside process does, over the raw API: EXT-1, EXT-2 and SCH-5."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work
from tests.conformance import bad_values as values
from tests.conftest import StartSidecar
from tests.services.loopback import await_condition
from tests.wire import PATIENCE, Wire, detail, failed, reason_of, settlement

EXTERNAL = pb.DISPATCH_EXTERNAL
QUEUED, RUNNING = pb.EXECUTION_STATE_QUEUED, pb.EXECUTION_STATE_RUNNING
AT_ONCE = Duration(nanos=1_000_000)


def register(wire: Wire, execution_id: str = "e1", **fields: Any) -> api.EnqueueExecutionResponse:
    return wire.enqueue(execution_id=execution_id, dispatch=EXTERNAL, **fields)


def begin(wire: Wire, execution_id: str = "e1", worker_id: str = "w1", **fields: Any) -> work.Lease:
    request = work.BeginRequest(
        namespace=wire.namespace,
        execution_id=execution_id,
        worker_id=worker_id,
        resource={"service.name": "shell"},
        sdk="test/1",
        **fields,
    )
    return wire.workers.Begin(request, timeout=PATIENCE).lease


def heartbeat(wire: Wire, lease: work.Lease) -> work.HeartbeatResponse:
    return wire.workers.Heartbeat(work.HeartbeatRequest(lease=lease.lease), timeout=PATIENCE)


def settle(wire: Wire, lease: work.Lease, **outcome: Any) -> work.SettleResponse:
    request = work.SettleRequest(settlement=settlement(lease.lease, **outcome))
    return wire.workers.Settle(request, timeout=PATIENCE)


def test_register_begin_heartbeat_settle(wire: Wire) -> None:
    """EXT-1."""
    registered = register(wire, payload=b"in", content_type="text/plain", request_id="r1")
    assert (registered.execution.state, registered.execution.dispatch) == (QUEUED, EXTERNAL)
    lease = begin(wire)
    assert (lease.payload, lease.content_type, lease.attempt) == (b"in", "text/plain", 1)
    assert (lease.correlation.request_id, lease.correlation.execution_id) == ("r1", "e1")
    trace_id = registered.execution.trace_id
    assert lease.carrier.traceparent.split("-")[1] == trace_id
    assert heartbeat(wire, lease).renewal.lease == lease.lease
    assert (wire.get("e1").state, wire.get("e1").worker_id) == (RUNNING, "w1")
    ended = settle(wire, lease, succeeded=work.Succeeded(output=b"out", content_type="text/plain"))
    assert ended.execution.state == pb.EXECUTION_STATE_SUCCEEDED
    assert (wire.get("e1").output, wire.get("e1").attempts) == (b"out", 1)
    assert settle(wire, lease, succeeded=work.Succeeded(output=b"out", content_type="text/plain")).replayed


def test_workers_are_never_given_what_is_done_outside(wire: Wire) -> None:
    with wire.worker(credits=5) as worker:
        register(wire, "outside")
        wire.enqueue(execution_id="inside")
        assert worker.lease().correlation.execution_id == "inside"
        assert (wire.get("outside").state, len(worker.heard.leases)) == (QUEUED, 1)
        settle(wire, begin(wire, "outside"))
        worker.settle(worker.lease())


def refused(wire: Wire, reason: str, **fields: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        begin(wire, **fields)
    assert reason_of(error.value) == reason
    return error.value


def test_what_cannot_begin(wire: Wire) -> None:
    """EXT-2: who comes second is told by whom, and for how long."""
    assert refused(wire, "EXECUTION_NOT_FOUND").code() is grpc.StatusCode.NOT_FOUND
    wire.enqueue(execution_id="managed")
    assert refused(wire, "NOT_EXTERNAL", execution_id="managed").code() is grpc.StatusCode.FAILED_PRECONDITION
    register(wire)
    lease = begin(wire)
    elsewhere = refused(wire, "LEASED_ELSEWHERE", worker_id="w2")
    metadata = detail(elsewhere, error_details_pb2.ErrorInfo).metadata
    assert 0 < int(metadata["retry_after_ms"]) <= 30_000
    assert detail(elsewhere, pb.CurrentExecution).execution.worker_id == "w1"
    settle(wire, lease)
    ended = refused(wire, "ALREADY_FINALIZED", worker_id="w2")
    assert detail(ended, pb.CurrentExecution).execution.state == pb.EXECUTION_STATE_SUCCEEDED
    register(wire, "cancelled")
    wire.cancel("cancelled")
    record = detail(refused(wire, "ALREADY_FINALIZED", execution_id="cancelled"), pb.CurrentExecution)
    assert record.execution.state == pb.EXECUTION_STATE_CANCELLED


def test_a_repeat_whose_answer_was_lost_is_given_the_same_lease(wire: Wire) -> None:
    register(wire, payload=b"in")
    first, again = begin(wire), begin(wire)
    for lease in (first, again):
        lease.ClearField("ttl")
    assert again == first
    settle(wire, again)
    assert wire.get("e1").attempts == 1


def test_of_many_that_begin_at_once_one_does(wire: Wire) -> None:
    """EXT-2."""
    register(wire)
    barrier = threading.Barrier(16)

    def attempt(number: int) -> str:
        barrier.wait()
        try:
            return begin(wire, worker_id=f"w{number}").lease.token.hex()
        except grpc.RpcError as error:
            return reason_of(error)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(attempt, range(16)))
    assert answers.count("LEASED_ELSEWHERE") == 15
    assert wire.get("e1").attempts == 1


def test_payloads_of_many_that_begin_together_are_each_their_own(wire: Wire) -> None:
    for number in range(20):
        register(wire, f"e{number}", payload=b"%d" % number * 10_000)
    with ThreadPoolExecutor(20) as pool:
        leases = list(pool.map(lambda n: begin(wire, f"e{n}"), range(20)))
    assert [lease.payload for lease in leases] == [b"%d" % n * 10_000 for n in range(20)]


def test_a_heartbeat_passes_a_cancellation_on(wire: Wire) -> None:
    """CAN-1."""
    register(wire)
    lease = begin(wire)
    assert not heartbeat(wire, lease).HasField("cancel")
    assert not wire.cancel("e1", grace=20).worker_told
    told = heartbeat(wire, lease).cancel
    assert (told.reason, told.lease) == ("test", lease.lease)
    assert 0 < told.grace.ToTimedelta().total_seconds() <= 20
    settle(wire, lease, cancelled=work.Cancelled())
    record = wire.get("e1")
    assert (record.state, record.cancel_reason) == (pb.EXECUTION_STATE_CANCELLED, "test")


def test_a_heartbeat_on_a_lease_that_is_no_more_says_why(wire: Wire) -> None:
    register(wire)
    lease = begin(wire)
    settle(wire, lease)
    with pytest.raises(grpc.RpcError) as ended:
        heartbeat(wire, lease)
    assert reason_of(ended.value) == "ALREADY_FINALIZED"
    lease.lease.execution_id = "e9"
    with pytest.raises(grpc.RpcError) as unknown:
        heartbeat(wire, lease)
    assert reason_of(unknown.value) == "EXECUTION_NOT_FOUND"


def test_a_failure_with_attempts_left_waits_for_its_owner(wire: Wire) -> None:
    """EXT-2: it goes back to waiting, and no worker of ours takes it."""
    with wire.worker(credits=5) as worker:
        register(wire, retry=pb.RetryPolicy(max_attempts=2, initial_interval=AT_ONCE))
        lost = begin(wire, worker_id="w1")
        settle(wire, lost, failed=failed("exit_code"))
        assert wire.get("e1").state == QUEUED
        second = begin(wire, worker_id="w2")
        assert (second.attempt, second.lease.fence) == (2, 2)
        settle(wire, second)
        assert not worker.heard.leases
    assert wire.get("e1").state == pb.EXECUTION_STATE_SUCCEEDED


def test_what_is_told_late_has_its_true_times(wire: Wire) -> None:
    """SCH-5: of a spool, accept and begin are when they were."""
    hour, half = Duration(seconds=3_600), Duration(seconds=1_800)
    before = wire.enqueue(execution_id="now").execution.accepted_at.ToDatetime()
    accepted = register(wire, accepted_ago=hour).execution.accepted_at.ToDatetime()
    settle(wire, begin(wire, begun_ago=half))
    started = wire.get("e1").started_at.ToDatetime()
    slack = timedelta(seconds=60)
    assert before - timedelta(hours=1) <= accepted <= before - timedelta(hours=1) + slack
    assert before - timedelta(minutes=30) <= started <= before - timedelta(minutes=30) + slack
    register(wire, "e2", accepted_ago=hour)
    settle(wire, begin(wire, "e2", begun_ago=Duration(seconds=86_400)))
    second = wire.get("e2")
    assert second.started_at == second.accepted_at, "never before the accept"


@pytest.mark.parametrize("case", values.BEGIN, ids=str)
def test_a_bad_begin_is_refused_and_nothing_changes(wire: Wire, case: values.Bad) -> None:
    register(wire)
    before = wire.get("e1")
    request = work.BeginRequest(namespace=wire.namespace, execution_id="e1", worker_id="w1")
    case.put(request)
    with pytest.raises(grpc.RpcError) as error:
        wire.workers.Begin(request, timeout=PATIENCE)
    assert detail(error.value, error_details_pb2.ErrorInfo).metadata["field"] == case.field
    assert wire.get("e1") == before


def test_a_bad_heartbeat_is_refused_and_the_lease_stays(wire: Wire) -> None:
    register(wire)
    lease = begin(wire)
    for case in values.HEARTBEAT:
        request = work.HeartbeatRequest(lease=lease.lease)
        case.put(request)
        with pytest.raises(grpc.RpcError) as error:
            wire.workers.Heartbeat(request, timeout=PATIENCE)
        assert detail(error.value, error_details_pb2.ErrorInfo).metadata["field"] == case.field
    settle(wire, lease)


def test_a_silent_process_loses_its_lease(start_sidecar: StartSidecar) -> None:
    """EXT-2 and RUN-3: with an attempt left it waits again, else it failed; the late one is fenced."""
    with start_sidecar(SIDECAR_LEASE_TTL="1s", SIDECAR_REAP_PERIOD="100ms") as sidecar:
        wire = Wire(sidecar.target, "default")
        register(wire, "once")
        register(wire, "twice", retry=pb.RetryPolicy(max_attempts=2, initial_interval=AT_ONCE))
        once, twice = begin(wire, "once"), begin(wire, "twice")
        record = wire.wait("once")
        assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "lease_expired")
        second = begin_when_free(wire, "twice")
        assert second.lease.fence == 2
        with pytest.raises(grpc.RpcError) as late:
            settle(wire, twice)
        assert reason_of(late.value) == "LEASE_LOST"
        with pytest.raises(grpc.RpcError) as ended:
            settle(wire, once)
        assert reason_of(ended.value) == "ALREADY_FINALIZED"
        assert settle(wire, second).execution.state == pb.EXECUTION_STATE_SUCCEEDED
        wire.close()


def begin_when_free(wire: Wire, execution_id: str) -> work.Lease:
    """Begin as another worker, as often as its broker would deliver it again."""
    leases: list[work.Lease] = []

    def has_begun() -> bool:
        try:
            leases.append(begin(wire, execution_id, worker_id="w2"))
        except grpc.RpcError as error:
            if reason_of(error) != "LEASED_ELSEWHERE":
                raise
        return bool(leases)

    await_condition(has_begun, "the lost lease is free", PATIENCE)
    return leases[0]


def test_a_begin_outlives_a_restart_of_the_sidecar(start_sidecar: StartSidecar) -> None:
    """Invariant 3: what was answered is durable."""
    with start_sidecar() as sidecar:
        wire = Wire(sidecar.target, "default")
        register(wire)
        lease = begin(wire)
        sidecar.kill()
        sidecar.start()
        assert heartbeat(wire, lease).renewal.lease == lease.lease
        assert begin(wire).lease == lease.lease
        settle(wire, lease)
        assert wire.get("e1").state == pb.EXECUTION_STATE_SUCCEEDED
        wire.close()
