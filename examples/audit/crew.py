"""Everybody who takes part: the sidecar, two workers, the caller, and what the caller has told."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from examples.audit.processes import DemoError, Process, SidecarProcess

WORKERS = 2
LEASE_TTL = "5s"
DRAIN_GRACE = "2s"


class Crew:
    """Starts and ends the processes. `accepted` maps the names of requests to the ids that they got."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sidecar = SidecarProcess(folder, SIDECAR_LEASE_TTL=LEASE_TTL, SIDECAR_DRAIN_GRACE=DRAIN_GRACE)
        self.workers = [self._worker(number) for number in range(1, WORKERS + 1)]
        self.caller = Process(
            "caller",
            ["examples.audit.caller", self.sidecar.target, str(folder / "plan.json")],
            folder,
        )
        self.accepted: dict[str, list[tuple[str, bool]]] = {}
        self.all_accepted = threading.Event()

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
        return self.accepted[name][0][0]

    def names(self) -> dict[str, str]:
        """Return the names of the requests by the ids that they got."""
        return {answers[0][0]: name for name, answers in self.accepted.items()}

    def _worker(self, number: int) -> Process:
        name = f"worker {number}"
        return Process(
            name, ["examples.audit.worker", self.sidecar.target, name.replace(" ", "-")], self.folder
        )

    def _listen(self, output: IO[bytes]) -> None:
        for event in map(json.loads, output):
            if event["event"] == "accepted":
                answers = self.accepted.setdefault(event["name"], [])
                answers.append((event["execution_id"], event["existing"]))
            elif event["event"] == "all accepted":
                self.all_accepted.set()


def until(condition: Callable[[], bool], what: str, polls: Iterator[None]) -> None:
    """Wait until something is so.

    Raises:
        DemoError: when `polls` ends first.
    """
    for _ in polls:
        if condition():
            return
    raise DemoError(f"it took too long until {what}")
