"""How long to leave a collector alone: longer each time, never the same for two relays, no limit on tries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

_MAX_DOUBLINGS = 30


@dataclass(slots=True)
class Backoff:
    """Doubles from `initial` to `ceiling`, each delay jittered over its upper half."""

    initial: timedelta
    ceiling: timedelta
    fraction: Callable[[], float]
    longest_wish: timedelta = timedelta(minutes=15)
    tries: int = 0

    def next(self, wish: timedelta | None = None) -> timedelta:
        """Return the next delay, at least what the collector wished for within reason."""
        doublings = min(self.tries, _MAX_DOUBLINGS)
        delay = min(self.initial * (1 << doublings), self.ceiling)
        self.tries += 1
        jitter = self.fraction()
        if wish is None:
            return delay * (0.5 + jitter / 2)
        wish = min(wish, self.longest_wish)
        return max(wish * (1 + jitter / 10), delay * (0.5 + jitter / 2))

    def reset(self) -> None:
        """Begin anew, after something went well."""
        self.tries = 0
