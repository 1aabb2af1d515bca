"""Room: what the concurrency limits leave of some lanes, so that a claim takes no more than may run."""

from sidecar.core.catalog import Cap, Catalog
from sidecar.core.definitions import OverLimit
from sidecar.core.usage import Tally
from sidecar.store.lanes import Blocked, Lanes


class Room:
    """Looks at the limits that keep work waiting; those that refuse it are for the verb alone."""

    def __init__(self, catalog: Catalog, lanes: Lanes, running: Tally) -> None:
        self._namespace = lanes.namespace
        self._running = running
        self._caps = [
            [cap for cap in catalog.rule(lanes.namespace, queue, workflow_id).caps if _waits(cap)]
            for queue in lanes.queues
            for workflow_id in lanes.workflows
        ]

    def most(self, wanted: int) -> int:
        """Return how many more may be leased at most; a bound, as lanes may share a limit."""
        room = 0
        for caps in self._caps:
            limits = [cap for cap in caps if cap.limit]
            if not limits:
                return wanted
            room += max(0, min(cap.limit - self._running.all[self._namespace, cap.scope] for cap in limits))
        return min(wanted, room)

    def blocked(self) -> Blocked:
        """Return what is not to be looked at: scopes that are full, and keys that are."""
        found: set[tuple[str | None, str | None, str | None]] = set()
        caps = {cap for caps in self._caps for cap in caps}
        for cap in caps:
            if cap.limit and self._running.all[self._namespace, cap.scope] >= cap.limit:
                found.add(_scope(cap, None))
        for cap in (cap for cap in caps if cap.per_key):
            for (namespace, scope, key), count in self._running.by_key.items():
                if (namespace, scope) == (self._namespace, cap.scope) and count >= cap.per_key:
                    found.add(_scope(cap, key))
        return list(found)


def _waits(cap: Cap) -> bool:
    return cap.over_limit is OverLimit.WAIT


def _scope(cap: Cap, key: str | None) -> tuple[str | None, str | None, str | None]:
    kind, _, name = cap.scope.partition(":")
    return (name, None, key) if kind == "queue" else (None, name, key)
