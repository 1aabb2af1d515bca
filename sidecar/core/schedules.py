"""Schedules: when they have occurrences, and where each stands."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Timing:
    """When a schedule has occurrences: by exactly one of `cron`, `every` and `once`.

    Intervals are aligned to `start_at`, else to the epoch. `start_at` and `end_at` bound all three.
    """

    cron: str = ""
    zone: str = "UTC"
    every: timedelta | None = None
    once: int | None = None
    start_at: int | None = None
    end_at: int | None = None


class Calendar(Protocol):
    """Where occurrences are computed; all times are nanoseconds since the epoch."""

    def problem(self, timing: Timing) -> str | None:
        """Say what is wrong with a timing, None if it is sound."""

    def next_after(self, timing: Timing, after: int) -> int | None:
        """Return the first occurrence strictly after `after`, None if there is none any more."""

    def last_until(self, timing: Timing, since: int, until: int, limit: int) -> list[int]:
        """Return the latest occurrences in [since, until], at most `limit` of them, ascending."""
