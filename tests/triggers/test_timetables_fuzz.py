"""Whatever a timing holds, there is a problem in words or an answer, the same from either side."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.core.schedules import Timing
from sidecar.triggers.occurrences import Calendar
from tests.triggers.test_occurrences import DAY, SECOND, at, forward

CALENDAR = Calendar()
ZONES = sorted(available_timezones() - {"localtime"})
EPOCH = datetime(1970, 1, 1)
LATEST = 3_976_214_400 * SECOND - 1

# Instants in UTC at which clocks change, by zone: the widest, the narrowest and the oddest kinds.
CHANGES = [
    ("Europe/Berlin", "2024-03-31T01:00Z"),
    ("Europe/Berlin", "2024-10-27T01:00Z"),
    ("Europe/Dublin", "2024-10-27T01:00Z"),
    ("America/New_York", "2024-11-03T06:00Z"),
    ("Australia/Lord_Howe", "2024-04-06T15:00Z"),
    ("Australia/Lord_Howe", "2024-10-05T15:30Z"),
    ("Africa/Casablanca", "2024-03-10T02:00Z"),
    ("America/Santiago", "2024-04-07T03:00Z"),
    ("America/Santiago", "2024-09-08T04:00Z"),
    ("Africa/Cairo", "2024-10-31T21:00Z"),
    ("America/St_Johns", "2010-11-07T02:31Z"),
    ("Asia/Tehran", "2022-03-21T20:30Z"),
    ("Antarctica/Troll", "2024-10-27T01:00Z"),
    ("Antarctica/Casey", "2018-03-10T17:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00Z"),
    ("UTC", "2024-12-31T23:59Z"),
]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Return texts of one cron field, sound ones."""
    number = st.integers(low, high)
    pair = st.tuples(number, number)
    return st.one_of(
        st.just("*"),
        number.map(str),
        pair.map(lambda p: f"{min(p)}-{max(p)}"),
        pair.map(lambda p: f"{p[0]},{p[1]}"),
        st.integers(1, high).map(lambda n: f"*/{n}"),
        st.tuples(pair, st.integers(1, high)).map(lambda p: f"{min(p[0])}-{max(p[0])}/{p[1]}"),
    )


MINUTES, HOURS = field(0, 59), field(0, 23)
CRONS = st.tuples(
    MINUTES, HOURS, field(1, 31) | st.sampled_from(["L", "LW"]), field(1, 12), field(0, 7) | st.just("5L")
).map(" ".join)
DAILY = st.tuples(MINUTES, HOURS | st.sampled_from(["1", "2", "23", "0-3"])).map(
    lambda f: f"{' '.join(f)} * * *"
)
NOISE = st.text(st.sampled_from("0123456789*/,-#LW@? \tMONJAN\x00é²"), max_size=30)
TEXTS = st.one_of(CRONS, NOISE, st.text(max_size=250), st.just(""), st.just("@daily"))
NAMES = st.one_of(
    st.sampled_from(ZONES),
    st.text(max_size=250),
    st.sampled_from(
        ["", ".", "/", "../..", "/etc/passwd", "Europe", "localtime", "right/UTC", "zone.tab", "a\0"]
    ),
)
INSTANTS = st.one_of(st.none(), st.integers(0, LATEST), st.integers(-(2**80), 2**80))
SPANS = st.none() | st.timedeltas() | st.timedeltas(timedelta(seconds=1), timedelta(days=366))
TIMINGS = st.one_of(
    st.builds(Timing, TEXTS, NAMES, SPANS, INSTANTS, INSTANTS, INSTANTS),
    st.builds(Timing, cron=TEXTS, zone=NAMES, start_at=INSTANTS, end_at=INSTANTS),
    st.builds(Timing, cron=CRONS, zone=st.sampled_from(ZONES)),
    st.builds(Timing, every=SPANS, start_at=INSTANTS, end_at=INSTANTS),
)


def by_looking_at_every_minute(cron: str, zone: str, since: int, until: int) -> list[int]:
    """Return when the clock on the wall shows what a cron holds for, minute by minute of real time."""
    place, first = ZoneInfo(zone), EPOCH + timedelta(seconds=since // SECOND) - timedelta(days=2)
    walls = set[datetime]()
    for wall in CronSim(cron, first):
        if wall > first + timedelta(days=8):
            break
        walls.add(wall)
    minutes = range(since, until + 1, 60 * SECOND)
    return [m for m in minutes if datetime.fromtimestamp(m // SECOND, place).replace(tzinfo=None) in walls]


def as_cronsim_goes_forward(cron: str, zone: str, since: int, until: int) -> list[int]:
    """Return what the library says of fixed times, which it shifts one by one: equal ones are one."""
    found = set[int]()
    for occurrence in CronSim(cron, datetime.fromtimestamp((since - 3 * DAY) // SECOND, ZoneInfo(zone))):
        if (instant := int(occurrence.timestamp()) * SECOND) > until:
            break
        found.add(instant)
    return sorted(instant for instant in found if instant >= since)


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@settings(deadline=None, max_examples=15)
@given(cron=DAILY, limit=st.integers(1, 50))
def test_around_a_change_both_directions_say_what_the_clock_says(
    zone: str, change: str, cron: str, limit: int
) -> None:
    """SCH-1."""
    timing = Timing(cron=cron, zone=zone)
    since, until = at(change) - DAY, at(change) + DAY
    fixed = not any(text.startswith("*") for text in cron.split()[:2])
    expected = (as_cronsim_goes_forward if fixed else by_looking_at_every_minute)(cron, zone, since, until)
    assert CALENDAR.last_until(timing, since, until, 10_000) == expected
    assert CALENDAR.last_until(timing, since, until, limit) == expected[-limit:]
    middle = expected[len(expected) // 2 :][:limit]
    if middle:
        assert forward(timing, middle[0], middle[-1]) == middle
    assert forward(timing, at(change) - 7_200 * SECOND, at(change) + 7_200 * SECOND) == [
        instant for instant in expected if abs(instant - at(change)) <= 7_200 * SECOND
    ]


@settings(deadline=None, max_examples=150)
@given(cron=CRONS, zone=st.sampled_from(ZONES), until=st.integers(0, LATEST))
def test_anywhere_and_at_any_time_both_directions_agree(cron: str, zone: str, until: int) -> None:
    timing = Timing(cron=cron, zone=zone)
    assume(CALENDAR.problem(timing) is None)
    latest = CALENDAR.last_until(timing, 0, until, 12)
    assert latest == sorted(set(latest))
    if latest:
        assert forward(timing, latest[0], until) == latest


@settings(deadline=None, max_examples=400)
@given(timing=TIMINGS, now=st.integers(0, LATEST) | st.integers(-(2**80), 2**80))
def test_a_timing_has_a_problem_in_words_or_answers(timing: Timing, now: int) -> None:
    problem = CALENDAR.problem(timing)
    if problem is not None:
        assert 10 < len(problem) < 700
        assert problem.isprintable()
        return
    following, latest = CALENDAR.next_after(timing, now), CALENDAR.last_until(timing, 0, now, 5)
    assert following is None or max(now, -1) < following <= LATEST
    assert len(latest) <= 5
    assert all(0 <= instant <= min(now, LATEST) for instant in latest)
    assert following is not None or latest or now < 0
    first = CALENDAR.next_after(timing, -1)
    assert first is not None
    assert CALENDAR.last_until(timing, 0, first, 5) == [first]
