"""Watching: who waits for an execution to change hears of it after the commit, and never misses one."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from sidecar.core.fencing import unknown
from sidecar.core.model import Execution, Key
from sidecar.core.ports import Change, Reader
from sidecar.core.refusals import Reason, RefusalError, Refused


class Watchers:
    """The watchers of one process, woken by its own commits and, where the store is shared, by a poll."""

    def __init__(self, reader: Reader, poll: float | None) -> None:
        self._reader = reader
        self._poll = poll
        self._waiting: dict[Key, set[asyncio.Event]] = {}
        self._draining = False

    def drain(self) -> None:
        """Send every watcher elsewhere."""
        self._draining = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    def changed(self, changes: Sequence[Change]) -> None:
        """Wake whoever watches what a commit changed."""
        if self._waiting:
            for change in changes:
                for event in self._waiting.get(change.key, ()):
                    event.set()

    async def watch(self, key: Key) -> AsyncIterator[Execution]:
        """Yield the record as it stands, then each newer version, ending after a terminal one.

        Raises:
            RefusalError: with EXECUTION_NOT_FOUND if there is none, DRAINING if the sidecar stops.
        """
        event = asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)
        try:
            version = 0
            while True:
                event.clear()
                if self._draining:
                    raise RefusalError(Refused(Reason.DRAINING, "the sidecar is stopping; ask again"))
                execution = await self._read(key)
                if execution.version > version:
                    version = execution.version
                    yield execution
                if execution.is_terminal:
                    return
                await self._sleep(event)
        finally:
            self._forget(key, event)

    async def wait(self, key: Key, seconds: float) -> Execution:
        """Return the record when it is terminal, or as it stands when the time is up.

        Raises:
            RefusalError: with EXECUTION_NOT_FOUND if there is none, DRAINING if the sidecar stops.
        """
        try:
            async with asyncio.timeout(seconds):
                async for execution in self.watch(key):
                    if execution.is_terminal:
                        return execution
        except TimeoutError:
            pass
        return await self._read(key)

    async def _read(self, key: Key) -> Execution:
        execution = await self._reader.get(key)
        if execution is None:
            raise RefusalError(unknown(key))
        return execution

    async def _sleep(self, event: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(event.wait(), self._poll)
        except TimeoutError:
            return

    def _forget(self, key: Key, event: asyncio.Event) -> None:
        events = self._waiting.get(key, set())
        events.discard(event)
        if not events:
            self._waiting.pop(key, None)
