"""`sidecar run` as a process of its own, as cron or a shell has it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.processes import ROOT
from tests.services.loopback import await_condition

PATIENCE = 30.0
_INHERITED = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "SIDECAR_SPOOL", "SIDECAR_TARGET")


@dataclass
class Wrapper:
    """Makes wrapped commands for one sidecar, with a spool of the test's own."""

    target: str
    spool: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sidecar", "--patience", "2s", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in _INHERITED}
        given = {"SIDECAR_TARGET": self.target, "SIDECAR_SPOOL": str(self.spool), "PYTHONPATH": str(ROOT)}
        return {**own, **given, **self.settings, **more}

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> "Done":
        """Run a wrapped command to its end; `arguments` begin with the options."""
        return self.command("run", *arguments, stdin=stdin, **environment)

    def command(self, *arguments: str, stdin: bytes = b"", **environment: str) -> "Done":
        """Run any command of the command line to its end."""
        done = subprocess.run(
            self.line(*arguments),
            input=stdin,
            capture_output=True,
            env=self.environment(**environment),
            timeout=90,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environment: str) -> "Running":
        """Start a wrapped command."""
        return Running(self.line("run", *arguments), self.environment(**environment))


@dataclass(frozen=True)
class Done:
    """How it ended."""

    code: int
    out: bytes
    raw_err: bytes

    @property
    def err(self) -> str:
        return self.raw_err.decode()


class Running:
    """A wrapped command that goes on; whatever of it is left is ended with the block."""

    def __init__(self, line: list[str], environment: Mapping[str, str]) -> None:
        # As cron has it: under `nohup` the tests would hand on that a hang-up is ignored.
        former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.process = subprocess.Popen(
            line,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        signal.signal(signal.SIGHUP, former)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def says(self, wanted: bytes) -> None:
        """Wait for a line of its standard output."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.strip() == wanted, (line, self.process.poll())

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the wrapper alone."""
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, out, err)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waited for counts."""
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True


def await_gone(pid: int) -> None:
    """Wait until a process has ended."""
    await_condition(lambda: is_gone(pid), f"process {pid} has ended", PATIENCE)
