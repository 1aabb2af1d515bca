"""Bounds on the wire: large payloads and outputs, clients that do not read, workers that leave.

Invariants 5, 7 and 9.
"""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work
from tests.conftest import StartSidecar
from tests.services.loopback import await_condition
from tests.wire import PATIENCE, Wire, detail, reason_of, settlement

MEGABYTE = bytes(1_000_000)


def test_leases_come_in_frames_that_any_client_takes(wire: Wire) -> None:
    """GRPC's own limit of 4 MiB holds, whatever the credits."""
    for n in range(8):
        wire.enqueue(execution_id=f"e{n}", payload=MEGABYTE)
    with wire.worker(credits=10) as worker:
        worker.lease(8)
        assert {len(lease.payload) for lease in worker.heard.leases} == {len(MEGABYTE)}
        for lease in list(worker.heard.leases):
            worker.settle(lease, succeeded=work.Succeeded(output=MEGABYTE))
    assert wire.get("e7").output == MEGABYTE
    assert wire.get("e7").attempts == 1


@pytest.mark.parametrize("size", [9_000, 100_000, 1_000_000])
def test_a_refusal_says_why_however_large_the_record(wire: Wire, size: int) -> None:
    """FIN-3 and CAN-2: details travel in metadata, which is small."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        stack = "x" * 60_000
        error = pb.ExecutionError(type="Broken", message="y" * 8_000, stack=stack)
        if size < 1_000_000:
            worker.settle(lease, succeeded=work.Succeeded(output=bytes(size)))
        else:
            worker.settle(lease, failed=work.Failed(error=error))
        late = work.SettleRequest(settlement=settlement(lease.lease, cancelled=work.Cancelled()))
        for call in (lambda: wire.workers.Settle(late, timeout=PATIENCE), lambda: wire.cancel("e1")):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert reason_of(refused.value) == "ALREADY_FINALIZED"
            current = detail(refused.value, pb.CurrentExecution).execution
            assert current.correlation.execution_id == "e1"


def test_a_page_of_large_records_fits_a_message(wire: Wire) -> None:
    stack = "x" * 60_000
    with wire.worker(credits=100) as worker:
        for n in range(100):
            wire.enqueue(execution_id=f"e{n}")
        worker.lease(100)
        for lease in list(worker.heard.leases):
            worker.settle(lease, failed=work.Failed(error=pb.ExecutionError(type="Broken", stack=stack)))
    page = wire.executions.ListExecutions(
        api.ListExecutionsRequest(namespace=wire.namespace), timeout=PATIENCE
    )
    assert len(page.executions) == 100


def test_a_worker_that_leaves_draws_no_more_leases(wire: Wire) -> None:
    """A rolling deploy burns nobody's attempts."""
    with wire.worker(credits=50) as leaving:
        # The refusal of the heartbeat says that the frame was taken.
        leaving.send(draining=True, heartbeats=[work.Heartbeat(lease=work.LeaseRef())])
        leaving.until(lambda heard: heard.refused, "the frame's answer")
        wire.enqueue(execution_id="mine")
        with wire.worker() as staying:
            lease = staying.lease()
            assert lease.attempt == 1
            staying.settle(lease)
        assert not leaving.heard.leases


def test_too_many_lanes_are_refused(wire: Wire) -> None:
    worker = wire.worker(queues=[f"q{n}" for n in range(33)], workflows=[f"w{n}" for n in range(32)])
    worker.open()
    worker.until(lambda heard: heard.ended is not None, "the refusal")
    assert isinstance(worker.heard.ended, grpc.RpcError)
    assert reason_of(worker.heard.ended) == "INVALID_ARGUMENT"


def test_a_bad_time_among_many_fails_alone(wire: Wire) -> None:
    items = [wire.item(execution_id=f"e{n}") for n in range(3)]
    items[1].run_at.FromSeconds(3_976_214_399)
    items[1].deadlines.in_queue.FromSeconds(315_000_000)
    request = api.EnqueueExecutionsRequest(namespace=wire.namespace, items=items)
    results = wire.executions.EnqueueExecutions(request, timeout=PATIENCE).results
    assert [r.HasField("accepted") for r in results] == [True, True, True]


def test_the_outbox_holds_each_terminal_span_once(wire: Wire) -> None:
    """Invariant 1, by what is stored: one row of bytes for one outcome, whoever raced for it."""
    before = account(wire)
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        both = [settlement(lease.lease), settlement(lease.lease, cancelled=work.Cancelled())]
        worker.send(settlements=both)
        worker.until(lambda heard: len(heard.settled) == 2, "two answers")
    after = account(wire)
    assert (after.terminal - before.terminal, after.pending - before.pending) == (1, 1)


def account(wire: Wire) -> admin.Account:
    return wire.admin.Verify(admin.VerifyRequest(namespace=wire.namespace), timeout=PATIENCE).account


def test_what_a_gone_worker_never_read_is_given_back(start_sidecar: StartSidecar) -> None:
    """Deliveries that never left the sidecar are not attempts."""
    house = start_sidecar(SIDECAR_LEASE_TTL="60s")
    house.start()
    wire = Wire(house.target, "default")
    for n in range(12):
        wire.enqueue(execution_id=f"e{n}", payload=MEGABYTE)
    deaf = wire.worker(credits=12)
    deaf.read_no_more()
    deaf.open()
    await_condition(lambda: running(wire) == 12, "everything is leased to the deaf worker", PATIENCE)
    with wire.worker(credits=12, worker_id="patient") as patient:
        deaf.disconnect()
        patient.until(lambda heard: heard.leases, "a lease that the deaf worker had not taken")
        assert {lease.attempt for lease in patient.heard.leases} == {1}


def running(wire: Wire) -> int:
    states = [pb.EXECUTION_STATE_RUNNING]
    request = api.ListExecutionsRequest(namespace=wire.namespace, states=states)
    return len(wire.executions.ListExecutions(request, timeout=PATIENCE).executions)


def test_a_delay_is_at_least_a_delay(wire: Wire) -> None:
    """Times on the record are by one clock."""
    with wire.worker() as worker:
        answer = wire.enqueue(execution_id="e1", run_in=Duration(nanos=300_000_000))
        worker.settle(worker.lease())
    record = wire.get("e1")
    waited = record.started_at.ToNanoseconds() - answer.execution.accepted_at.ToNanoseconds()
    assert waited >= 300_000_000
