"""What schedulers are tested on: a real store, the real entry and calendar, and a clock to turn."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import event

from sidecar.ambient import RandomIds
from sidecar.core.admission import AdmissionLimits
from sidecar.core.commands import Accepted, Claim, Command, Delivery, Fault, Report, Settle, Success
from sidecar.core.decrees import Define, Defined
from sidecar.core.definitions import Definition, Schedule
from sidecar.core.enqueue import Entry
from sidecar.core.folio import Limits
from sidecar.core.model import Execution, Failure, Key
from sidecar.core.ports import Change, ListQuery
from sidecar.core.registry import Registry
from sidecar.core.schedules import Standing, Timing
from sidecar.core.sessions import Lane
from sidecar.payloads import JsonSchemas
from sidecar.store.open import Store, StoreSettings, open_store
from sidecar.telemetry.settings import read_settings
from sidecar.triggers.occurrences import Calendar
from sidecar.triggers.scheduler import Scheduler
from tests.store.workbench import RESOURCE, HandClock, NamingEncoder, Notes

T = TypeVar("T")
NAMESPACE = "default"
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOON = 1_780_000_020 * SECOND
"""A whole minute."""
CALENDAR = Calendar()
DONE = Success()
MINUTELY = Schedule("m", "audit", Timing(every=timedelta(minutes=1)), payload=b'{"a":1}')


@dataclass
class Stage:
    """One sidecar's store, entry and scheduler; it listens to its own commits as the house does."""

    store: Store
    registry: Registry
    entry: Entry
    clock: HandClock
    scheduler: Scheduler
    errors: list[Exception] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self, changes: Sequence[Change]) -> None:
        """Tell the scheduler, and whoever waits, of a commit."""
        self._news.set()
        self.scheduler.changed(changes)

    async def do(self, command: Command[Any]) -> Any:
        """Have one command applied."""
        return await self.store.ledger.submit(command)

    async def define(self, *definitions: Definition) -> None:
        """Have definitions stand, their first occurrence counted from the clock as it stands."""
        first = [
            (each.schedule_id, CALENDAR.next_after(each.timing, self.clock.now()))
            for each in definitions
            if isinstance(each, Schedule)
        ]
        answer = await self.do(Define(NAMESPACE, definitions, tuple(first)))
        assert isinstance(answer, Defined)
        await self.registry.refresh()

    async def look(self, at: int | None = None) -> None:
        """Turn the clock and have the scheduler look once."""
        if at is not None:
            self.turn(at)
        await self.scheduler.look()

    def turn(self, to: int) -> None:
        """Turn the wall clock; the others go on with it, but never back."""
        self.clock.wall = to
        self.clock.offset = max(self.clock.offset, (to - NOON) / 1e9)

    async def standing(self, schedule_id: str) -> Standing:
        [found] = await self.store.reader.standings(NAMESPACE, schedule_id)
        return found

    async def executions(self, schedule_id: str) -> list[Execution]:
        """Return what a schedule has started, by planned time."""
        query = ListQuery(NAMESPACE, schedule_id=schedule_id, limit=1_000)
        found = await self.store.reader.page(query)
        return sorted(found, key=lambda e: (e.correlation.scheduled_for or 0, e.accepted_at))

    async def times(self, schedule_id: str) -> list[int | None]:
        """Return the planned times of what a schedule has started."""
        return [e.correlation.scheduled_for for e in await self.executions(schedule_id)]

    async def claim(self, workflow: str = "audit", limit: int = 1) -> list[Delivery]:
        """Take work as a worker would."""
        answer = await self.do(Claim(NAMESPACE, "w", RESOURCE, ("default",), (workflow,), limit))
        return list(answer.deliveries)

    async def settle(self, delivery: Delivery, report: Report = DONE) -> None:
        await self.do(Settle(delivery.ref, report, b"digest"))

    async def fail(self, workflow: str = "audit", error: str = "boom") -> None:
        """Run what is ready and have it fail."""
        [delivery] = await self.claim(workflow)
        await self.settle(delivery, Fault(Failure(error)))

    async def get(self, key: Key) -> Execution:
        found = await self.store.reader.get(key)
        assert found is not None
        return found

    async def until(self, ask: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T:
        """Return what is asked for as soon as it holds, asking after each commit."""
        while True:
            self._news.clear()
            found = await ask()
            if holds(found):
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), 0.2)

    def accepted(self, answer: object) -> Execution:
        assert isinstance(answer, Accepted), answer
        return answer.execution


def nobody_waits(_lane: Lane, _count: int) -> None:
    """Take note of work that was put on a lane: workers ask by themselves here."""


def _hurry(connection: sqlite3.Connection, *_: object) -> None:
    connection.execute("PRAGMA busy_timeout = 20")


@asynccontextmanager
async def stage(url: str, **settings: Any) -> AsyncIterator[Stage]:
    """Open a stage on a store; its clock stands still at NOON."""
    clock, ids, errors = HandClock(wall=NOON), RandomIds(), list[Exception]()
    store = open_store(
        url,
        clock=clock,
        limits=Limits(),
        chance=ids,
        encoder=NamingEncoder(),
        meter=Notes(),
        settings=StoreSettings(**settings),
        on_error=errors.append,
    )
    if url.startswith("sqlite"):
        event.listen(store.dialect.writer, "checkout", _hurry)
    registry = Registry(store.reader)
    sampler = read_settings({"OTEL_TRACES_EXPORTER": "none"}).sampler()
    entry = Entry(
        store.ledger,
        ids,
        clock,
        sampler,
        AdmissionLimits(),
        nobody_waits,
        lambda: registry.catalog,
        JsonSchemas(),
    )
    scheduler = Scheduler(
        store.ledger, store.reader, entry, registry, CALENDAR, clock, ids, on_error=errors.append
    )
    made = Stage(store, registry, entry, clock, scheduler, errors)
    store.start(asyncio.get_running_loop(), made)
    await registry.refresh()
    try:
        yield made
    finally:
        await asyncio.to_thread(store.close)
