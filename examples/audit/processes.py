"""The demo's processes: the sidecar, its workers and the caller, each with a log file of its own."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).parents[2]
READY_SECONDS = 30.0
STOP_SECONDS = 15.0
PORTS = range(15_000, 32_000)


class DemoError(Exception):
    """The demo cannot go on; the message says why and where to look."""


class Process:
    """A child process whose output goes to a log; started again under the same name after a kill."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, **variables: str) -> None:
        self.name = name
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self._command = [sys.executable, "-m", *arguments]
        self._variables = variables
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        return self._child.pid if self._child else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._child.poll() if self._child else None

    def start(self, *, pipe: bool = False) -> IO[bytes] | None:
        """Start it; with `pipe` return its output instead of logging it."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the demo, which ends its children in order
            )
        return self._child.stdout

    def kill(self) -> None:
        """End it at once: nothing of it gets to say goodbye."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()

    def stop(self) -> None:
        """Ask it to end; kill it if it does not."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


class SidecarProcess(Process):
    """The sidecar on its embedded store, on ports that it keeps when it is started again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.target, self.http = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.store = folder / "sidecar.db"
        serve = ["sidecar", "serve", "--listen", self.target, "--store", f"sqlite:///{self.store}"]
        super().__init__("sidecar", serve, folder, SIDECAR_HTTP_LISTEN=self.http, **settings)

    def serve(self) -> None:
        """Start it, and wait until its health is SERVING."""
        self.start()
        ends_at = time.monotonic() + READY_SECONDS
        while not self._serving():
            if self.exit_code is not None or time.monotonic() > ends_at:
                raise DemoError(f"the sidecar does not serve; its log ends with:\n{tail(self.log)}")
            time.sleep(0.05)

    def _serving(self) -> bool:
        with grpc.insecure_channel(self.target) as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on, below those that outgoing connections are given."""
    free: list[int] = []
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            return free
    raise DemoError(f"not {count} free ports between {PORTS.start} and {PORTS.stop}")


def tail(path: Path, lines: int = 15) -> str:
    """Return the end of a log."""
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
