"""Ticking: what one look at a schedule does to it, decided from what was read and from nothing else.

An occurrence is *late* when it is older than the schedule's `misfire_after`; what waited in vain for the
store to come back is not, and where occurrences queue for the former execution their time counts from
its end. As long as nothing is late everything that is due fires, each with its own time. Once something is:

- `SKIP` passes over what is late and fires what is not;
- `RUN_ONCE` fires the latest of all that is due, as that makes up for the others;
- `RUN_ALL` fires the latest `misfire_limit` of what is late and all that is not.

While the former execution goes on, `Overlap.SKIP` passes over what is due and `Overlap.QUEUE` leaves it
where it is, up to the latest `misfire_limit` of it; but what `RUN_ALL` makes up for waits under both, and
goes one after the other. A stopped schedule passes over what comes due, so that it goes on with what
comes next. Nothing here grows with the time that passed: at most `MAX_PASSED` occurrences are looked at
and counted, the latest, and `MAX_FIRED` fire.
"""

from bisect import bisect_left
from dataclasses import dataclass

from sidecar.core.definitions import Misfire, Overlap, Schedule
from sidecar.core.ports import DueSchedule
from sidecar.core.retry import nanos
from sidecar.core.schedules import Calendar
from sidecar.core.scheduling import stopped_reason

MAX_PASSED = 10_000
MAX_FIRED = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """When a tick looks: what lies up to `until` is due, and how late it is shows against `now`."""

    now: int
    until: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Which occurrences fire, in order, how many before them pass without, and when the next one is."""

    fires: tuple[int, ...]
    skipped: int
    next_at: int | None


def decide(schedule: Schedule, due: DueSchedule, moment: Moment, calendar: Calendar) -> Decision | None:
    """Return what a tick does to one schedule, None to leave it as it stands.

    Raises:
        ValueError: if the calendar cannot follow the timing.
    """
    standing = due.standing
    if standing.paused or standing.next_at is None or standing.next_at > moment.until:
        return None
    passed = calendar.last_until(schedule.timing, standing.next_at, moment.until, MAX_PASSED)
    later = calendar.next_after(schedule.timing, moment.until)
    late = _late(schedule, due, moment.now, passed)
    if stopped_reason(schedule, standing):
        return Decision((), len(passed), later)
    if due.occupied and schedule.overlap is not Overlap.ALLOW:
        return None if _waits(schedule, late) else Decision((), len(passed), later)
    kept = _kept(schedule, passed, late)
    skipped = len(passed) - len(kept)
    if schedule.overlap is Overlap.ALLOW or not kept:
        return Decision(tuple(kept), skipped, later)
    return Decision((kept[0],), skipped, kept[1] if len(kept) > 1 else later)


def _late(schedule: Schedule, due: DueSchedule, now: int, passed: list[int]) -> int:
    """Return how many of the occurrences that passed, the first ones, are late."""
    limit = now - nanos(schedule.misfire_after)
    if schedule.overlap is Overlap.QUEUE and due.freed_at is not None and due.freed_at >= limit:
        return 0
    return bisect_left(passed, limit)


def _waits(schedule: Schedule, late: int) -> bool:
    """Return whether what is due waits for the former execution."""
    return schedule.overlap is Overlap.QUEUE or (late > 0 and schedule.misfire is Misfire.RUN_ALL)


def _kept(schedule: Schedule, passed: list[int], late: int) -> list[int]:
    """Return the occurrences that fire, which are always the latest ones."""
    if late:
        most = {
            Misfire.SKIP: len(passed) - late,
            Misfire.RUN_ONCE: 1,
            Misfire.RUN_ALL: len(passed) - late + min(late, schedule.misfire_limit),
        }[schedule.misfire]
    else:
        most = schedule.misfire_limit if schedule.overlap is Overlap.QUEUE else len(passed)
    return passed[max(0, len(passed) - min(most, MAX_FIRED)) :]
