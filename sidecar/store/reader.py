"""The reader: questions to the store, each a short read-only transaction on a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from sidecar.core.commands import Due
from sidecar.core.definitions import Stored
from sidecar.core.model import Execution, Key
from sidecar.core.ports import Audit, DueSchedule, Gauges, ListQuery, TraceRows
from sidecar.core.refusals import StoreUnavailableError
from sidecar.core.schedules import Standing
from sidecar.store import definitions, queries, standings
from sidecar.store.account import Tally
from sidecar.store.bounds import beyond
from sidecar.store.claiming import Claimer
from sidecar.store.engine import Dialect
from sidecar.store.faults import reason, trouble
from sidecar.store.lanes import Lanes

T = TypeVar("T")


class StoreReader:
    """Answers on the event loop what its threads have read."""

    def __init__(self, dialect: Dialect, claimer: Claimer, threads: int) -> None:
        self._dialect = dialect
        self._claimer = claimer
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    def close(self) -> None:
        """End the threads when they have read what they are reading."""
        self._threads.shutdown()

    async def get(self, key: Key) -> Execution | None:
        """Return one execution."""
        return await self._ask(lambda connection: queries.get(connection, key))

    async def page(self, query: ListQuery) -> list[Execution]:
        """Return a page, newest first, without payloads and outputs.

        Raises:
            RefusalError: if `before` is no time that a row could have.
        """
        if query.before is not None and (refusal := beyond("before", query.before[0])) is not None:
            raise refusal
        return await self._ask(lambda connection: queries.page(connection, query))

    async def due(self, now: int, limit: int) -> list[Due]:
        """Return executions whose `due_at` has passed, oldest first."""
        return await self._ask(lambda connection: queries.due(connection, now, limit))

    async def held_by(self, namespace: str, worker_id: str) -> list[Execution]:
        """Return the running executions whose lease is this worker's."""
        return await self._ask(lambda connection: queries.held_by(connection, namespace, worker_id))

    async def running(self) -> list[Execution]:
        """Return every running execution."""
        return await self._ask(queries.running)

    async def next_run_at(
        self, namespace: str, queues: Sequence[str], workflows: Sequence[str]
    ) -> int | None:
        """Return the earliest future run time of what these could claim."""
        lanes = Lanes(namespace, tuple(queues), tuple(workflows))
        return await self._ask(lambda connection: self._next_run_at(connection, lanes))

    def _next_run_at(self, connection: Connection, lanes: Lanes) -> int | None:
        return self._claimer.next_run_at(connection, self._dialect.lease_now(connection), lanes)

    async def definitions(self, known: int) -> tuple[int, list[Stored] | None]:
        """Return the registry's revision, and everything that is defined if it is not the known one.

        Raises:
            UnreadableDefinitionError: naming the first that this version cannot read.
        """
        return await self._ask(lambda connection: definitions.read(connection, known))

    async def standings(self, namespace: str, schedule_id: str | None) -> list[Standing]:
        """Return where schedules stand, by id: one, or all of a namespace."""
        return await self._ask(lambda connection: standings.read(connection, namespace, schedule_id))

    async def due_schedules(
        self,
        now: int,
        limit: int,
        *,
        after: DueSchedule | None = None,
        whose: tuple[str, str | None] | None = None,
    ) -> list[DueSchedule]:
        """Return schedules that are not paused and whose next time is not after `now`, oldest first."""
        return await self._ask(lambda connection: standings.due(connection, now, limit, after, whose))

    async def next_due_at(self, now: int) -> int | None:
        """Return the earliest next time after `now` of any schedule that is not paused."""
        return await self._ask(lambda connection: standings.next_at(connection, now))

    async def trace_rows(self, key: Key) -> TraceRows | None:
        """Return what the spans of one execution are rebuilt from."""
        return await self._ask(lambda connection: queries.trace_rows(connection, key))

    async def audit(self, namespace: str | None) -> Audit:
        """Count what became of every terminal span and name what breaks an invariant.

        Pages in short transactions: no snapshot is held while the whole store is read.
        """
        tally = Tally(namespace)
        while not tally.done:
            await self._ask(tally.read_page)
        return tally.audit()

    async def gauges(self) -> Gauges:
        """Return levels for metrics."""
        return await self._ask(queries.gauges)

    async def lease_now(self) -> int:
        """Return the lease clock."""
        return await self._ask(self._dialect.lease_now)

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)

    def _answer(self, question: Callable[[Connection], T]) -> T:
        try:
            with self._dialect.readers.connect() as connection:
                return question(connection)
        except Exception as error:
            if trouble(error) is None:
                raise
            raise StoreUnavailableError(f"the store cannot be read: {reason(error)}") from error
