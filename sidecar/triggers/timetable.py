"""Timetables: when a cron expression holds in a time zone, searched in either direction.

Daylight saving is treated as Debian's cron does. An expression whose minute and hour name fixed times
follows the clock on the wall: what a gap leaves out happens once, at its end, and what an overlap repeats
happens the first time only. Where the minute or the hour begins with `*` it follows real time: nothing
happens for a gap, and both passes of an overlap count.

An expression has five fields, six with the seconds in front (the same rules hold for it, and one second
is the shortest distance there is), or is an alias like `@daily`.
Source: https://manpages.debian.org/stable/cron/cron.8.en.html
"""

from bisect import bisect_left
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

END = 3_976_214_400
"""The second at which 2096 begins; timetables lie before it and not before the epoch."""

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}

_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_DAY = 86_400
_FARTHEST = 26 * 3_600  # no clock on a wall is farther than this from UTC
_OF_THE_MACHINE = ("localtime", "posix", "posixrules", "right")


def zone_named(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        ValueError: there is none, or it is one that means something else on each machine.
    """
    try:
        if name.split("/")[0] not in _OF_THE_MACHINE:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError(f"zone {name!r} is not known; give an IANA name such as 'Europe/Berlin' or 'UTC'")


@dataclass(frozen=True, slots=True)
class _Span:
    """A time with one offset from UTC: seconds in [start, end), `former` is the offset just before it."""

    start: int
    end: int
    offset: int
    former: int


class Timetable:
    """The seconds since the epoch at which a cron expression holds in a zone.

    Raises:
        ValueError: the expression or the zone cannot be read; the message says what to do.
    """

    def __init__(self, cron: str, zone: str) -> None:
        fields = ALIASES.get(cron.lower(), cron)
        self._zone = zone_named(zone)
        try:
            self._forward = CronSim(fields, _EPOCH)
            self._backward = CronSim(fields, _EPOCH, reverse=True)
        except CronSimError as error:
            raise ValueError(
                f"cron {cron!r} cannot be followed: {error}; give minute, hour, day of month, month and "
                f"day of week, such as '30 2 * * 1-5', with days that its months have, or {'|'.join(ALIASES)}"
            ) from error
        minute, hour = fields.split()[-5:-3]
        self._fixed = not (minute.startswith("*") or hour.startswith("*"))

    def first_from(self, second: int) -> int | None:
        """Return the first second in the table at or after `second`, which is not before the epoch."""
        while second < END:
            span = _span_at(self._zone, second)
            whole = second == span.start
            opening = self._opening(span)
            wall = _next(self._forward, (opening if whole else max(opening, second + span.offset)) - 1)
            if wall is None:
                return None
            if wall < span.end + span.offset:
                return max(wall - span.offset, span.start)
            second = max(span.end, wall - _FARTHEST) if whole else span.end
        return None

    def last_to(self, second: int) -> int | None:
        """Return the last second in the table at or before `second`, which is before `END`."""
        while second >= 0:
            span = _span_at(self._zone, second)
            wall = _next(self._backward, second + span.offset + 1)
            if wall is None:
                return None
            if wall >= self._opening(span):
                return max(wall - span.offset, span.start)
            whole = second == span.end - 1
            second = min(span.start - 1, wall + _FARTHEST) if whole else span.start - 1
        return None

    def _opening(self, span: _Span) -> int:
        """Return the first time on the wall that counts for a span.

        Fixed times go on from where the former span left the wall: over a gap, and not twice over an overlap.
        """
        return span.start + (span.former if self._fixed else span.offset)


def _next(search: CronSim, wall: int) -> int | None:
    """Return the next match strictly beyond a time on the wall, in the direction of the search."""
    fresh = copy(search)
    fresh.dt = _EPOCH + timedelta(seconds=wall)
    found = next(fresh, None)
    return None if found is None else (found - _EPOCH) // _SECOND


def _span_at(zone: ZoneInfo, second: int) -> _Span:
    year = datetime.fromtimestamp(second, UTC).year
    return next(span for span in _spans_of(zone, year) if second < span.end)


@lru_cache(maxsize=2_048)
def _spans_of(zone: ZoneInfo, year: int) -> tuple[_Span, ...]:
    """Return the spans of a year of UTC; its beginning and its end divide spans as changes do."""
    start, end = ((datetime(y, 1, 1) - _EPOCH) // _SECOND for y in (year, year + 1))
    cuts = sorted({start, *_changes(zone, start, end - 1), end})
    return tuple(_Span(a, b, _offset(zone, a), _offset(zone, a - 1)) for a, b in pairwise(cuts))


def _changes(zone: ZoneInfo, start: int, end: int) -> Iterator[int]:
    """Yield the seconds in (start, end] from which another offset holds.

    Looks day by day: no zone has changed twice within a day since 1970, the closest is a week.
    """
    for day in range(start, end, _DAY):
        seconds = range(day + 1, min(day + _DAY, end) + 1)
        former = _offset(zone, day)
        if _offset(zone, seconds[-1]) != former:
            yield seconds[bisect_left(seconds, True, key=lambda s: _offset(zone, s) != former)]


def _offset(zone: ZoneInfo, second: int) -> int:
    wall = datetime.fromtimestamp(second, zone).replace(tzinfo=None)
    return (wall - _EPOCH) // _SECOND - second
