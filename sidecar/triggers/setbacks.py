"""Setbacks: which schedules failed to fire, since when, and when each is tried again."""

from dataclasses import dataclass

from sidecar.core.model import Key

FIRST = 1.0
LONGEST = 60.0
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Setback:
    """A schedule that could not be fired. `since` is wall time, `until` monotonic seconds."""

    since: int
    until: float
    pause: float


class Setbacks:
    """Keeps a pause for each schedule that failed: one second, doubling to a minute, with jitter."""

    def __init__(self) -> None:
        self._known: dict[Key, Setback] = {}

    def note(self, key: Key, now: int, ticks: float, fraction: float) -> float:
        """Take note of a failure and return how long the schedule rests, in seconds."""
        known = self._known.get(key)
        pause = FIRST if known is None else min(2 * known.pause, LONGEST)
        rest = pause * (0.5 + fraction / 2)
        if len(self._known) < _MOST or known is not None:
            self._known[key] = Setback(now if known is None else known.since, ticks + rest, pause)
        return rest

    def clear(self, key: Key) -> None:
        """Forget a schedule's failures."""
        self._known.pop(key, None)

    def is_resting(self, key: Key, ticks: float) -> bool:
        """Return whether it is too early to try again."""
        known = self._known.get(key)
        return known is not None and ticks < known.until

    def since(self, key: Key, now: int) -> int:
        """Return when the schedule began to fail, `now` if it does not."""
        known = self._known.get(key)
        return now if known is None else min(now, known.since)

    def keep(self, keys: frozenset[Key]) -> None:
        """Forget the schedules that are no more."""
        self._known = {key: known for key, known in self._known.items() if key in keys}
