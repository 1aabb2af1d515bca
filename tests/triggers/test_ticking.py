"""What one look at a schedule decides, with the real calendar: misfires, overlap, clocks, and bounds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.definitions import Misfire, Overlap, Schedule
from sidecar.core.ports import DueSchedule
from sidecar.core.schedules import Standing, Timing
from sidecar.triggers.occurrences import Calendar
from sidecar.triggers.ticking import MAX_FIRED, MAX_PASSED, Decision, Moment, decide

CALENDAR = Calendar()
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOON = 1_780_000_020 * SECOND
"""A whole minute."""
MINUTELY = Schedule("s", "w", Timing(every=timedelta(minutes=1)))


def due(next_at: int, *, occupied: bool = False, freed_at: int | None = None, **standing: Any) -> DueSchedule:
    return DueSchedule(Standing(("default", "s"), next_at, **standing), occupied, freed_at)


def at(now: int, early: int = 0) -> Moment:
    return Moment(now, now + early)


def after_downtime(now: int = NOON + 500 * MINUTE) -> tuple[DueSchedule, Moment]:
    """Return a minutely schedule whose last 500 occurrences nobody looked at."""
    return due(NOON + MINUTE), at(now)


def test_what_is_on_time_fires() -> None:
    found = decide(MINUTELY, due(NOON), at(NOON + 5 * SECOND), CALENDAR)
    assert found == Decision((NOON,), 0, NOON + MINUTE)


@pytest.mark.parametrize("standing", [{"paused": True}, {"next_at": None}, {"next_at": NOON + MINUTE}])
def test_what_is_not_due_is_left_alone(standing: dict[str, Any]) -> None:
    assert decide(MINUTELY, due(**{"next_at": NOON, **standing}), at(NOON + 1), CALENDAR) is None


def test_after_downtime_the_latest_occurrence_runs_once() -> None:
    """SCH-2: run once, which is the default."""
    found = decide(MINUTELY, *after_downtime(), CALENDAR)
    assert found == Decision((NOON + 500 * MINUTE,), 499, NOON + 501 * MINUTE)


def test_after_downtime_skip_runs_what_is_on_time_only() -> None:
    """SCH-2: skip."""
    schedule = replace(MINUTELY, misfire=Misfire.SKIP)
    late, moment = after_downtime(NOON + 500 * MINUTE + 30 * SECOND)
    assert decide(schedule, late, moment, CALENDAR) == Decision(
        (NOON + 500 * MINUTE,), 499, NOON + 501 * MINUTE
    )
    strict = replace(schedule, misfire_after=timedelta(seconds=10))
    assert decide(strict, late, moment, CALENDAR) == Decision((), 500, NOON + 501 * MINUTE)


@pytest.mark.parametrize(("limit", "runs"), [(1_000, 500), (100, 102), (1, 3)])
def test_after_downtime_run_all_runs_the_latest_up_to_its_bound(limit: int, runs: int) -> None:
    """SCH-2: run all, each with its own time; the two that are on time are no misfires."""
    schedule = replace(MINUTELY, misfire=Misfire.RUN_ALL, misfire_limit=limit)
    found = decide(schedule, *after_downtime(), CALENDAR)
    assert found is not None
    assert found.fires == tuple(NOON + n * MINUTE for n in range(501 - runs, 501))
    assert (found.skipped, found.next_at) == (500 - runs, NOON + 501 * MINUTE)


def test_how_late_is_on_time_is_the_schedules_to_say() -> None:
    schedule = replace(MINUTELY, misfire_after=timedelta(minutes=10), misfire=Misfire.SKIP)
    ten = decide(schedule, due(NOON), at(NOON + 10 * MINUTE), CALENDAR)
    assert ten is not None
    assert len(ten.fires) == 11
    eleven = decide(schedule, due(NOON), at(NOON + 11 * MINUTE), CALENDAR)
    assert eleven is not None
    assert (len(eleven.fires), eleven.skipped) == (11, 1)


def test_work_and_counts_are_bounded_after_any_downtime() -> None:
    """Invariant 7: years of downtime cost what a week does, and the count of what passed is capped."""
    schedule = replace(MINUTELY, timing=Timing(every=timedelta(seconds=1)), misfire=Misfire.RUN_ALL)
    schedule = replace(schedule, misfire_limit=1_000, misfire_after=timedelta(days=300))
    now = NOON + 400 * 86_400 * SECOND
    found = decide(schedule, due(NOON), at(now), CALENDAR)
    assert found is not None
    assert found.fires == tuple(now - n * SECOND for n in reversed(range(MAX_FIRED)))
    assert (found.skipped, found.next_at) == (MAX_PASSED - MAX_FIRED, now + SECOND)


def test_a_clock_that_jumps_forward_is_like_downtime() -> None:
    late = decide(replace(MINUTELY, misfire=Misfire.SKIP), due(NOON), at(NOON + 3_000 * MINUTE), CALENDAR)
    assert late is not None
    assert late.next_at == NOON + 3_001 * MINUTE
    assert len(late.fires) == 2


def test_a_clock_that_goes_back_fires_nothing_again() -> None:
    fired = decide(MINUTELY, due(NOON), at(NOON), CALENDAR)
    assert fired is not None
    assert fired.next_at is not None
    for back in (1, MINUTE, 90 * 86_400 * SECOND):
        assert decide(MINUTELY, due(fired.next_at), at(NOON - back), CALENDAR) is None


def test_one_time_fires_once() -> None:
    once = replace(MINUTELY, timing=Timing(once=NOON))
    assert decide(once, due(NOON), at(NOON), CALENDAR) == Decision((NOON,), 0, None)


def test_an_occurrence_can_be_taken_early() -> None:
    found = decide(MINUTELY, due(NOON), at(NOON - 5 * SECOND, early=5 * SECOND), CALENDAR)
    assert found == Decision((NOON,), 0, NOON + MINUTE)
    assert decide(MINUTELY, due(NOON), at(NOON - 6 * SECOND, early=5 * SECOND), CALENDAR) is None


SKIPPING = replace(MINUTELY, overlap=Overlap.SKIP)
QUEUEING = replace(MINUTELY, overlap=Overlap.QUEUE)


def test_overlap_allow_runs_beside_the_former_one() -> None:
    found = decide(MINUTELY, due(NOON, occupied=True), at(NOON), CALENDAR)
    assert found == Decision((NOON,), 0, NOON + MINUTE)


def test_overlap_skip_passes_over_what_comes_meanwhile() -> None:
    """SCH-2: overlap skip."""
    found = decide(SKIPPING, due(NOON, occupied=True), at(NOON + MINUTE), CALENDAR)
    assert found == Decision((), 2, NOON + 2 * MINUTE)
    free = decide(SKIPPING, due(NOON), at(NOON), CALENDAR)
    assert free == Decision((NOON,), 0, NOON + MINUTE)


def test_overlap_queue_waits_and_then_runs_one_after_the_other() -> None:
    """SCH-2: overlap queue; what waited is on time, whatever the misfire policy."""
    queueing = replace(QUEUEING, misfire=Misfire.SKIP)
    now = NOON + 90 * MINUTE + SECOND
    assert decide(queueing, due(NOON, occupied=True), at(now), CALENDAR) is None
    freed = decide(queueing, due(NOON, freed_at=now - SECOND), at(now), CALENDAR)
    assert freed == Decision((NOON,), 0, NOON + MINUTE)


def test_no_more_wait_than_the_bound() -> None:
    now = NOON + 500 * MINUTE
    found = decide(QUEUEING, due(NOON + MINUTE, freed_at=now), at(now), CALENDAR)
    assert found == Decision((NOON + 401 * MINUTE,), 400, NOON + 402 * MINUTE)


def test_what_waited_and_then_was_not_looked_at_is_late() -> None:
    now = NOON + 500 * MINUTE
    freed_long_ago = due(NOON + MINUTE, freed_at=NOON + 100 * MINUTE)
    found = decide(QUEUEING, freed_long_ago, at(now), CALENDAR)
    assert found == Decision((now,), 499, now + MINUTE)


@pytest.mark.parametrize("schedule", [SKIPPING, QUEUEING])
def test_what_is_made_up_for_goes_one_after_the_other(schedule: Schedule) -> None:
    """SCH-2: run all never overlaps where overlap is not allowed, and drops nothing within its bound."""
    schedule = replace(schedule, misfire=Misfire.RUN_ALL, misfire_limit=10)
    now = NOON + 500 * MINUTE + 30 * SECOND
    first = decide(schedule, due(NOON + MINUTE), at(now), CALENDAR)
    assert first == Decision((NOON + 490 * MINUTE,), 489, NOON + 491 * MINUTE)
    waiting = due(NOON + 491 * MINUTE, occupied=True)
    assert decide(schedule, waiting, at(now), CALENDAR) is None
    second = decide(schedule, replace(waiting, occupied=False), at(now), CALENDAR)
    assert second == Decision((NOON + 491 * MINUTE,), 0, NOON + 492 * MINUTE)


def test_a_stopped_schedule_passes_over_what_comes() -> None:
    """SCH-3: nothing fires by itself, and it goes on with what comes next."""
    schedule = replace(MINUTELY, max_failures=5, misfire=Misfire.RUN_ALL)
    found = decide(schedule, due(NOON, failures=5), at(NOON + 2 * MINUTE), CALENDAR)
    assert found == Decision((), 3, NOON + 3 * MINUTE)
    again = decide(schedule, due(NOON + 3 * MINUTE, failures=0), at(NOON + 3 * MINUTE), CALENDAR)
    assert again == Decision((NOON + 3 * MINUTE,), 0, NOON + 4 * MINUTE)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("zone", "cron", "times"),
    [
        # The clock goes back from 3:00 to 2:00 on 25 October 2026: 2:30 comes twice, and fires at the first.
        ("Europe/Berlin", "30 2 * * *", ("2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30")),
        # The clock goes on from 2:00 to 3:00 on 8 March 2026: there is no 2:30, and it fires at 3:00.
        ("America/New_York", "30 2 * * *", ("2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30")),
    ],
)
def test_a_change_of_the_clock_on_the_wall_fires_once(zone: str, cron: str, times: tuple[str, ...]) -> None:
    """SCH-1: daylight saving, tick by tick, as a scheduler would."""
    schedule = replace(MINUTELY, timing=Timing(cron=cron, zone=zone))
    expected = [utc(each) for each in times]
    next_at = CALENDAR.next_after(schedule.timing, expected[0] - 1)
    fired: list[int] = []
    for now in range(expected[0] - 3_600 * SECOND, expected[-1] + 3_600 * SECOND, 600 * SECOND):
        assert next_at is not None
        found = decide(schedule, due(next_at), at(now), CALENDAR)
        if found is not None:
            fired += found.fires
            next_at = found.next_at
    assert fired == expected


def test_hourly_goes_by_real_time_when_the_clock_goes_back() -> None:
    schedule = replace(MINUTELY, timing=Timing(cron="0 * * * *", zone="Europe/Berlin"))
    start = utc("2026-10-24T23:00")
    found = decide(
        replace(schedule, misfire=Misfire.RUN_ALL), due(start), at(start + 4 * 3_600 * SECOND), CALENDAR
    )
    assert found is not None
    assert found.fires == tuple(start + n * 3_600 * SECOND for n in range(5))


@given(
    missed=st.integers(0, 300),
    into=st.integers(0, 59),
    misfire=st.sampled_from(Misfire),
    overlap=st.sampled_from(Overlap),
    limit=st.integers(1, 50),
    patience=st.integers(0, 600),
    occupied=st.booleans(),
    freed=st.none() | st.integers(0, 20_000),
)
def test_no_occurrence_is_lost_or_counted_twice(
    missed: int,
    into: int,
    misfire: Misfire,
    overlap: Overlap,
    limit: int,
    patience: int,
    occupied: bool,
    freed: int | None,
) -> None:
    """SCH-2: whatever the policies, each occurrence fires, is skipped, or is still to come."""
    schedule = replace(
        MINUTELY,
        misfire=misfire,
        overlap=overlap,
        misfire_limit=limit,
        misfire_after=timedelta(seconds=patience),
    )
    now = NOON + missed * MINUTE + into * SECOND
    freed_at = None if freed is None or occupied else now - freed * SECOND
    found = decide(schedule, due(NOON, occupied=occupied, freed_at=freed_at), at(now), CALENDAR)
    if found is None:
        assert occupied
        assert overlap is not Overlap.ALLOW
        return
    assert found.next_at is not None
    passed = (found.next_at - NOON) // MINUTE
    assert found.skipped + len(found.fires) == passed
    assert found.fires == tuple(NOON + n * MINUTE for n in range(found.skipped, passed))
    assert overlap is Overlap.ALLOW or len(found.fires) <= 1
    assert not (occupied and found.fires) or overlap is Overlap.ALLOW
