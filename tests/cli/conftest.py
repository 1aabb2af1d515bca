"""The command as a process, a sidecar of this folder's own, and a worker for its queue `work`."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.cli.program import run
from tests.processes import ROOT, SidecarProcess


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        return json.loads(self.err)


@dataclass(frozen=True)
class Command:
    """Runs `sidecar` against one target."""

    target: str

    def line(self, *arguments: str) -> Sequence[str]:
        return [sys.executable, "-m", "sidecar", *arguments]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SIDECAR_TARGET": self.target, "PYTHONPATH": str(ROOT)}

    def __call__(self, *arguments: str) -> Ended:
        """Run it in this process, as `main` does."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(["--target", self.target, *arguments])
        return Ended(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run it as a process of its own."""
        done = subprocess.run(
            self.line(*arguments), input=stdin, capture_output=True, env=self.environment(), timeout=60
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def enqueue(self, *arguments: str) -> str:
        """Enqueue and return the id."""
        found: str = self("enqueue", *arguments, "--json").answer["execution_id"]
        return found


@pytest.fixture(scope="package")
def own_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """One sidecar on SQLite for all tests of the command."""
    with SidecarProcess(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture(scope="package")
def worker(own_sidecar: SidecarProcess) -> Iterator[None]:
    """A worker process for the queue `work`."""
    line = [sys.executable, "-m", "tests.cli.worker_program", own_sidecar.target]
    with subprocess.Popen(line, cwd=ROOT) as child:
        yield
        child.terminate()


@pytest.fixture
def sidecar_command(own_sidecar: SidecarProcess) -> Command:
    """The command, pointed at that sidecar."""
    return Command(own_sidecar.target)
