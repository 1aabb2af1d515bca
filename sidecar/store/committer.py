"""The committer: the only writer of this process, one commit at a time, each for all that waits."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sidecar.core.commands import Command
from sidecar.core.ports import ChangeListener, Clock, Meter
from sidecar.core.refusals import OverloadedError, StoreUnavailableError
from sidecar.store.bounds import unstorable
from sidecar.store.faults import ContendedError
from sidecar.store.inbox import Entry, Inbox, Reply, goes_on
from sidecar.store.journal import Journal
from sidecar.store.scribe import Applied
from sidecar.store.writing import LostRaceError

R = TypeVar("R")

_RACES = 5
"""How often a command that lost a race alone is tried again."""


class Committer:
    """The ledger: takes commands on the event loop, commits on a thread of its own, then answers."""

    def __init__(
        self,
        journal: Journal,
        inbox: Inbox,
        clock: Clock,
        meter: Meter,
        max_commit_bytes: int,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._journal = journal
        self._inbox = inbox
        self._clock = clock
        self._meter = meter
        self._max_commit_bytes = max_commit_bytes
        self._on_error = on_error
        self._refused_at = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: ChangeListener | None = None
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    @property
    def healthy_since(self) -> float:
        """Monotonic seconds since when every command was taken, and every commit made in good time."""
        return max(self._journal.healthy_since, self._refused_at)

    @property
    def is_away(self) -> bool:
        """Whether the store could not be written to, when it was last tried."""
        return self._journal.is_away

    def start(self, loop: asyncio.AbstractEventLoop, listener: ChangeListener) -> None:
        """Begin to commit; answers and changes are told on `loop`."""
        self._loop, self._listener = loop, listener
        self._thread.start()

    def close(self) -> None:
        """Commit what was handed in, then end."""
        self._inbox.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._journal.close()

    async def submit(self, command: Command[R]) -> R:
        """Have one command applied."""
        (answer,) = await self.submit_many((command,))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def submit_many(self, commands: Sequence[Command[R]]) -> list[R | Exception]:
        """Have many applied, each on its own; one that failed has its exception as its answer.

        Raises:
            StoreUnavailableError: if none was taken, as the store is closing.
            OverloadedError: if none was taken, as too many wait.
        """
        wrong = [unstorable(command) for command in commands]
        sound = [command for command, problem in zip(commands, wrong, strict=True) if problem is None]
        answers = iter(await self._put(sound) if sound else ())
        return [next(answers) if problem is None else problem for problem in wrong]

    async def _put(self, commands: Sequence[Command[R]]) -> list[R | Exception]:
        future: asyncio.Future[list[R | Exception]] = asyncio.get_running_loop().create_future()
        try:
            self._inbox.put(commands, Reply(future, len(commands)))
        except OverloadedError:
            if any(map(goes_on, commands)):
                # Nobody is reaped for a silence that was our refusal to listen.
                self._refused_at = self._clock.monotonic()
            raise
        return await future

    def _run(self) -> None:
        while entries := self._inbox.take(self._max_commit_bytes):
            try:
                self._commit(entries)
            except Exception as error:  # the thread must outlive whatever comes
                self._fail(entries, error)

    def _commit(self, entries: Sequence[Entry]) -> None:
        began = self._clock.monotonic()
        try:
            applied = self._journal.commit([entry.command for entry in entries])
        except ContendedError as error:
            self._replay(entries, error)
        except StoreUnavailableError as error:
            self._fail(entries, error)
        except Exception as error:
            self._replay(entries, error)
        else:
            self._answer(entries, applied)
            self._measure(len(entries), self._clock.monotonic() - began, applied)

    def _replay(self, entries: Sequence[Entry], error: Exception) -> None:
        """Have each command committed alone, so that a bad one fails alone."""
        if len(entries) > 1:
            for entry in entries:
                self._commit((entry,))
        elif isinstance(error, LostRaceError) and entries[0].races < _RACES:
            entries[0].races += 1
            self._commit(entries)
        else:
            self._fail(entries, error)

    def _answer(self, entries: Sequence[Entry], applied: Applied) -> None:
        for number, entry in enumerate(entries):
            entry.answer = applied.answers[number]
        self._tell(entries, applied)

    def _fail(self, entries: Sequence[Entry], error: Exception) -> None:
        self._on_error(error)
        for entry in entries:
            entry.answer = error
        self._tell(entries, None)

    def _tell(self, entries: Sequence[Entry], applied: Applied | None) -> None:
        """Wake the loop once for all. Where it is gone nobody waits for an answer."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._hand_out, entries, applied)
        except RuntimeError as error:
            self._on_error(error)

    def _hand_out(self, entries: Sequence[Entry], applied: Applied | None) -> None:
        for entry in entries:
            entry.tell()
        if applied is not None and applied.changes and self._listener is not None:
            self._listener.changed(applied.changes)

    def _measure(self, commands: int, seconds: float, applied: Applied) -> None:
        """Record a commit. It stands, whatever becomes of its metrics."""
        try:
            self._meter.committed(commands, seconds)
            if applied.conflicts:
                self._meter.conflicts(applied.conflicts)
            for execution in applied.settled:
                self._meter.settled(execution)
        except Exception as error:
            self._on_error(error)
