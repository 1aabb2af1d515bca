"""What the clock sets off: one-time schedules of modules, and the tally that counts every second."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from examples.audit import plan
from examples.audit.plan import Request
from examples.audit.waiting import PATIENCE_SECONDS, until
from examples.audit.ways import TALLY, Way, schedule_of
from sidecar.client import NewSchedule, ScheduleStatus, State, SyncClient

FIRST_AFTER, WITHIN = timedelta(milliseconds=300), timedelta(seconds=2)
OPEN = (State.QUEUED, State.RUNNING)


class Timetable:
    """One schedule for each request that comes that way. `planned` maps schedules to their times."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = [each for each in requests if each.way is Way.SCHEDULE]
        self.planned: dict[str, datetime] = {}

    def define(self, client: SyncClient) -> None:
        """Define all of them at once, each for a time that is soon."""
        first, count = datetime.now(UTC) + FIRST_AFTER, len(self._requests)
        schedules = [
            _schedule(request, first + WITHIN * index / count) for index, request in enumerate(self._requests)
        ]
        if schedules:
            client.registry.apply([each.definition() for each in schedules])
        self.planned = {each.schedule_id: each.once for each in schedules if each.once}

    def due_between(self, since: datetime, to: datetime) -> int:
        """Return how many were due in a time."""
        return sum(since <= at <= to for at in self.planned.values())

    def await_ends(self, client: SyncClient) -> None:
        """Wait until each has fired, and what it set off has ended."""

        def fired() -> bool:
            return self.planned.keys() <= {each.schedule_id for each in client.schedules.list() if each.fired}

        until(fired, "every one-time schedule had fired")
        for each in client.schedules.list():
            if each.schedule_id in self.planned:
                client.wait(each.last_execution_id, PATIENCE_SECONDS)


def stop_tally(client: SyncClient) -> list[ScheduleStatus]:
    """Have no tally come any more, wait for those that run, and return how all schedules stand."""
    client.schedules.pause(TALLY)
    until(lambda: not list(client.list(workflow=TALLY, states=OPEN)), "the last tally had ended")
    return client.schedules.list()


def _schedule(request: Request, at: datetime) -> NewSchedule:
    return NewSchedule(
        schedule_id=schedule_of(request.module),
        workflow=plan.WORKFLOW,
        once=at,
        payload=json.dumps(request.payload()).encode(),
        content_type="application/json",
    )
