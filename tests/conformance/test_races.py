"""Races for one execution's end: one winner, one terminal span, and the losers are told by name.

Invariants 1 and 5. Pairs are let loose together; which of them wins is not promised, that one does is.
"""

import threading
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.wire import PATIENCE, Wire, failed, reason_of, settlement

PAIRS = 20
TERMINAL = (pb.EXECUTION_STATE_SUCCEEDED, pb.EXECUTION_STATE_FAILED, pb.EXECUTION_STATE_CANCELLED)


def together(*calls: Callable[[], str]) -> list[str]:
    """Run the calls at the same time; return what each ended as: OK, or the reason of its refusal."""
    barrier = threading.Barrier(len(calls))
    outcomes = [""] * len(calls)

    def run(n: int, call: Callable[[], str]) -> None:
        barrier.wait()
        try:
            outcomes[n] = call()
        except grpc.RpcError as error:
            outcomes[n] = reason_of(error)

    threads = [threading.Thread(target=run, args=(n, call)) for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def settle(wire: Wire, lease: work.Lease, **outcome: object) -> Callable[[], str]:
    request = work.SettleRequest(settlement=settlement(lease.lease, **outcome))

    def call() -> str:
        answer = wire.workers.Settle(request, timeout=PATIENCE)
        return "REPLAYED" if answer.replayed else "OK"

    return call


def cancel(wire: Wire, execution_id: str) -> Callable[[], str]:
    def call() -> str:
        wire.cancel(execution_id, grace=0.0)
        return "OK"

    return call


def assert_one_end(wire: Wire, execution_id: str) -> pb.Execution:
    record = wire.wait(execution_id)
    assert record.state in TERMINAL
    request = admin.GetTraceRequest(namespace=wire.namespace, execution_id=execution_id)
    spans = wire.admin.GetTrace(request, timeout=PATIENCE).spans
    ends = [s for s in spans if s.attributes.get("sidecar.terminal") == "true"]
    assert len(ends) == 1
    assert ends[0].delivery == admin.SPAN_DELIVERY_PENDING
    return record


def test_two_different_settlements_have_one_winner(wire: Wire) -> None:
    with wire.worker(credits=PAIRS) as worker:
        for n in range(PAIRS):
            wire.enqueue(execution_id=f"e{n}")
            lease = worker.lease(n + 1)
            good = settle(wire, lease, succeeded=work.Succeeded(output=b"good"))
            bad = settle(wire, lease, failed=failed("Broken"))
            assert sorted(together(good, bad)) == ["ALREADY_FINALIZED", "OK"]
            assert_one_end(wire, f"e{n}")


def test_the_same_settlement_twice_is_one_and_a_replay(wire: Wire) -> None:
    with wire.worker(credits=PAIRS) as worker:
        for n in range(PAIRS):
            wire.enqueue(execution_id=f"e{n}")
            call = settle(wire, worker.lease(n + 1))
            assert sorted(together(call, call)) == ["OK", "REPLAYED"]


def test_a_completion_and_a_cancellation_have_one_winner(wire: Wire) -> None:
    with wire.worker(credits=PAIRS) as worker:
        for n in range(PAIRS):
            wire.enqueue(execution_id=f"e{n}")
            outcomes = together(settle(wire, worker.lease(n + 1)), cancel(wire, f"e{n}"))
            record = assert_one_end(wire, f"e{n}")
            if record.state == pb.EXECUTION_STATE_SUCCEEDED:
                assert outcomes in (["OK", "OK"], ["OK", "ALREADY_FINALIZED"])
            else:
                assert outcomes == ["ALREADY_FINALIZED", "OK"]


def test_a_completion_and_a_deadline_have_one_winner(wire: Wire) -> None:
    """The worker settles just when the reaper finds the deadline passed."""
    short = pb.Deadlines(attempt=Duration(nanos=900_000_000))
    with wire.worker(credits=PAIRS) as worker:
        for n in range(PAIRS):
            wire.enqueue(execution_id=f"e{n}", deadlines=short)
        worker.lease(PAIRS)
        ended: list[str] = []
        for lease in list(worker.heard.leases):
            ended += together(settle(wire, lease))
        assert set(ended) <= {"OK", "ALREADY_FINALIZED"}
        for lease, outcome in zip(worker.heard.leases, ended, strict=True):
            record = assert_one_end(wire, lease.correlation.execution_id)
            won = record.state == pb.EXECUTION_STATE_SUCCEEDED
            assert won == (outcome == "OK")
            assert won or record.error.type == "timeout"


def test_contradictions_in_one_frame_are_settled_in_their_order(wire: Wire) -> None:
    """Within one commit: the first wins, and each later one is told so."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        ref = worker.lease().lease
        worker.send(
            settlements=[
                settlement(ref, failed=failed("First")),
                settlement(ref, succeeded=work.Succeeded()),
                settlement(ref, failed=failed("First")),
            ]
        )
        worker.until(lambda heard: len(heard.settled) == 3, "three answers")
        first, second, third = worker.heard.settled
    assert first.settled.error.type == "First"
    assert second.refused.reason == "ALREADY_FINALIZED"
    assert second.refused.execution.error.type == "First"
    assert third.replayed
    assert assert_one_end(wire, "e1").error.type == "First"


def test_leases_of_different_age_within_one_frame(wire: Wire) -> None:
    """The older lease is lost; the one that holds settles."""
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        older = worker.lease().lease
        worker.disconnect()
        worker.connect()
        current = worker.lease().lease
        worker.send(
            settlements=[
                settlement(older, succeeded=work.Succeeded(output=b"zombie")),
                settlement(current, succeeded=work.Succeeded(output=b"holder")),
            ]
        )
        worker.until(lambda heard: len(heard.settled) == 2, "two answers")
        lost, won = worker.heard.settled
    assert lost.refused.reason == "LEASE_LOST"
    assert won.settled.output == b"holder"
    assert assert_one_end(wire, "e1").output == b"holder"


@pytest.mark.parametrize("workers", [16])
def test_many_workers_and_one_execution_make_one_attempt(wire: Wire, workers: int) -> None:
    crew = [wire.worker() for _ in range(workers)]
    for worker in crew:
        worker.connect()
    wire.enqueue(execution_id="e1")
    record = None
    while record is None or record.state != pb.EXECUTION_STATE_RUNNING:
        record = wire.get("e1")
    holder = next(w for w in crew if w.hello.worker_id == record.worker_id)
    holder.settle(holder.lease())
    assert [len(w.heard.leases) for w in crew].count(1) == 1
    assert assert_one_end(wire, "e1").attempts == 1
    for worker in crew:
        worker.disconnect()
