"""The calendar of schedules: what is wrong with a timing, and when it has occurrences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sidecar.core.retry import nanos
from sidecar.core.schedules import Timing
from sidecar.triggers.timetable import END, Timetable, zone_named

MAX_TEXT = 200
MIN_EVERY = timedelta(seconds=1)
MAX_EVERY = timedelta(days=366)

_NANOS = 1_000_000_000
_LATEST = END * _NANOS - 1
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_SHOWN = 60


class Calendar:
    """Computes occurrences from the timing alone; holds nothing, and knows no clock.

    All times are nanoseconds since the epoch; occurrences lie in 1970 to 2095, `start_at` and `end_at`
    included. Which cron expressions there are, and what they do in daylight saving, says `timetable`.
    """

    def problem(self, timing: Timing) -> str | None:
        """Say what is wrong with a timing and what to do about it, None if it is sound."""
        return next(_problems(timing), None)

    def next_after(self, timing: Timing, after: int) -> int | None:
        """Return the first occurrence strictly after `after`, None if there is none any more.

        Raises:
            ValueError: the cron expression or the zone cannot be read, or the timing has no kind.
        """
        first, last = _bounds(timing)
        found = _course(timing).first_from(max(after + 1, first))
        return None if found is None or found > last else found

    def last_until(self, timing: Timing, since: int, until: int, limit: int) -> list[int]:
        """Return the latest occurrences in [since, until], at most `limit` of them, ascending.

        The work grows with `limit`, not with the time between.

        Raises:
            ValueError: the cron expression or the zone cannot be read, or the timing has no kind.
        """
        first, last = _bounds(timing)
        first, at = max(since, first), min(until, last)
        course, found = _course(timing), list[int]()
        while len(found) < limit and at >= first:
            occurrence = course.last_to(at)
            if occurrence is None or occurrence < first:
                break
            found.append(occurrence)
            at = occurrence - 1
        return found[::-1]


class _Course(Protocol):
    """Occurrences from either side, asked for within the bounds of the timing only."""

    def first_from(self, instant: int) -> int | None:
        """Return the first occurrence at or after an instant."""

    def last_to(self, instant: int) -> int | None:
        """Return the last occurrence at or before an instant."""


@dataclass(frozen=True, slots=True)
class _Once:
    at: int

    def first_from(self, instant: int) -> int | None:
        return self.at if self.at >= instant else None

    def last_to(self, instant: int) -> int | None:
        return self.at if self.at <= instant else None


@dataclass(frozen=True, slots=True)
class _Interval:
    base: int
    step: int

    def first_from(self, instant: int) -> int | None:
        return instant + (self.base - instant) % self.step

    def last_to(self, instant: int) -> int | None:
        return instant - (instant - self.base) % self.step


@dataclass(frozen=True, slots=True)
class _Cron:
    table: Timetable

    def first_from(self, instant: int) -> int | None:
        second = self.table.first_from(-(-instant // _NANOS))
        return None if second is None else second * _NANOS

    def last_to(self, instant: int) -> int | None:
        second = self.table.last_to(instant // _NANOS)
        return None if second is None else second * _NANOS


def _course(timing: Timing) -> _Course:
    if timing.cron:
        return _Cron(Timetable(timing.cron, timing.zone))
    if timing.every is not None:
        return _Interval(timing.start_at or 0, nanos(timing.every))
    if timing.once is not None:
        return _Once(timing.once)
    raise ValueError("a timing needs cron, every or once; give one of them")


def _bounds(timing: Timing) -> tuple[int, int]:
    """Return the first and the last instant that may be occurrences."""
    last = _LATEST if timing.end_at is None else timing.end_at
    return max(timing.start_at or 0, 0), min(last, _LATEST)


def _problems(timing: Timing) -> Iterator[str]:
    """Yield problems, each check trusting that those before it found none."""
    yield from _in_texts(timing)
    yield from _in_kind(timing)
    yield from _in_instants(timing)
    yield from _in_interval(timing)
    yield from _in_cron(timing)
    first, last = _bounds(timing)
    if Calendar().next_after(timing, -1) is None:
        yield (
            f"{_kind(timing)} has no occurrence from {_shown(first)} to {_shown(last)}; "
            "move start_at or end_at"
        )


def _in_texts(timing: Timing) -> Iterator[str]:
    for name, value in (("cron", timing.cron), ("zone", timing.zone)):
        if len(value) > MAX_TEXT:
            yield f"{name} {value[:_SHOWN]!r}... has {len(value)} characters; {MAX_TEXT} at most"
        if not _PRINTABLE.fullmatch(value):
            yield f"{name} {value[:_SHOWN]!r} holds control characters; put spaces between its parts"


def _in_kind(timing: Timing) -> Iterator[str]:
    kinds = {"cron": timing.cron, "every": timing.every, "once": timing.once}
    given = [name for name, value in kinds.items() if value not in ("", None)]
    if len(given) != 1:
        yield f"a timing needs exactly one of cron, every and once; given: {', '.join(given) or 'none'}"


def _in_instants(timing: Timing) -> Iterator[str]:
    instants = {"once": timing.once, "start_at": timing.start_at, "end_at": timing.end_at}
    for name, value in instants.items():
        if value is not None and not 0 <= value <= _LATEST:
            yield f"{name} {value} ns is out of bounds; give a time in 1970 to 2095"
    if timing.start_at is not None and timing.end_at is not None and timing.end_at < timing.start_at:
        yield (
            f"end_at {_shown(timing.end_at)} is before start_at {_shown(timing.start_at)}; "
            "give a later end or an earlier start"
        )


def _in_interval(timing: Timing) -> Iterator[str]:
    if timing.every is not None and not MIN_EVERY <= timing.every <= MAX_EVERY:
        yield (
            f"every {timing.every} is out of bounds; give an interval of {MIN_EVERY.seconds} second "
            f"to {MAX_EVERY.days} days"
        )


def _in_cron(timing: Timing) -> Iterator[str]:
    try:
        zone_named(timing.zone)
        never = timing.cron and Timetable(timing.cron, timing.zone).first_from(0) is None
    except ValueError as error:
        yield str(error)
    else:
        if never:
            yield f"cron {timing.cron!r} never has an occurrence; give it days that its months have"


def _kind(timing: Timing) -> str:
    if timing.every is not None:
        return f"every {timing.every}"
    return f"cron {timing.cron!r}" if timing.once is None else f"once at {_shown(timing.once)}"


def _shown(instant: int) -> str:
    """Return an instant for reading, in UTC."""
    seconds, rest = divmod(instant, _NANOS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"
