"""One real program as a child process: started until ready, stopped, killed, restarted."""

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.loopback import await_condition


class DiedAtStartError(AssertionError):
    """The program ended before it was ready; the text is the end of its log."""


class Program(ABC):
    """A program with a log file, whose health is polled rather than guessed by a sleep."""

    ready_within = 30.0
    stop_signal = signal.SIGTERM
    user: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / f"{type(self).__name__.lower()}.log"
        self._child: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]: ...

    @abstractmethod
    def environment(self) -> Mapping[str, str]: ...

    @abstractmethod
    def healthy(self) -> bool: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.log.stem} is not running"
        return self._child.pid

    def start(self) -> None:
        """Start the program and return when it is healthy."""
        self.launch()
        try:
            await_condition(self._ready, f"{self.log.stem} is healthy", self.ready_within)
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start the program, whether it becomes healthy or not."""
        assert not self.running, f"{self.log.stem} runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                list(self.command()),
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
            )

    def stop(self, timeout: float = 15.0) -> None:
        """Ask the program to end, and kill it if it does not."""
        if self._child is None:
            return
        self._child.send_signal(self.stop_signal)
        try:
            self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self._child = None

    def kill(self) -> None:
        """End the program with SIGKILL, as a lost machine would."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self._child = None

    def restart(self) -> None:
        """Stop and start on the same ports and folders."""
        self.stop()
        self.start()

    def said(self, last: int = 4000) -> str:
        """The end of the log, for a failure's message."""
        return self.log.read_text(errors="replace")[-last:] if self.log.exists() else ""

    def _ready(self) -> bool:
        if not self.running:
            raise DiedAtStartError(f"{self.log.stem} ended at its start:\n{self.said()}")
        return self.healthy()
