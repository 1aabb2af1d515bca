"""Firing: a decision becomes commands, each of which commits one occurrence with its execution."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from sidecar.conventions.carrier import Carrier
from sidecar.core.correlation import Source
from sidecar.core.decrees import Fire, Fired
from sidecar.core.definitions import Overlap, Schedule
from sidecar.core.enqueue import Entry, Request
from sidecar.core.model import Dispatch, Execution, Key
from sidecar.core.ports import DueSchedule, Ledger
from sidecar.core.schedules import Standing
from sidecar.core.scheduling import taken_by
from sidecar.triggers.ticking import Decision

MAX_TOGETHER = 64
MAX_BYTES = 4 * 1024 * 1024
"""How many occurrences of a schedule, and how many bytes of payloads, are handed in at once."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What makes schedules fire: one request, whose id everything has that it starts."""

    request_id: str
    carrier: Carrier = Carrier()


@dataclass(slots=True)
class Started:
    """What became of a decision. `missed` says that the schedule had moved on since it was read."""

    executions: list[Execution] = field(default_factory=list)
    skipped: int = 0
    missed: bool = False
    error: Exception | None = None


class Firing:
    """Hands in what schedules start."""

    def __init__(self, entry: Entry, ledger: Ledger) -> None:
        self._entry = entry
        self._ledger = ledger

    async def carry_out(
        self, schedule: Schedule, due: DueSchedule, decision: Decision, cause: Cause
    ) -> Started:
        """Have a decision committed, occurrence by occurrence; each needs the one before.

        What had been started when a fault broke it off is told with the fault.
        """
        started = Started()
        try:
            for commands in self._chunks(schedule, due.standing, decision, cause):
                for command, answer in zip(commands, await self._ledger.submit_many(commands), strict=True):
                    if isinstance(answer, Exception):
                        raise answer
                    _note(started, command, answer)
                if started.missed:
                    break
        except Exception as error:  # one bad schedule is no other one's trouble
            started.error = error
        return started

    async def beside(
        self, schedule: Schedule, standing: Standing, cause: Cause, now: int, key: str | None
    ) -> Fired:
        """Fire once, now, beside the timetable. `key` makes a repeat the same execution.

        Raises:
            StoreUnavailableError: when it is not known to be durable.
        """
        asked = replace(
            _request(schedule, standing.key, now, cause),
            trigger_type="manual",
            idempotency_key=None if key is None else f"{_prefix(schedule)}run={quote(key, safe='')}",
        )
        accept = self._entry.prepare(asked)
        command = Fire(standing.key, standing.version, accept, None, beside=True, former=former_of(standing))
        return await self._ledger.submit(command)

    def _chunks(
        self, schedule: Schedule, standing: Standing, decision: Decision, cause: Cause
    ) -> Iterator[list[Fire]]:
        """Yield the commands of a decision; payloads are not all in memory at once."""
        most = max(1, min(MAX_TOGETHER, MAX_BYTES // (len(schedule.payload) + 1)))
        former = None if schedule.overlap is Overlap.ALLOW else former_of(standing)
        fires, nexts = decision.fires, (*decision.fires[1:], decision.next_at)
        if not fires:
            yield [Fire(standing.key, standing.version, None, decision.next_at, decision.skipped)]
        for start in range(0, len(fires), most):
            yield [
                Fire(
                    standing.key,
                    standing.version + number,
                    self._entry.prepare(_request(schedule, standing.key, fires[number], cause)),
                    nexts[number],
                    0 if number else decision.skipped,
                    former=former,
                )
                for number in range(start, min(start + most, len(fires)))
            ]


def _note(started: Started, command: Fire, answer: Fired) -> None:
    if not answer.fired:
        started.missed = True
        return
    started.skipped += command.skipped
    if command.accept is None or answer.answer is None:
        return
    execution = taken_by(command.accept, answer.answer)
    if execution is not None:
        started.executions.append(execution)


def former_of(standing: Standing) -> Key | None:
    """Return the execution that the latest occurrence has, None before the first."""
    last = standing.last_execution_id
    return None if last is None else (standing.key[0], last)


def _prefix(schedule: Schedule) -> str:
    """Return what the keys of a schedule begin with; no caller of the API can have such a key."""
    return f"schedule:{schedule.schedule_id}:"


def _request(schedule: Schedule, key: Key, at: int, cause: Cause) -> Request:
    """Return the request of an occurrence, the same whoever makes it and however often."""
    deadlines = schedule.deadlines
    if schedule.expect_within is not None:
        deadlines = replace(deadlines, in_queue=schedule.expect_within)
    return Request(
        namespace=key[0],
        workflow_id=schedule.workflow_id,
        queue=schedule.queue,
        payload=schedule.payload,
        content_type=schedule.content_type,
        request_id=cause.request_id,
        idempotency_key=f"{_prefix(schedule)}{at}",
        source=Source.SCHEDULE,
        trigger_type="schedule",
        schedule_id=schedule.schedule_id,
        scheduled_for=at,
        carrier=cause.carrier,
        retry=schedule.retry,
        deadlines=deadlines,
        dispatch=Dispatch.MANAGED if schedule.expect_within is None else Dispatch.EXTERNAL,
    )
