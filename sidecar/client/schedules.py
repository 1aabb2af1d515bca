"""Schedules as a client calls them: listed, paused, resumed, fired."""

from datetime import timedelta

import uuid_utils

from sidecar.client import records
from sidecar.client.channel import Connection
from sidecar.client.io_thread import IoThread
from sidecar.client.options import duration
from sidecar.client.retrying import repeat
from sidecar.client.timetables import Fired, Ran, ScheduleStatus, status
from sidecar.v1 import schedule_service_pb2 as api

Statuses = list[ScheduleStatus]


class ScheduleCalls:
    """The calls as coroutines for the I/O thread, for one namespace."""

    def __init__(self, connection: Connection, namespace: str, timeout: float) -> None:
        self._connection = connection
        self._namespace = namespace
        self._timeout = timeout

    async def list(self, schedule_id: str, occurrences: int) -> Statuses:
        """Read how schedules stand: one, or all if the id is empty."""
        request = api.ListSchedulesRequest(
            namespace=self._namespace, schedule_id=schedule_id, occurrences=occurrences
        )
        stub = self._connection.schedules
        response = await repeat(lambda left: stub.ListSchedules(request, timeout=left), self._timeout)
        return [status(each) for each in response.schedules]

    async def pause(self, schedule_id: str) -> ScheduleStatus:
        """Have no occurrence fire until it is resumed."""
        request = api.PauseScheduleRequest(namespace=self._namespace, schedule_id=schedule_id)
        stub = self._connection.schedules
        response = await repeat(lambda left: stub.PauseSchedule(request, timeout=left), self._timeout)
        return status(response.schedule)

    async def resume(self, schedule_id: str) -> ScheduleStatus:
        """Go on with the next occurrence."""
        request = api.ResumeScheduleRequest(namespace=self._namespace, schedule_id=schedule_id)
        stub = self._connection.schedules
        response = await repeat(lambda left: stub.ResumeSchedule(request, timeout=left), self._timeout)
        return status(response.schedule)

    async def run(self, schedule_id: str, request_id: str, idempotency_key: str) -> Fired:
        """Fire now; a key is made if none is given, so that a repeat over the wire is the same run."""
        request = api.RunScheduleRequest(
            namespace=self._namespace,
            schedule_id=schedule_id,
            request_id=request_id,
            idempotency_key=idempotency_key or str(uuid_utils.uuid7()),
        )
        stub = self._connection.schedules
        response = await repeat(lambda left: stub.RunSchedule(request, timeout=left), self._timeout)
        return Fired(records.execution(response.execution), response.existing and bool(idempotency_key))

    async def run_due(self, schedule_id: str, request_id: str, early: timedelta | None) -> Ran:
        """Fire what is due."""
        request = api.RunDueRequest(
            namespace=self._namespace,
            schedule_id=schedule_id,
            request_id=request_id,
            early=duration(early),
        )
        stub = self._connection.schedules
        response = await repeat(lambda left: stub.RunDue(request, timeout=left), self._timeout)
        return Ran(tuple(map(records.execution, response.executions)), response.skipped)


class Schedules:
    """The schedules of the client's namespace, for async code. They are defined with the registry."""

    def __init__(self, io: IoThread, calls: ScheduleCalls) -> None:
        self._io = io
        self._calls = calls

    async def list(self, schedule_id: str = "", occurrences: int = 0) -> Statuses:
        """Read how schedules stand, by id: one, or all; `occurrences` says how many of the next ones."""
        return await self._io.bridge(self._calls.list(schedule_id, occurrences))

    async def pause(self, schedule_id: str) -> ScheduleStatus:
        """Have no occurrence fire until it is resumed. Repeating it is a success."""
        return await self._io.bridge(self._calls.pause(schedule_id))

    async def resume(self, schedule_id: str) -> ScheduleStatus:
        """Go on with the next occurrence, and forget former failures."""
        return await self._io.bridge(self._calls.resume(schedule_id))

    async def run(self, schedule_id: str, *, request_id: str = "", idempotency_key: str = "") -> Fired:
        """Fire now, beside the timetable.

        Raises:
            SidecarError: the refusal, with the refused execution where there is one.
        """
        return await self._io.bridge(self._calls.run(schedule_id, request_id, idempotency_key))

    async def run_due(
        self, schedule_id: str = "", *, request_id: str = "", early: timedelta | None = None
    ) -> Ran:
        """Fire what is due, of one schedule or of all, and what is due `early` from now."""
        return await self._io.bridge(self._calls.run_due(schedule_id, request_id, early))


class SyncSchedules:
    """The same for code that blocks."""

    def __init__(self, io: IoThread, calls: ScheduleCalls) -> None:
        self._io = io
        self._calls = calls

    def list(self, schedule_id: str = "", occurrences: int = 0) -> Statuses:
        """Read how schedules stand, by id; see `Schedules.list`."""
        return self._io.block(self._calls.list(schedule_id, occurrences))

    def pause(self, schedule_id: str) -> ScheduleStatus:
        """Have no occurrence fire until it is resumed. Repeating it is a success."""
        return self._io.block(self._calls.pause(schedule_id))

    def resume(self, schedule_id: str) -> ScheduleStatus:
        """Go on with the next occurrence, and forget former failures."""
        return self._io.block(self._calls.resume(schedule_id))

    def run(self, schedule_id: str, *, request_id: str = "", idempotency_key: str = "") -> Fired:
        """Fire now, beside the timetable; see `Schedules.run`."""
        return self._io.block(self._calls.run(schedule_id, request_id, idempotency_key))

    def run_due(self, schedule_id: str = "", *, request_id: str = "", early: timedelta | None = None) -> Ran:
        """Fire what is due, of one schedule or of all, and what is due `early` from now."""
        return self._io.block(self._calls.run_due(schedule_id, request_id, early))
