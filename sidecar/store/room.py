"""Room: what the concurrency limits leave of some lanes, so that a claim takes no more than may run."""

from sidecar.core.catalog import Cap, Catalog
from sidecar.core.definitions import OverLimit
from sidecar.core.usage import Tally
from sidecar.store.lanes import Held, Lanes


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

    def held(self) -> Held:
        """Return what is not to be looked at: scopes that are full, and keys that are."""
        caps = {cap.scope: cap for caps in self._caps for cap in caps}
        running = self._running
        full = frozenset(
            scope
            for scope, cap in caps.items()
            if cap.limit and running.all[self._namespace, scope] >= cap.limit
        )
        keys: dict[str, list[tuple[str, str]]] = {"queue": [], "workflow": []}
        for (namespace, scope, key), count in running.by_key.items():
            most = caps[scope].per_key if namespace == self._namespace and scope in caps else 0
            if most and count >= most:
                kind, _, name = scope.partition(":")
                keys[kind].append((name, key))
        return Held(full, tuple(keys["queue"]), tuple(keys["workflow"]))


def _waits(cap: Cap) -> bool:
    return cap.over_limit is OverLimit.WAIT
