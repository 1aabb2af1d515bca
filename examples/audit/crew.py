"""Everybody who takes part: the sidecar, two workers, the caller, and what the caller tells."""

import json
import threading
from pathlib import Path
from typing import IO

from examples.audit import signing
from examples.audit.heard import Heard
from examples.audit.processes import DemoError, Process, SidecarProcess
from examples.audit.ways import KEY_VARIABLE

WORKERS = 2
LEASE_TTL = "5s"
DRAIN_GRACE = "2s"


class Crew:
    """Starts and ends the processes. Who sends webhooks shares a secret with the sidecar, for one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        secret = {KEY_VARIABLE: signing.new_secret()}
        self.sidecar = SidecarProcess(
            folder, SIDECAR_LEASE_TTL=LEASE_TTL, SIDECAR_DRAIN_GRACE=DRAIN_GRACE, **secret
        )
        self.workers = [self._worker(number) for number in range(1, WORKERS + 1)]
        self.caller = Process(
            "caller",
            ["examples.audit.caller", self.sidecar.target, self.sidecar.http, str(folder / "plan.json")],
            folder,
            **secret,
        )
        self.heard = Heard()

    def start(self) -> None:
        """Start the sidecar, then the workers."""
        self.sidecar.serve()
        for worker in self.workers:
            worker.start()

    def call(self) -> None:
        """Start the caller, and listen to it."""
        output = self.caller.start(pipe=True)
        if output is not None:
            threading.Thread(target=self._listen, args=(output,), daemon=True).start()

    def stop(self) -> None:
        """End everybody, the sidecar last."""
        for each in (self.caller, *self.workers, self.sidecar):
            each.stop()

    def worker_with(self, pid: int) -> Process:
        """Return the worker that has this process id."""
        for worker in self.workers:
            if worker.pid == pid:
                return worker
        raise DemoError(f"no worker of this demo has the process id {pid}")

    def execution_id(self, name: str) -> str:
        """Return the id that a request was accepted with."""
        return self.heard.accepted[name][0][0]

    def _worker(self, number: int) -> Process:
        name = f"worker {number}"
        arguments = [self.sidecar.target, name.replace(" ", "-"), str(self.folder)]
        return Process(name, ["examples.audit.worker", *arguments], self.folder)

    def _listen(self, output: IO[bytes]) -> None:
        for event in map(json.loads, output):
            self.heard.take(event)
