"""Schedules as plain records: a new one as it is described, and how one stands."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidecar.client import records
from sidecar.client.options import Deadlines, RetryPolicy, duration, timestamp
from sidecar.client.records import Execution, instant
from sidecar.v1 import definitions_pb2 as pb
from sidecar.v1 import schedule_service_pb2 as api


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """When and how a workflow is to run: by exactly one of `cron` (with `zone`), `every` and `once`.

    `misfire` is `run_once`, `skip` or `run_all`, `overlap` is `allow`, `skip` or `queue`; what is left
    open the sidecar decides.
    """

    schedule_id: str
    workflow: str
    cron: str = ""
    zone: str = ""
    every: timedelta | None = None
    once: datetime | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    description: str = ""
    queue: str = ""
    payload: bytes = b""
    content_type: str = ""
    misfire: str = ""
    misfire_limit: int = 0
    misfire_after: timedelta | None = None
    overlap: str = ""
    max_failures: int = 0
    retry: RetryPolicy | None = None
    deadlines: Deadlines | None = None
    expect_within: timedelta | None = None

    def definition(self) -> pb.Definition:
        """Return it as the registry takes it.

        Raises:
            ValueError: for a policy that does not exist, or a time that names no zone.
        """
        message = pb.Schedule(
            schedule_id=self.schedule_id,
            workflow_id=self.workflow,
            zone=self.zone,
            every=duration(self.every),
            once=None if self.once is None else timestamp(self.once),
            start_at=None if self.start_at is None else timestamp(self.start_at),
            end_at=None if self.end_at is None else timestamp(self.end_at),
            description=self.description,
            queue=self.queue,
            payload=self.payload,
            content_type=self.content_type,
            misfire=pb.Misfire.Value(f"MISFIRE_{self.misfire.upper() or 'UNSPECIFIED'}"),
            misfire_limit=self.misfire_limit,
            misfire_after=duration(self.misfire_after),
            overlap=pb.Overlap.Value(f"OVERLAP_{self.overlap.upper() or 'UNSPECIFIED'}"),
            max_failures=self.max_failures,
            retry=None if self.retry is None else self.retry.message(),
            deadlines=None if self.deadlines is None else self.deadlines.message(),
            expect_within=duration(self.expect_within),
        )
        if self.cron:
            message.cron = self.cron
        return pb.Definition(schedule=message)


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """How a schedule stands; `timing` is its cron and zone, its interval or its one time, in words."""

    schedule_id: str
    workflow_id: str
    timing: str
    description: str
    queue: str
    misfire: str
    overlap: str
    max_failures: int
    next_occurrences: tuple[datetime, ...]
    paused: bool
    stopped_reason: str
    failures: int
    fired: int
    skipped: int
    last_scheduled_for: datetime | None
    last_execution_id: str


@dataclass(frozen=True, slots=True)
class Fired:
    """What a run by hand came to; `existing` says that the same key had run it before."""

    execution: Execution
    existing: bool


@dataclass(frozen=True, slots=True)
class Ran:
    """What was due and has been started, and how many occurrences passed by a policy."""

    executions: tuple[Execution, ...]
    skipped: int


def status(message: api.ScheduleStatus) -> ScheduleStatus:
    """Return how a schedule stands, from its message."""
    schedule = message.schedule
    return ScheduleStatus(
        schedule_id=schedule.schedule_id,
        workflow_id=schedule.workflow_id,
        timing=_timing(schedule),
        description=schedule.description,
        queue=schedule.queue,
        misfire=records.word(pb.Misfire, schedule.misfire, "MISFIRE_"),
        overlap=records.word(pb.Overlap, schedule.overlap, "OVERLAP_"),
        max_failures=schedule.max_failures,
        next_occurrences=_times(message),
        paused=message.paused,
        stopped_reason=message.stopped_reason,
        failures=message.failures,
        fired=message.fired,
        skipped=message.skipped,
        last_scheduled_for=instant(message, "last_scheduled_for"),
        last_execution_id=message.last_execution_id,
    )


def _times(message: api.ScheduleStatus) -> tuple[datetime, ...]:
    return tuple(at.ToDatetime(tzinfo=UTC) for at in message.next_occurrences)


def _timing(schedule: pb.Schedule) -> str:
    if schedule.WhichOneof("timing") == "every":
        return f"every {schedule.every.ToTimedelta()}"
    if schedule.WhichOneof("timing") == "once":
        return f"once at {schedule.once.ToJsonString()}"
    return f"{schedule.cron} {schedule.zone}".strip()
