"""The sidecar as its users have it: a process of its own, awaited by its health, ended in every way."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.services.loopback import HOST, address, await_condition, free_port
from tests.services.program import Program

ROOT = Path(__file__).parents[1]


class SidecarProcess(Program):
    """One `sidecar serve` on a store, on a port that survives restarts."""

    def __init__(self, folder: Path, store: str | None = None, **settings: str) -> None:
        super().__init__(folder)
        self.target = address(free_port())
        self.store = store or f"sqlite:///{folder / 'sidecar.db'}"
        self.settings = settings
        self.failpoints = ""

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "sidecar", "serve"]

    def environment(self) -> Mapping[str, str]:
        telemetry = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("METRICS",)}
        return {
            "PYTHONPATH": str(ROOT),
            "SIDECAR_LISTEN": self.target,
            "SIDECAR_HTTP_LISTEN": f"{HOST}:0",
            "SIDECAR_STORE": self.store,
            "SIDECAR_FAILPOINTS": self.failpoints,
            "SIDECAR_UNSAFE_FAILPOINTS": "true" if self.failpoints else "false",
            "SIDECAR_DRAIN_GRACE": "3s",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            **telemetry,
            **self.settings,
        }

    @property
    def http_port(self) -> int:
        """The port of the HTTP pages since the last start, as the log tells it."""
        await_condition(lambda: bool(self._ready_lines()), "the sidecar says that it is ready", 10)
        return int(self._ready_lines()[-1]["http_port"])

    def _ready_lines(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if '"sidecar.ready"' in line and line.endswith("}")]

    def healthy(self) -> bool:
        """Whether the overall health is SERVING."""
        stub: Any
        with grpc.insecure_channel(self.target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def armed(self, failpoints: str) -> "SidecarProcess":
        """Have the next start arm these failpoints."""
        self.failpoints = failpoints
        return self

    def await_death(self, timeout: float = 30.0) -> int:
        """Wait until the process has ended by itself; return its exit code."""
        child = self._child
        assert child is not None
        await_condition(lambda: child.poll() is not None, "the sidecar has died", timeout)
        self._child = None
        return child.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._child is not None
        self._child.send_signal(number)
