"""What the gauges show: levels that were read from the store, as observations."""

from collections import Counter
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from sidecar.conventions import names
from sidecar.core.ports import Clock, Gauges
from sidecar.telemetry.bounded import Bounded

_NANOS = 1_000_000_000


class Levels:
    """Holds the latest snapshot; observed from the metric reader's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue = Bounded()
        self.latest: Gauges | None = None

    def callback(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return what a gauge of this name asks."""
        return lambda _: self.observe(name)

    def observe(self, name: str) -> Iterable[Observation]:
        """Return what a gauge shows now; nothing before the first snapshot."""
        levels = self.latest
        if levels is None:
            return []
        match name:
            case names.QUEUE_MESSAGES:
                return self._messages(levels)
            case names.QUEUE_OLDEST_AGE:
                return [self._age(levels.oldest_queued_at)]
            case names.OUTBOX_OLDEST_AGE:
                return [self._age(levels.oldest_outbox_at)]
        return [Observation(levels.outbox_spans)]

    def _messages(self, levels: Gauges) -> Iterable[Observation]:
        sums: Counter[tuple[str, str]] = Counter()
        for (queue, state), count in levels.queued.items():
            sums[self._queue(queue), state] += count
        return [
            Observation(count, {names.MESSAGING_DESTINATION: queue, names.STATE: state})
            for (queue, state), count in sums.items()
        ]

    def _age(self, since: int | None) -> Observation:
        return Observation(0.0 if since is None else max(0, self._clock.now() - since) / _NANOS)
