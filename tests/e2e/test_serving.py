"""The process as the ecosystem expects it: health, reflection, signals, exit codes, logs."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.conftest import StartSidecar
from tests.processes import ROOT, SidecarProcess
from tests.services.loopback import await_condition
from tests.wire import Wire, failed

pytestmark = pytest.mark.e2e


def test_reflection_names_every_service(sidecar: SidecarProcess) -> None:
    with grpc.insecure_channel(sidecar.target) as channel:
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    ours = {f"sidecar.v1.{name}" for name in ("ExecutionService", "WorkerService", "AdminService")}
    assert ours | {"grpc.health.v1.Health"} <= services


def test_sigterm_drains_and_no_caller_is_refused_for_good(start_sidecar: StartSidecar) -> None:
    """What was acknowledged is there; what was not can be repeated."""
    house = start_sidecar()
    house.start()
    wire = Wire(house.target, "default")
    acknowledged: list[str] = []
    refusals: list[grpc.StatusCode] = []
    stopped = threading.Event()

    def call() -> None:
        while not stopped.is_set():
            try:
                acknowledged.append(wire.enqueue().execution.correlation.execution_id)
            except grpc.RpcError as error:
                refusals.append(error.code())

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    await_condition(lambda: len(acknowledged) > 20, "some calls", 20)
    house.send(signal.SIGTERM)
    assert house.await_death() == 0
    stopped.set()
    for caller in callers:
        caller.join()
    assert set(refusals) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    house.start()
    assert {wire.get(e).state for e in acknowledged} == {pb.EXECUTION_STATE_QUEUED}


def test_a_worker_is_told_to_go_elsewhere_and_keeps_its_leases(start_sidecar: StartSidecar) -> None:
    house = start_sidecar()
    house.start()
    wire = Wire(house.target, "default")
    worker = wire.worker()
    worker.connect()
    wire.enqueue(execution_id="e1")
    lease = worker.lease()
    house.send(signal.SIGTERM)
    worker.until(lambda heard: heard.draining, "the notice")
    assert house.await_death() == 0
    house.start()
    worker.connect(lease.lease)
    assert worker.settle(lease).settled.state == pb.EXECUTION_STATE_SUCCEEDED


def test_a_second_signal_ends_at_once_and_loses_nothing(start_sidecar: StartSidecar) -> None:
    house = start_sidecar(SIDECAR_DRAIN_GRACE="60s")
    house.start()
    wire = Wire(house.target, "default")
    wire.enqueue(execution_id="e1")
    # A call under way keeps the first signal's drain waiting.
    waiting = threading.Thread(target=_wait_in_vain, args=(wire,))
    waiting.start()
    house.send(signal.SIGTERM)
    await_condition(lambda: "sidecar.draining" in house.said(), "the drain", 10)
    house.send(signal.SIGTERM)
    assert house.await_death() == 8
    waiting.join()
    house.start()
    assert wire.get("e1").state == pb.EXECUTION_STATE_QUEUED


def _wait_in_vain(wire: Wire) -> None:
    with pytest.raises(grpc.RpcError):
        wire.wait("e1", 50)


def test_log_lines_are_json_with_the_ids_of_the_execution(start_sidecar: StartSidecar) -> None:
    house = start_sidecar()
    house.start()
    wire = Wire(house.target, "default")
    with wire.worker() as worker:
        answer = wire.enqueue(execution_id="e1", request_id="r1")
        worker.settle(worker.lease(), failed=failed("app.Broken"))
    house.stop()
    lines = [json.loads(line) for line in house.log.read_text().splitlines()]
    (settled,) = [line for line in lines if line["event"] == "execution.settled"]
    assert (settled["execution_id"], settled["request_id"]) == ("e1", "r1")
    assert settled["trace_id"] == answer.execution.trace_id
    assert (settled["outcome"], settled["error_type"]) == ("failed", "app.Broken")


BAD_SETTINGS = [
    ("SIDECAR_LISTEN", "0.0.0.0:1", "SIDECAR_INSECURE"),
    ("SIDECAR_LEASE_TTL", "soon", "duration"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD_SETTINGS)
def test_a_bad_setting_ends_the_start_with_its_name(tmp_path: Path, name: str, value: str, said: str) -> None:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", name: value}
    ran = subprocess.run(
        [sys.executable, "-m", "sidecar", "serve"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 2, ran.stderr
    assert said in ran.stderr
    assert not (tmp_path / "sidecar.db").exists()


def test_an_output_nobody_can_keep_does_not_end_the_stream(sidecar: SidecarProcess) -> None:
    """A message over gRPC's own limit never reaches the finalizer; the worker settles it smaller."""
    wire = Wire(sidecar.target, "big-output")
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        huge = work.Succeeded(output=bytes(17 * 1024 * 1024))
        worker.send(settlements=[work.Settlement(lease=lease.lease, succeeded=huge)])
        worker.until(lambda heard: heard.ended is not None, "the refusal of the message")
        worker.connect(lease.lease)
        worker.settle(lease, succeeded=work.Succeeded(output_missing=True))
    assert wire.get("e1").output_missing
