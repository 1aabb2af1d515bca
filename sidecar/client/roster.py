"""The deliveries of a worker, and how many more it has room for."""

import asyncio
from collections.abc import Iterator
from typing import Final

from sidecar.client.delivery import Delivery
from sidecar.v1 import worker_service_pb2 as work

MAX_UNANSWERED: Final = 4_000


class Roster:
    """Lives on the I/O thread. A delivery stays until its handler ended and its settlement is answered."""

    def __init__(self, concurrency: int) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.draining = False
        self._concurrency = concurrency
        self._held: dict[bytes, Delivery] = {}
        self._running = 0
        self._granted = 0

    def __iter__(self) -> Iterator[Delivery]:
        """Return all of them, safe against changes meanwhile."""
        return iter(list(self._held.values()))

    def find(self, ref: work.LeaseRef) -> Delivery | None:
        """Return the delivery of a lease."""
        return self._held.get(ref.token)

    def refs(self) -> list[work.LeaseRef]:
        """Return every lease that is still ours: it runs, or its settlement has no answer yet."""
        return [each.ref for each in self._held.values() if not each.lost]

    def add(self, delivery: Delivery) -> None:
        """Take a delivery on, in a slot of its own."""
        self._held[delivery.ref.token] = delivery
        self._running += 1
        self.idle.clear()

    def ended(self, delivery: Delivery) -> None:
        """Free the slot of a delivery: its handler has ended, or never began."""
        if delivery.timer is not None:
            delivery.timer.cancel()
        self._running -= 1

    def drop(self, delivery: Delivery) -> None:
        """Forget a delivery."""
        self._held.pop(delivery.ref.token, None)
        if not self._held:
            self.idle.set()

    def reconnecting(self) -> int:
        """Forget the credits of a former stream; return those for the next."""
        self._granted = 0
        return self.credits()

    def used(self) -> None:
        """Note that a lease came for one of the credits."""
        self._granted = max(self._granted - 1, 0)

    def credits(self) -> int:
        """Return the slots that became free since the last time, and count them as given."""
        unanswered = len(self._held) - self._running
        free = min(self._concurrency - self._running, MAX_UNANSWERED - unanswered) - self._granted
        free = 0 if self.draining else max(free, 0)
        self._granted += free
        return free
