"""One command as a child process: signals are passed on, and it is ended at its deadline or on request."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Final, Self

from sidecar.cli.tailing import Tail

_PASSED_ON: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_OF_THE_TERMINAL: Final = ("SIGINT", "SIGHUP", "SIGQUIT")
"""Those that a terminal gives to everybody in its foreground: the command has them already."""
_POLL_SECONDS: Final = 0.05
_NET_SECONDS: Final = 1.0
"""How often the command is looked at though nothing was heard of it."""

Handler = Callable[[int, FrameType | None], object] | int | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a command was to stop before it ended by itself: its time was up, or somebody asked."""

    cancelled: bool
    reason: str = ""
    grace: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: `status` is its exit code, or a signal's number below zero.

    `problem` is why it could not be started; without a status and a problem a signal came before it.
    """

    status: int | None = None
    stop: Stop | None = None
    problem: OSError | None = None
    early: int = 0
    tail: str = ""


class _Child:
    """A news item: something became of a child process."""


class Commander:
    """Runs one command in a process group of its own, but on a terminal, whose foreground it stays in."""

    def __init__(
        self, arguments: Sequence[str], *, timeout: timedelta | None, grace: timedelta, tail_lines: int
    ) -> None:
        self._arguments = list(arguments)
        self._timeout = timeout
        self._grace = grace
        self._tail_lines = tail_lines
        self._has_group = not os.isatty(0)
        self._news: SimpleQueue[Stop | _Child] = SimpleQueue()
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._former: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        """Take signals from now on, so that none ends the process before the command."""
        if threading.current_thread() is threading.main_thread():
            self._take(signal.SIGCHLD, lambda _number, _frame: self._news.put(_Child()))
            for name in _PASSED_ON:
                if signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
                    self._take(getattr(signal, name), self._signalled)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Leave signals to who had them before."""
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def cancel(self, reason: str, grace: timedelta) -> None:
        """Have the command stopped, from any thread; only the first wish counts."""
        self._news.put(Stop(cancelled=True, reason=reason, grace=grace))

    def run(self, environment: Mapping[str, str]) -> Ended:
        """Run the command to its end."""
        if self._early:
            return Ended(early=self._early[0])
        tail = Tail(self._tail_lines, onto=2) if self._tail_lines else None
        try:
            child = self._start(environment, tail)
        except OSError as error:
            return Ended(problem=error)
        finally:
            if tail is not None:
                tail.begin()
        self._child = child
        for number in self._early:
            self._send(child, number)
        stop = self._watch(child)
        return Ended(child.returncode, stop, tail=tail.text() if tail is not None else "")

    def _take(self, number: int, handler: Handler) -> None:
        self._former[number] = signal.signal(number, handler)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        child = self._child
        if child is None:
            self._early.append(number)
        elif self._has_group or signal.Signals(number).name not in _OF_THE_TERMINAL:
            self._send(child, number)

    def _start(self, environment: Mapping[str, str], tail: Tail | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._arguments,
            env=dict(environment),
            stderr=None if tail is None else tail.writer,
            process_group=0 if self._has_group else None,
        )

    def _watch(self, child: subprocess.Popen[bytes]) -> Stop | None:
        """Wait for the end; past the deadline, or on request, ask for it, and past the grace force it."""
        stop: Stop | None = None
        acts_at = None if self._timeout is None else time.monotonic() + self._timeout.total_seconds()
        while child.poll() is None:
            wish = self._wait(acts_at)
            if wish is None or child.poll() is not None:
                continue
            if stop is None:
                stop, acts_at = wish, time.monotonic() + self._grace_of(wish)
                self._send(child, signal.SIGTERM)
            elif not wish.cancelled:
                acts_at = None
                self._send(child, signal.SIGKILL)
        if stop is not None and self._has_group:
            _end_group(child.pid, acts_at or 0)
        return stop

    def _wait(self, until: float | None) -> Stop | None:
        """Wait for news; return a wish to stop, which time that is up is too."""
        left = _NET_SECONDS if until is None else max(0.0, until - time.monotonic())
        try:
            news = self._news.get(timeout=min(left, _NET_SECONDS))
        except Empty:
            return Stop(cancelled=False) if until is not None and time.monotonic() >= until else None
        return news if isinstance(news, Stop) else None

    def _grace_of(self, stop: Stop) -> float:
        return min(self._grace, stop.grace or self._grace).total_seconds()

    def _send(self, child: subprocess.Popen[bytes], number: int) -> None:
        """Send a signal to the command and, if it has a group of its own, to all that it started."""
        if child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                (os.killpg if self._has_group else os.kill)(child.pid, number)


def _end_group(group: int, until: float) -> None:
    """Give what a stopped command left behind the rest of its grace, then end it."""
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < until:
            os.killpg(group, 0)
            time.sleep(_POLL_SECONDS)
        os.killpg(group, signal.SIGKILL)
