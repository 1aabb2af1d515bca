"""The ticker: one look at the schedules that are due, each served by itself, all for one cause."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog

from sidecar.core.catalog import Catalog
from sidecar.core.definitions import Overlap, Schedule
from sidecar.core.folio import Chance
from sidecar.core.model import Execution, Key
from sidecar.core.ports import Clock, DueSchedule, Reader
from sidecar.core.registry import Registry
from sidecar.core.schedules import Calendar
from sidecar.triggers.firing import Cause, Firing, Started, former_of
from sidecar.triggers.setbacks import Setbacks
from sidecar.triggers.ticking import Decision, Moment, decide

_log = structlog.get_logger("sidecar.scheduler")

BATCH = 200
_LONG = 60_000_000_000
"""Nanoseconds: past this an occurrence is so late that there may be many, to be counted on a thread."""

_AT_ONCE = 2.0
"""Seconds: a look that comes this soon after the one before was held up by that one, if by anything."""

Whose = tuple[str, str | None] | None
"""A namespace and, if not all of it, a schedule; None is everything."""


@dataclass(slots=True)
class Report:
    """What one look came to, and which executions hold up schedules that are due."""

    executions: list[Execution] = field(default_factory=list)
    skipped: int = 0
    errors: list[Exception] = field(default_factory=list)
    awaited: set[Key] = field(default_factory=set)

    def add(self, started: Started, *, awaits: bool) -> None:
        """Add what became of one schedule."""
        self.executions += started.executions
        self.skipped += started.skipped
        if started.error is not None:
            self.errors.append(started.error)
        if awaits:
            self.awaited.update(execution.key for execution in started.executions)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look: `as_of` is when what is due could have been seen first, against which lateness shows."""

    moment: Moment
    as_of: int
    cause: Cause
    report: Report = field(default_factory=Report)


class Ticker:
    """Looks, decides, and has it carried out; what fails rests for a while, and nothing else does."""

    def __init__(
        self,
        reader: Reader,
        registry: Registry,
        calendar: Calendar,
        firing: Firing,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._reader = reader
        self._registry = registry
        self._calendar = calendar
        self._firing = firing
        self._clock = clock
        self._chance = chance
        self._setbacks = Setbacks()
        self._blind_since: int | None = None
        self._held_up_until, self._held_up_for = float("-inf"), 0.0
        self._catalog = registry.catalog

    async def tick(self, moment: Moment, cause: Cause, whose: Whose = None) -> Report:
        """Serve all that is due, or what is due of `whose`, which is then tried even if it should rest.

        Raises:
            StoreUnavailableError: if the store cannot be read; what was due meanwhile counts as on time.
        """
        if whose is not None:
            return await self._look(_Look(moment, moment.now, cause), whose)
        began = self._clock.monotonic()
        look = _Look(moment, self._first_seen(moment.now, began), cause)
        try:
            await self._look(look, None)
            self._blind_since = None
        except Exception:
            self._blind_since = moment.now if self._blind_since is None else self._blind_since
            raise
        finally:
            self._held_up_until = self._clock.monotonic()
            self._held_up_for = self._held_up_until - began
        return look.report

    def _first_seen(self, now: int, ticks: float) -> int:
        """Return since when we would have seen what is due, had the store let us read and commit at once."""
        held_up = self._held_up_for if ticks - self._held_up_until < _AT_ONCE else 0.0
        since = now - int(held_up * 1e9)
        return since if self._blind_since is None else min(since, self._blind_since)

    async def _look(self, look: _Look, whose: Whose) -> Report:
        async for page in self._pages(look.moment.until, whose):
            ready = [due for due in page if whose or self._is_rested(due)]
            await asyncio.gather(*(self._serve(due, look) for due in ready))
        return look.report

    async def _pages(self, until: int, whose: Whose) -> AsyncIterator[list[DueSchedule]]:
        """Yield what is due. The definitions are read after the standings, so they are never older.

        A definition that is newer has changed the standing, and what is decided about it is not taken.
        """
        after = None
        while True:
            page = await self._reader.due_schedules(until, BATCH, after=after, whose=whose)
            if page:
                await self._registry.refresh()
                self._forget_removed()
                yield page
            if len(page) < BATCH:
                return
            after = page[-1]

    def _is_rested(self, due: DueSchedule) -> bool:
        return not self._setbacks.is_resting(due.standing.key, self._clock.monotonic())

    async def _serve(self, due: DueSchedule, look: _Look) -> None:
        """Do what is to be done about one schedule, whatever it provokes."""
        key = due.standing.key
        schedule = self._registry.catalog.schedule(*key)
        if schedule is None:
            return
        try:
            since = self._setbacks.since(key, look.as_of)
            decision = await self._decided(schedule, due, Moment(since, look.moment.until))
        except Exception as error:  # one bad schedule is no other one's trouble
            started = Started(error=error)
        else:
            if decision is None:
                look.report.awaited.update(key for key in (former_of(due.standing),) if key is not None)
                return
            started = await self._firing.carry_out(schedule, due, decision, look.cause)
        self._judge(key, started.error, look.moment.now)
        look.report.add(started, awaits=schedule.overlap is not Overlap.ALLOW)

    async def _decided(self, schedule: Schedule, due: DueSchedule, moment: Moment) -> Decision | None:
        if due.standing.next_at is not None and moment.until - due.standing.next_at > _LONG:
            return await asyncio.to_thread(decide, schedule, due, moment, self._calendar)
        return decide(schedule, due, moment, self._calendar)

    def _judge(self, key: Key, error: Exception | None, now: int) -> None:
        if error is None:
            self._setbacks.clear(key)
            return
        rest = self._setbacks.note(key, now, self._clock.monotonic(), self._chance.fraction())
        namespace, schedule_id = key
        _log.warning(
            "schedule.failed",
            namespace=namespace,
            schedule_id=schedule_id,
            error=f"{type(error).__name__}: {error}",
            retry_in=f"{rest:.1f}s",
        )

    def _forget_removed(self) -> None:
        catalog = self._registry.catalog
        if catalog is not self._catalog:
            self._catalog = catalog
            self._setbacks.keep(frozenset(schedules_of(catalog)))


def schedules_of(catalog: Catalog) -> dict[Key, Schedule]:
    """Return every schedule that is defined."""
    return {
        (each.namespace, each.definition.schedule_id): each.definition
        for each in catalog.entries
        if isinstance(each.definition, Schedule)
    }
