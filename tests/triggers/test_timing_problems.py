"""What is wrong with a timing is said with the value and what to do."""

from datetime import timedelta

import pytest

from sidecar.core.schedules import Timing
from sidecar.triggers.occurrences import Calendar
from tests.triggers.test_occurrences import DAY, at

YEAR_2026 = at("2026-01-01T00:00Z")
DAILY = "30 2 * * *"
TO_GIVE = "give an IANA name such as 'Europe/Berlin' or 'UTC'"

PROBLEMS = [
    (Timing(), "exactly one of cron, every and once; given: none"),
    (Timing(cron=DAILY, once=0), "given: cron, once"),
    (Timing(cron=DAILY, every=timedelta(hours=1), once=0), "given: cron, every, once"),
    (Timing(cron="61 * * * *"), "cron '61 * * * *' cannot be followed: Bad minute; give minute, hour"),
    (Timing(cron="* * * *"), "Wrong number of fields"),
    (Timing(cron="@reboot"), "@hourly|@daily|@weekly|@monthly|@yearly"),
    (Timing(cron="0 0 30 2 *"), "'0 0 30 2 *' cannot be followed: Bad day-of-month"),
    (Timing(cron="0 0 */31 2 MON#5"), "'0 0 */31 2 MON#5' never has an occurrence"),
    (Timing(cron="0 0 * * *\n"), r"cron '0 0 * * *\n' holds control characters"),
    (Timing(cron="*" * 201), "has 201 characters; 200 at most"),
    (Timing(cron=DAILY, zone="Europe/Atlantis"), f"zone 'Europe/Atlantis' is not known; {TO_GIVE}"),
    (Timing(cron=DAILY, zone=""), f"zone '' is not known; {TO_GIVE}"),
    (Timing(cron=DAILY, zone="Europe"), "zone 'Europe' is not known"),
    (Timing(cron=DAILY, zone="../../etc/passwd"), "zone '../../etc/passwd' is not known"),
    (Timing(cron=DAILY, zone="/etc/localtime"), "zone '/etc/localtime' is not known"),
    (Timing(cron=DAILY, zone="localtime"), "zone 'localtime' is not known"),
    (Timing(cron=DAILY, zone="right/UTC"), "zone 'right/UTC' is not known"),
    (Timing(cron=DAILY, zone="U\x00TC"), r"zone 'U\x00TC' holds control characters"),
    (Timing(cron=DAILY, zone="z" * 201), "has 201 characters; 200 at most"),
    (Timing(every=timedelta(hours=1), zone="nowhere"), "zone 'nowhere' is not known"),
    (Timing(every=timedelta(microseconds=999_999)), "every 0:00:00.999999 is out of bounds"),
    (Timing(every=timedelta(0)), "every 0:00:00 is out of bounds; give an interval of 1 second to 366 days"),
    (Timing(every=timedelta(days=366, microseconds=1)), "is out of bounds"),
    (Timing(once=-1), "once -1 ns is out of bounds; give a time in 1970 to 2095"),
    (Timing(once=at("2096-01-01T00:00Z")), "once 3976214400000000000 ns is out of bounds"),
    (Timing(cron=DAILY, start_at=-5), "start_at -5 ns is out of bounds"),
    (Timing(cron=DAILY, end_at=2**80), f"end_at {2**80} ns is out of bounds"),
    (
        Timing(cron=DAILY, start_at=YEAR_2026 + 1, end_at=YEAR_2026),
        "end_at 2026-01-01T00:00:00Z is before start_at 2026-01-01T00:00:00.000000001Z",
    ),
    (
        Timing(cron="0 0 29 2 *", start_at=YEAR_2026, end_at=YEAR_2026 + 366 * DAY),
        "cron '0 0 29 2 *' has no occurrence from 2026-01-01T00:00:00Z to 2027-01-02T00:00:00Z",
    ),
    (
        Timing(once=YEAR_2026, end_at=YEAR_2026 - 1),
        "once at 2026-01-01T00:00:00Z has no occurrence from 1970",
    ),
]
SOUND = [
    Timing(cron=DAILY),
    Timing(cron="0 0 29 2 MON", zone="Asia/Kolkata"),
    Timing(cron="0 9 * * MON#1", zone="America/Argentina/Buenos_Aires"),
    Timing(cron="0 18 LW * *", zone="Etc/GMT+5"),
    Timing(every=timedelta(seconds=1)),
    Timing(every=timedelta(days=366)),
    Timing(once=0),
    Timing(once=at("2096-01-01T00:00Z") - 1),
    Timing(once=YEAR_2026, start_at=YEAR_2026, end_at=YEAR_2026),
]


@pytest.mark.parametrize(("timing", "words"), PROBLEMS, ids=lambda value: str(value)[:60])
def test_a_problem_names_the_value_and_what_to_do(timing: Timing, words: str) -> None:
    problem = Calendar().problem(timing)
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize("timing", SOUND, ids=lambda value: str(value)[:60])
def test_a_sound_timing_has_none(timing: Timing) -> None:
    assert Calendar().problem(timing) is None
    assert Calendar().next_after(timing, -1) is not None


@pytest.mark.parametrize(
    "timing", [Timing(), Timing(cron="61 * * * *"), Timing(cron=DAILY, zone="Europe/Atlantis")]
)
def test_what_cannot_be_read_is_not_answered(timing: Timing) -> None:
    with pytest.raises(ValueError, match="give"):
        Calendar().next_after(timing, 0)
    with pytest.raises(ValueError, match="give"):
        Calendar().last_until(timing, 0, YEAR_2026, 1)
