"""ScheduleService: how schedules stand, and the calls that pause, resume and fire them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from sidecar.conventions.carrier import Carrier
from sidecar.core.commands import Accepted
from sidecar.core.decrees import Steer
from sidecar.core.definitions import Schedule
from sidecar.core.model import Execution, Key
from sidecar.core.ports import Clock, Ledger, Reader
from sidecar.core.refusals import RefusalError, Refused
from sidecar.core.registry import Registry
from sidecar.core.schedules import Calendar, Standing
from sidecar.core.scheduling import stopped_reason, unknown_schedule
from sidecar.transport import requests, responses
from sidecar.transport.context import Context, caller_of
from sidecar.transport.definitions import schedule_message
from sidecar.transport.fields import bounded_int, duration, identifier, optional_identifier, refuse
from sidecar.v1 import schedule_service_pb2 as api
from sidecar.v1 import schedule_service_pb2_grpc as stubs

DEFAULT_OCCURRENCES = 5
MAX_OCCURRENCES = 100
MAX_EARLY = timedelta(minutes=1)


class Driver(Protocol):
    """What fires schedules when a call asks for it."""

    async def run_due(
        self,
        namespace: str,
        schedule_id: str | None,
        request_id: str,
        early: timedelta = timedelta(),
        carrier: Carrier = Carrier(),
    ) -> tuple[list[Execution], int]:
        """Fire what is due; return what that started, and how many occurrences passed without."""

    async def run_now(
        self,
        namespace: str,
        schedule_id: str,
        request_id: str,
        idempotency_key: str | None = None,
        carrier: Carrier = Carrier(),
    ) -> Accepted | Refused:
        """Fire once, beside the timetable."""


class ScheduleService(stubs.ScheduleServiceServicer):
    """Translates, validates, asks the reader and the driver."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        registry: Registry,
        driver: Driver,
        calendar: Calendar,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._registry = registry
        self._driver = driver
        self._calendar = calendar
        self._clock = clock

    async def ListSchedules(
        self, request: api.ListSchedulesRequest, context: Context
    ) -> api.ListSchedulesResponse:
        """Return how schedules stand, by id."""
        namespace = requests.namespace(request.namespace)
        schedule_id = optional_identifier("schedule_id", request.schedule_id)
        count = bounded_int("occurrences", request.occurrences, 0, MAX_OCCURRENCES) or DEFAULT_OCCURRENCES
        return api.ListSchedulesResponse(schedules=await self._statuses(namespace, schedule_id, count))

    async def PauseSchedule(
        self, request: api.PauseScheduleRequest, context: Context
    ) -> api.PauseScheduleResponse:
        """Have no occurrence fire until it is resumed."""
        key = _key(request.namespace, request.schedule_id)
        await self._steer(Steer(key, paused=True, next_at=None))
        return api.PauseScheduleResponse(schedule=await self._status(key))

    async def ResumeSchedule(
        self, request: api.ResumeScheduleRequest, context: Context
    ) -> api.ResumeScheduleResponse:
        """Go on with the next occurrence, without former failures."""
        key = _key(request.namespace, request.schedule_id)
        await self._registry.refresh()
        schedule = self._registry.catalog.schedule(*key)
        if schedule is None:
            raise RefusalError(unknown_schedule(*key))
        next_at = self._calendar.next_after(schedule.timing, self._clock.now())
        await self._steer(Steer(key, paused=False, next_at=next_at))
        return api.ResumeScheduleResponse(schedule=await self._status(key))

    async def RunSchedule(self, request: api.RunScheduleRequest, context: Context) -> api.RunScheduleResponse:
        """Fire once, now."""
        namespace, schedule_id = _key(request.namespace, request.schedule_id)
        request_id = identifier("request_id", request.request_id, "")
        key = optional_identifier("idempotency_key", request.idempotency_key)
        answer = await self._driver.run_now(namespace, schedule_id, request_id, key, caller_of(context))
        if isinstance(answer, Refused):
            raise RefusalError(answer)
        return api.RunScheduleResponse(
            execution=responses.execution(answer.execution), existing=answer.existing
        )

    async def RunDue(self, request: api.RunDueRequest, context: Context) -> api.RunDueResponse:
        """Fire what is due."""
        namespace = requests.namespace(request.namespace)
        schedule_id = optional_identifier("schedule_id", request.schedule_id)
        request_id = identifier("request_id", request.request_id, "")
        early = duration(request, "early", "early", positive=False) or timedelta()
        if early > MAX_EARLY:
            refuse("early", early, f"is longer than {MAX_EARLY}")
        started, skipped = await self._driver.run_due(
            namespace, schedule_id, request_id, early, caller_of(context)
        )
        return api.RunDueResponse(executions=[responses.brief(each) for each in started], skipped=skipped)

    async def _steer(self, command: Steer) -> None:
        if not await self._ledger.submit(command):
            raise RefusalError(unknown_schedule(*command.key))

    async def _status(self, key: Key) -> api.ScheduleStatus:
        [status] = await self._statuses(*key, DEFAULT_OCCURRENCES)
        return status

    async def _statuses(
        self, namespace: str, schedule_id: str | None, count: int
    ) -> Sequence[api.ScheduleStatus]:
        """Return how schedules stand, computed on a thread as there may be many.

        Raises:
            RefusalError: if one was asked for that is not there.
        """
        standings = await self._reader.standings(namespace, schedule_id)
        await self._registry.refresh()
        catalog, now = self._registry.catalog, self._clock.now()
        known = [(s, d) for s in standings if (d := catalog.schedule(*s.key)) is not None]
        if schedule_id is not None and not known:
            raise RefusalError(unknown_schedule(namespace, schedule_id))
        return await asyncio.to_thread(self._told, known, now, count, schedule_id is None)

    def _told(
        self, known: Sequence[tuple[Standing, Schedule]], now: int, count: int, many: bool
    ) -> list[api.ScheduleStatus]:
        return [
            _status(standing, schedule, self._next(standing, schedule, now, count), brief=many)
            for standing, schedule in known
        ]

    def _next(self, standing: Standing, schedule: Schedule, now: int, count: int) -> list[int]:
        """Return the next occurrences that will fire: none that has fired early already."""
        if standing.paused or standing.next_at is None or stopped_reason(schedule, standing):
            return []
        found, after = list[int](), max(now, standing.next_at - 1)
        while len(found) < count and (at := self._calendar.next_after(schedule.timing, after)) is not None:
            found.append(at)
            after = at
        return found


def _key(namespace: str, schedule_id: str) -> Key:
    return requests.namespace(namespace), identifier("schedule_id", schedule_id)


def _status(
    standing: Standing, schedule: Schedule, occurrences: Sequence[int], *, brief: bool
) -> api.ScheduleStatus:
    message = api.ScheduleStatus(
        schedule=schedule_message(schedule),
        next_occurrences=[at for each in occurrences if (at := responses.timestamp(each)) is not None],
        paused=standing.paused,
        stopped_reason=stopped_reason(schedule, standing),
        failures=min(standing.failures, _MOST_FAILURES),
        fired=standing.fired,
        skipped=standing.skipped,
        last_scheduled_for=responses.timestamp(standing.last_scheduled_for),
        last_execution_id=standing.last_execution_id or "",
    )
    if brief and len(schedule.payload) > responses.MAX_BRIEF:
        message.schedule.ClearField("payload")
    return message


_MOST_FAILURES = 2**32 - 1
