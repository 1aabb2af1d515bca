"""Schedules: when they have occurrences, and where each stands."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sidecar.core.model import Key


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


@dataclass(slots=True)
class Standing:
    """Where a schedule stands. Mutable only inside one commit; `version` grows with each change."""

    key: Key
    next_at: int | None
    paused: bool = False
    failures: int = 0
    fired: int = 0
    skipped: int = 0
    last_error: str | None = None
    last_execution_id: str | None = None
    last_scheduled_for: int | None = None
    version: int = 1
