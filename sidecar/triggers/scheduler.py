"""The scheduler: the agent that fires what is due, and the calls that fire from outside."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from sidecar.conventions.carrier import Carrier
from sidecar.core.commands import Accepted
from sidecar.core.definitions import Schedule
from sidecar.core.enqueue import Entry
from sidecar.core.lifecycle import TERMINAL, State
from sidecar.core.model import Dispatch, Execution, Key
from sidecar.core.ports import Change, Clock, Ids, Ledger, ListQuery, Reader
from sidecar.core.refusals import RefusalError, Refused
from sidecar.core.registry import Registry
from sidecar.core.retry import nanos
from sidecar.core.schedules import Calendar
from sidecar.core.scheduling import unknown_schedule
from sidecar.triggers.firing import Cause, Firing
from sidecar.triggers.ticker import Ticker, schedules_of
from sidecar.triggers.ticking import Moment

LONGEST_REST = 1.0
"""Seconds between two looks at most: other sidecars fire too, and the wall clock may jump."""
_SHORTEST_REST = 0.001


class Scheduler:
    """One per process. Of many on one store exactly one fires an occurrence, whoever comes first."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        entry: Entry,
        registry: Registry,
        calendar: Calendar,
        clock: Clock,
        ids: Ids,
        on_error: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._reader = reader
        self._registry = registry
        self._clock = clock
        self._ids = ids
        self._on_error = on_error
        self._firing = Firing(entry, ledger)
        self._ticker = Ticker(reader, registry, calendar, self._firing, clock, ids)
        self._awaited: set[Key] = set()
        self._woken = asyncio.Event()
        self._draining = False
        registry.on_change(lambda _: self.wake())

    async def run(self) -> None:
        """Fire what is due until drained; whatever goes wrong, the next look comes."""
        while not self._draining:
            self._woken.clear()
            try:
                rest = await self.look()
            except Exception as error:  # an agent must outlive what nobody thought of
                self._on_error(error)
                rest = LONGEST_REST
            await self._sleep(rest)

    async def look(self) -> float | None:
        """Fire what is due and return how long to rest, in seconds; None until something is defined.

        Raises:
            StoreUnavailableError: if the store cannot be read.
        """
        if not schedules_of(self._registry.catalog):
            return None
        now = self._clock.now()
        report = await self._ticker.tick(Moment(now, now), Cause(self._ids.execution_id()))
        self._awaited = report.awaited
        next_at = await self._reader.next_due_at(now)
        if next_at is None:
            return LONGEST_REST
        return min(LONGEST_REST, max(_SHORTEST_REST, (next_at - self._clock.now()) / 1e9))

    def wake(self) -> None:
        """Look at once: something was defined, or what holds up a schedule has ended."""
        self._woken.set()

    def changed(self, changes: Sequence[Change]) -> None:
        """Take note of one commit's changes."""
        if self._awaited and any(c.state in TERMINAL and c.key in self._awaited for c in changes):
            self.wake()

    def drain(self) -> None:
        """Fire nothing more by itself."""
        self._draining = True
        self.wake()

    async def run_due(
        self,
        namespace: str,
        schedule_id: str | None,
        request_id: str,
        early: timedelta = timedelta(),
        carrier: Carrier = Carrier(),
    ) -> tuple[list[Execution], int]:
        """Fire what is due, and what is due `early` from now, for an outside cron.

        Returns what that started, by schedule and planned time, and how many occurrences passed without.
        Of schedules that an outside cron runs, the executions come along that nobody has begun yet.

        Raises:
            RefusalError: with SCHEDULE_NOT_FOUND if there is no such schedule.
            StoreUnavailableError: if nothing could be fired; repeat it.
        """
        await self._registry.refresh()
        if schedule_id is not None:
            self._schedule(namespace, schedule_id)
        now = self._clock.now()
        cause = Cause(request_id or self._ids.execution_id(), carrier)
        report = await self._ticker.tick(Moment(now, now + nanos(early)), cause, (namespace, schedule_id))
        if report.errors and not report.executions:
            raise report.errors[0]
        started = {execution.key: execution for execution in report.executions}
        waiting = await self._expected(namespace, schedule_id)
        found = {**{execution.key: execution for execution in waiting}, **started}
        return sorted(found.values(), key=_by_time), report.skipped

    async def run_now(
        self,
        namespace: str,
        schedule_id: str,
        request_id: str,
        idempotency_key: str | None = None,
        carrier: Carrier = Carrier(),
    ) -> Accepted | Refused:
        """Fire once, beside the timetable, also while the schedule is paused or stopped.

        Raises:
            RefusalError: with SCHEDULE_NOT_FOUND if there is no such schedule.
            StoreUnavailableError: when it is not known to be durable; repeat it with the same key.
        """
        await self._registry.refresh()
        schedule = self._schedule(namespace, schedule_id)
        standings = await self._reader.standings(namespace, schedule_id)
        cause = Cause(request_id or self._ids.execution_id(), carrier)
        for standing in standings:
            fired = await self._firing.beside(schedule, standing, cause, self._clock.now(), idempotency_key)
            if fired.answer is not None:
                return fired.answer
        raise RefusalError(unknown_schedule(namespace, schedule_id))

    def _schedule(self, namespace: str, schedule_id: str) -> Schedule:
        schedule = self._registry.catalog.schedule(namespace, schedule_id)
        if schedule is None:
            raise RefusalError(unknown_schedule(namespace, schedule_id))
        return schedule

    async def _expected(self, namespace: str, schedule_id: str | None) -> list[Execution]:
        """Return what waits to be begun by an outside cron, no longer than it may."""
        found: list[Execution] = []
        for (whose, name), schedule in schedules_of(self._registry.catalog).items():
            if whose != namespace or schedule_id not in (None, name) or schedule.expect_within is None:
                continue
            waiting = await self._reader.page(ListQuery(namespace, (State.QUEUED,), schedule_id=name))
            oldest = await self._reader.lease_now() - nanos(schedule.expect_within)
            found += [e for e in waiting if _is_expected(e) and e.accepted_at > oldest]
        return found

    async def _sleep(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return


def _is_expected(execution: Execution) -> bool:
    return execution.terms.dispatch is Dispatch.EXTERNAL


def _by_time(execution: Execution) -> tuple[str, int, str]:
    correlation = execution.correlation
    return correlation.schedule_id or "", correlation.scheduled_for or 0, correlation.execution_id
