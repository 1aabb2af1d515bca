"""When schedules have occurrences: daylight saving by hand in nine zones, intervals, bounds, problems."""

from datetime import datetime, timedelta

import pytest

from sidecar.core.schedules import Timing
from sidecar.triggers.occurrences import Calendar
from sidecar.triggers.timetable import ALIASES

CALENDAR = Calendar()
SECOND = 1_000_000_000
DAY = 86_400 * SECOND

# Zone, cron, and one occurrence each for the day before the change, the day of it and the day after.
GAPS = [
    ("Europe/Berlin", "30 2 * * *", "2024-03-30T01:30Z 2024-03-31T01:00Z 2024-04-01T00:30Z"),
    ("Europe/Dublin", "30 1 * * *", "2024-03-30T01:30Z 2024-03-31T01:00Z 2024-04-01T00:30Z"),
    ("America/New_York", "30 2 * * *", "2024-03-09T07:30Z 2024-03-10T07:00Z 2024-03-11T06:30Z"),
    ("Australia/Lord_Howe", "15 2 * * *", "2024-10-04T15:45Z 2024-10-05T15:30Z 2024-10-06T15:15Z"),
    ("Africa/Casablanca", "30 2 * * *", "2024-04-13T02:30Z 2024-04-14T02:00Z 2024-04-15T01:30Z"),
    ("America/Santiago", "30 0 * * *", "2024-09-07T04:30Z 2024-09-08T04:00Z 2024-09-09T03:30Z"),
    ("America/Santiago", "@daily", "2024-09-07T04:00Z 2024-09-08T04:00Z 2024-09-09T03:00Z"),
    ("Africa/Cairo", "15 0 * * *", "2024-04-24T22:15Z 2024-04-25T22:00Z 2024-04-26T21:15Z"),
    ("Asia/Tehran", "30 0 * * *", "2022-03-20T21:00Z 2022-03-21T20:30Z 2022-03-22T20:00Z"),
    ("Pacific/Apia", "0 9 * * *", "2011-12-29T19:00Z 2011-12-30T10:00Z 2011-12-30T19:00Z"),
    ("Europe/Berlin", "0,20,40 2 31 3 *", "2023-03-31T00:00Z 2023-03-31T00:20Z 2023-03-31T00:40Z"),
    ("Europe/Berlin", "20 30 2 * * *", "2024-03-30T01:30:20Z 2024-03-31T01:00Z 2024-04-01T00:30:20Z"),
]
OVERLAPS = [
    ("Europe/Berlin", "30 2 * * *", "2024-10-26T00:30Z 2024-10-27T00:30Z 2024-10-28T01:30Z"),
    ("Europe/Dublin", "30 1 * * *", "2024-10-26T00:30Z 2024-10-27T00:30Z 2024-10-28T01:30Z"),
    ("America/New_York", "30 1 * * *", "2024-11-02T05:30Z 2024-11-03T05:30Z 2024-11-04T06:30Z"),
    ("Australia/Lord_Howe", "45 1 * * *", "2024-04-05T14:45Z 2024-04-06T14:45Z 2024-04-07T15:15Z"),
    ("Africa/Casablanca", "30 2 * * *", "2024-03-09T01:30Z 2024-03-10T01:30Z 2024-03-11T02:30Z"),
    ("America/Santiago", "30 23 * * *", "2024-04-06T02:30Z 2024-04-07T02:30Z 2024-04-08T03:30Z"),
    ("Africa/Cairo", "30 23 * * *", "2024-10-30T20:30Z 2024-10-31T20:30Z 2024-11-01T21:30Z"),
    ("Asia/Tehran", "30 23 * * *", "2022-09-20T19:00Z 2022-09-21T19:00Z 2022-09-22T20:00Z"),
    ("Europe/Berlin", "*/30 30 2 * * *", "2024-10-27T00:30Z 2024-10-27T00:30:30Z 2024-10-28T01:30Z"),
    ("Europe/Berlin", "20 30 2 * * *", "2024-10-26T00:30:20Z 2024-10-27T00:30:20Z 2024-10-28T01:30:20Z"),
]
REAL_TIME = [
    ("Europe/Berlin", "*/30 * 31 3 *", "2024-03-31T00:30Z 2024-03-31T01:00Z 2024-03-31T01:30Z"),
    ("Europe/Berlin", "0 */1 * * *", "2024-10-27T00:00Z 2024-10-27T01:00Z 2024-10-27T02:00Z"),
    ("Europe/Berlin", "*/30 2 * * *", "2024-03-30T01:00Z 2024-03-30T01:30Z 2024-04-01T00:00Z"),
    (
        "Europe/Berlin",
        "*/30 2 * * *",
        "2024-10-27T00:00Z 2024-10-27T00:30Z 2024-10-27T01:00Z 2024-10-27T01:30Z",
    ),
    ("America/New_York", "@hourly", "2024-11-03T05:00Z 2024-11-03T06:00Z 2024-11-03T07:00Z"),
    ("Australia/Lord_Howe", "@hourly", "2024-04-06T14:00Z 2024-04-06T15:30Z 2024-04-06T16:30Z"),
    ("Australia/Lord_Howe", "*/30 2 7 4 *", "2024-04-06T15:30Z 2024-04-06T16:00Z"),
    ("America/St_Johns", "*/59 0 7 11 *", "2010-11-07T02:30Z 2010-11-07T03:30Z 2010-11-07T04:29Z"),
    ("America/Santiago", "*/30 0 * 9 *", "2024-09-07T04:00Z 2024-09-07T04:30Z 2024-09-09T03:00Z"),
]


def at(text: str) -> int:
    """Return an instant written in UTC."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def forward(timing: Timing, since: int, until: int) -> list[int]:
    """Return the occurrences in [since, until] by repeated `next_after`."""
    found, last = list[int](), since - 1
    while (occurrence := CALENDAR.next_after(timing, last)) is not None and occurrence <= until:
        found.append(occurrence)
        last = occurrence
    return found


def assert_occurrences(zone: str, cron: str, texts: str) -> None:
    expected = [at(text) for text in texts.split()]
    timing = Timing(cron=cron, zone=zone)
    assert CALENDAR.problem(timing) is None
    assert forward(timing, expected[0], expected[-1]) == expected
    assert CALENDAR.last_until(timing, expected[0], expected[-1], 100) == expected


@pytest.mark.parametrize(("zone", "cron", "texts"), GAPS)
def test_a_fixed_time_that_a_gap_leaves_out_comes_once_at_its_end(zone: str, cron: str, texts: str) -> None:
    """SCH-1."""
    assert_occurrences(zone, cron, texts)


@pytest.mark.parametrize(("zone", "cron", "texts"), OVERLAPS)
def test_a_fixed_time_that_an_overlap_repeats_comes_once(zone: str, cron: str, texts: str) -> None:
    """SCH-1: a fall-back fires once."""
    assert_occurrences(zone, cron, texts)


@pytest.mark.parametrize(("zone", "cron", "texts"), REAL_TIME)
def test_what_repeats_within_the_hour_or_day_follows_real_time(zone: str, cron: str, texts: str) -> None:
    """SCH-1."""
    assert_occurrences(zone, cron, texts)


def test_the_first_pass_is_found_from_within_the_second() -> None:
    """A minute past midnight the clocks go back to the day before, on which nothing happens."""
    timing = Timing(cron="*/59 0 7 11 *", zone="America/St_Johns")
    within = at("2010-11-07T03:00Z")
    assert CALENDAR.last_until(timing, 0, within, 1) == [at("2010-11-07T02:30Z")]
    assert CALENDAR.next_after(timing, within) == at("2010-11-07T03:30Z")


def test_all_times_within_one_gap_are_one_occurrence() -> None:
    timing = Timing(cron="0,20,40 2,3 * * *", zone="Europe/Berlin")
    midnight, noon = at("2024-03-30T23:00Z"), at("2024-03-31T10:00Z")
    expected = [at("2024-03-31T01:00Z"), at("2024-03-31T01:20Z"), at("2024-03-31T01:40Z")]
    assert forward(timing, midnight, noon) == expected
    assert CALENDAR.last_until(timing, midnight, noon, 100) == expected


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_mean_what_cron_says(alias: str) -> None:
    starts = {
        "@hourly": "2026-05-13T13:00Z",
        "@daily": "2026-05-14T00:00Z",
        "@weekly": "2026-05-17T00:00Z",
        "@monthly": "2026-06-01T00:00Z",
        "@yearly": "2027-01-01T00:00Z",
    }
    assert CALENDAR.next_after(Timing(cron=alias), at("2026-05-13T12:34Z")) == at(starts[alias])
    assert CALENDAR.next_after(Timing(cron=alias.upper()), at("2026-05-13T12:34Z")) == at(starts[alias])


def test_a_cron_with_seconds_comes_by_the_second() -> None:
    timing = Timing(cron="*/20 * * * * *")
    start = at("2026-01-01T00:00Z")
    assert CALENDAR.problem(timing) is None
    assert CALENDAR.last_until(timing, start + 1, start + 60 * SECOND, 9) == [
        start + 20 * SECOND,
        start + 40 * SECOND,
        start + 60 * SECOND,
    ]


def test_next_after_is_strict_to_the_nanosecond() -> None:
    timing = Timing(cron="* * * * *")
    minute = at("2026-01-01T00:00Z")
    assert CALENDAR.next_after(timing, minute - 1) == minute
    assert CALENDAR.next_after(timing, minute) == minute + 60 * SECOND
    assert CALENDAR.last_until(timing, 0, minute, 1) == [minute]
    assert CALENDAR.last_until(timing, 0, minute - 1, 1) == [minute - 60 * SECOND]
    assert CALENDAR.last_until(timing, minute + 1, minute + 1, 1) == []


def test_of_a_long_downtime_only_the_latest_come_back() -> None:
    """SCH-2: run all, up to a bound."""
    timing = Timing(cron="*/5 * * * *", zone="Europe/Berlin")
    since, until = at("2024-01-01T00:00Z"), at("2024-10-27T06:02Z")
    latest = CALENDAR.last_until(timing, since, until, 500)
    assert latest[-1] == at("2024-10-27T06:00Z")
    assert latest == [latest[-1] - 300 * SECOND * k for k in range(500)][::-1]
    assert CALENDAR.last_until(timing, latest[0], until, 1_000) == latest


@pytest.mark.parametrize("cron", ["* * * * * *", "0-59 0-23 * * *"])
def test_a_century_away_is_no_more_work(cron: str) -> None:
    timing = Timing(cron=cron, zone="Europe/Berlin")
    found = CALENDAR.last_until(timing, 0, at("2095-06-01T00:00Z"), 500)
    assert len(found) == 500
    assert found[-1] == at("2095-06-01T00:00Z")


def test_a_cron_whose_time_no_longer_exists_has_no_next() -> None:
    """The hour from two on the last Sunday of March is in every gap of Berlin since 1981."""
    timing = Timing(cron="*/20 2 * 3 7L", zone="Europe/Berlin")
    assert CALENDAR.next_after(timing, at("1981-01-01T00:00Z")) is None
    assert CALENDAR.last_until(timing, 0, at("2095-01-01T00:00Z"), 1) == [at("1980-03-30T01:40Z")]


@pytest.mark.parametrize("start_at", [None, at("2026-01-01T00:00:07Z") + 5])
def test_intervals_are_aligned_to_the_start_else_to_the_epoch(start_at: int | None) -> None:
    every, base = timedelta(minutes=7, microseconds=3), start_at or 0
    step, now = 420 * SECOND + 3_000, at("2026-03-01T00:00Z")
    timing = Timing(every=every, start_at=start_at)
    following = CALENDAR.next_after(timing, now)
    assert following is not None
    assert (following - base) % step == 0
    assert now < following <= now + step
    assert CALENDAR.next_after(timing, -1) == base
    assert CALENDAR.next_after(timing, following) == following + step
    assert CALENDAR.last_until(timing, 0, following, 3) == [following - 2 * step, following - step, following]
    assert CALENDAR.last_until(timing, base, base + step - 1, 3) == [base]


@pytest.mark.parametrize(
    "timing",
    [Timing(cron="@daily"), Timing(every=timedelta(days=1)), Timing(once=at("2026-02-02T00:00Z"))],
    ids=["cron", "every", "once"],
)
def test_bounds_are_included_and_nothing_lies_beyond_them(timing: Timing) -> None:
    day = at("2026-02-02T00:00Z")
    bounded = Timing(timing.cron, timing.zone, timing.every, timing.once, start_at=day, end_at=day)
    assert CALENDAR.problem(bounded) is None
    assert CALENDAR.next_after(bounded, 0) == day
    assert CALENDAR.next_after(bounded, day) is None
    assert CALENDAR.last_until(bounded, 0, day + 9 * DAY, 9) == [day]
    assert CALENDAR.last_until(bounded, day, day - 1, 9) == []
    assert CALENDAR.last_until(bounded, 0, day, 0) == []


def test_bounds_beyond_all_time_bound_nothing() -> None:
    """They are a problem, but a schedule that was stored with them is still answered."""
    timing = Timing(every=timedelta(days=1), start_at=-5 * DAY, end_at=2**80)
    assert CALENDAR.next_after(timing, -(2**80)) == 0
    assert CALENDAR.last_until(timing, 0, 2**80, 1) == [at("2095-12-31T00:00Z")]


def test_nothing_comes_before_1970_or_after_2095() -> None:
    first, last = 0, at("2095-12-31T23:59:59Z")
    for timing in (Timing(cron="* * * * * *", zone="Asia/Tehran"), Timing(every=timedelta(seconds=1))):
        assert CALENDAR.next_after(timing, -(10**30)) == first
        assert CALENDAR.next_after(timing, last) is None
        assert CALENDAR.last_until(timing, -(10**30), 10**30, 1) == [last]
        assert CALENDAR.last_until(timing, -(10**30), 0, 9) == [first]
