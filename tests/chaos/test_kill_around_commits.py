"""SIGKILL of the sidecar around its commits: nothing acknowledged is lost, nothing is settled twice.

Invariants 1, 2, 3 and 10, on both stores.
"""

from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.conftest import StartSidecar
from tests.processes import SidecarProcess
from tests.services.sink import Sink
from tests.wire import PATIENCE, Wire, settlement

KILLED = -9


@pytest.fixture
def victim(start_sidecar: StartSidecar, sink: Sink) -> SidecarProcess:
    """A sidecar to kill, with leases short enough to wait for, and a collector that is away for now."""
    sink.stop()
    process = start_sidecar(
        SIDECAR_LEASE_TTL="2s",
        SIDECAR_REAP_PERIOD="100ms",
        SIDECAR_RELAY_LEASE="1s",
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
    )
    process.start()
    return process


@pytest.fixture
def wire(victim: SidecarProcess) -> Wire:
    return Wire(victim.target, "default")


def rearm(victim: SidecarProcess, failpoints: str) -> None:
    """Restart with failpoints armed."""
    victim.kill()
    victim.armed(failpoints).start()


def revive(victim: SidecarProcess) -> None:
    """Note the kill and start again, unarmed."""
    assert victim.await_death() == KILLED
    victim.armed("").start()


def assert_sound(wire: Wire, terminal: int) -> None:
    """The account adds up: so many are terminal, and each has its span."""
    answer = wire.admin.Verify(admin.VerifyRequest(), timeout=PATIENCE)
    assert not answer.violations
    assert (answer.account.terminal, answer.account.pending) == (terminal, terminal)


def terminal_spans(wire: Wire, execution_id: str) -> list[admin.Span]:
    request = admin.GetTraceRequest(namespace=wire.namespace, execution_id=execution_id)
    spans = wire.admin.GetTrace(request, timeout=PATIENCE).spans
    return [s for s in spans if s.attributes.get("sidecar.terminal") == "true" and s.HasField("end_time")]


def arrived(sink: Sink) -> list[str]:
    """Return the name of every copy of every span that the collector took: what was stored, was sent."""
    return [copy.span.name for copy in sink.copies]


POINTS = (
    "settle.before_outbox",
    "settle.between",
    "settle.before_commit",
    "settle.after_commit",
)


@pytest.mark.chaos
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_around_the_finalizers_commit_leaves_one_outcome(
    victim: SidecarProcess, wire: Wire, sink: Sink, point: str
) -> None:
    worker = wire.worker()
    worker.connect()
    wire.enqueue(execution_id="e1")
    lease = worker.lease()
    rearm(victim, f"{point}=kill")
    with pytest.raises(grpc.RpcError):
        _settle(wire, lease)
    revive(victim)
    answer = _settle(wire, lease)
    assert answer.execution.state == pb.EXECUTION_STATE_SUCCEEDED
    assert answer.replayed == point.endswith("after_commit")
    again = _settle(wire, lease)
    assert again.replayed
    assert again.execution == answer.execution
    assert len(terminal_spans(wire, "e1")) == 1
    assert_sound(wire, terminal=1)
    sink.start()
    sink.wait_until(lambda: len(arrived(sink)) >= 3, "three spans", PATIENCE)
    assert sorted(arrived(sink)) == ["execution audit", "process default", "send default"]


def _settle(wire: Wire, lease: work.Lease) -> work.SettleResponse:
    outcome = work.Succeeded(output=b"done")
    request = work.SettleRequest(settlement=settlement(lease.lease, succeeded=outcome))
    return wire.workers.Settle(request, timeout=PATIENCE, wait_for_ready=True)


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["accept.before_commit", "accept.after_commit"])
def test_a_kill_around_the_accept_is_repaired_by_the_same_call(
    victim: SidecarProcess, wire: Wire, point: str
) -> None:
    """ADM-4."""
    rearm(victim, f"{point}=kill")
    with pytest.raises(grpc.RpcError):
        wire.enqueue(execution_id="e1", idempotency_key="k1", payload=b"p")
    revive(victim)
    answer = wire.enqueue(execution_id="e1", idempotency_key="k1", payload=b"p")
    assert answer.existing == point.endswith("after_commit")
    assert wire.get("e1").state == pb.EXECUTION_STATE_QUEUED


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["claim.before_commit", "claim.after_commit", "claim.before_push"])
def test_a_kill_around_the_claim_costs_no_attempt(victim: SidecarProcess, wire: Wire, point: str) -> None:
    """Deliveries that were pushed, or meant to be, but never received are not attempts."""
    wire.enqueue(execution_id="e1")
    rearm(victim, f"{point}=kill")
    worker = wire.worker()
    worker.open()
    worker.until(lambda heard: heard.ended, "the stream's end")
    assert not worker.heard.leases
    revive(victim)
    worker.connect()
    lease = worker.lease()
    assert lease.attempt == 1
    worker.settle(lease)
    assert wire.get("e1").attempts == 1
    assert_sound(wire, terminal=1)


@pytest.mark.chaos
def test_what_was_acknowledged_before_a_kill_is_there_after_it(victim: SidecarProcess, wire: Wire) -> None:
    """Invariant 3."""
    worker = wire.worker(credits=10)
    worker.connect()
    for n in range(10):
        wire.enqueue(execution_id=f"e{n}")
    worker.lease(10)
    for lease in worker.heard.leases[:5]:
        worker.settle(lease)
    victim.kill()
    victim.start()
    states = [wire.get(f"e{n}").state for n in range(10)]
    settled = {lease.correlation.execution_id for lease in worker.heard.leases[:5]}
    for n, state in enumerate(states):
        ended = f"e{n}" in settled
        assert state == (pb.EXECUTION_STATE_SUCCEEDED if ended else pb.EXECUTION_STATE_RUNNING)
    worker.connect(*(lease.lease for lease in worker.heard.leases[5:]))
    assert_sound(wire, terminal=5)


@pytest.mark.chaos
@pytest.mark.usefixtures("victim")
def test_a_worker_that_died_is_replaced_and_fenced(wire: Wire) -> None:
    """RUN-3, invariants 5 and 9."""
    zombie = wire.worker()
    zombie.connect()
    policy = pb.RetryPolicy(max_attempts=2, initial_interval=Duration(nanos=1_000_000))
    wire.enqueue(execution_id="e1", retry=policy)
    old = zombie.lease()
    zombie.disconnect()
    with wire.worker() as worker:
        lease = worker.lease()
        assert lease.attempt == 2
        zombie.connect(old.lease)
        assert zombie.heard.welcomes[0].lost[0].fence == old.lease.fence
        assert zombie.settle(old).refused.reason == "LEASE_LOST"
        worker.settle(lease)
    spans = wire.admin.GetTrace(
        admin.GetTraceRequest(namespace="default", execution_id="e1"), timeout=PATIENCE
    ).spans
    attempts = [s for s in spans if s.kind == "CONSUMER"]
    assert [s.error_type for s in attempts] == ["lease_expired", ""]
    assert {s.service for s in attempts} == {"raw-worker"}
    assert_sound(wire, terminal=1)


@pytest.mark.chaos
def test_a_kill_in_the_reaper_changes_nothing(victim: SidecarProcess, wire: Wire) -> None:
    rearm(victim, "reaper.before_submit=kill")
    limits = pb.Deadlines(in_queue=Duration(nanos=100_000_000))
    wire.enqueue(execution_id="e1", deadlines=limits)
    revive(victim)
    record = wire.wait("e1")
    assert record.error.type == "expired_in_queue"
    assert_sound(wire, terminal=1)


@pytest.mark.chaos
def test_a_second_sidecar_on_one_sqlite_file_ends_with_a_clear_message(tmp_path: Path) -> None:
    first = SidecarProcess(tmp_path / "first")
    with first:
        second = SidecarProcess(tmp_path / "second", first.store)
        with pytest.raises(AssertionError, match=r"sidecar\.db"):
            second.start()
        assert first.healthy()
