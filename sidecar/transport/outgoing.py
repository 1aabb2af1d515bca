"""What a worker is still to be told: joined into frames that any client can take, bounded in memory."""

import asyncio
from collections import deque

from sidecar.core.commands import Delivery, LeaseRef
from sidecar.transport import responses
from sidecar.v1 import worker_service_pb2 as work

MAX_FRAME_BYTES = 3 * 1024 * 1024
MAX_WAITING_BYTES = 8 * 1024 * 1024

Part = work.Lease | work.Renewal | work.CancelSignal | work.SettlementResult | work.LeaseRefusal


class Outgoing:
    """Parts in the order they came. Who adds may look at `is_full`; `room` tells when it is no more."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self._parts: deque[tuple[Part, int, LeaseRef | None]] = deque()
        self._bytes = 0
        self._welcome: work.Welcome | None = None
        self._draining = False

    def add(self, part: Part) -> None:
        """Have a part said with the next frame that has room."""
        self._append(part, None)

    def lease(self, delivery: Delivery) -> None:
        """Have a lease handed over; until it is in a frame it is among the `unsent`."""
        self._append(responses.lease(delivery), delivery.ref)

    def welcome(self, welcome: work.Welcome) -> None:
        """Have the welcome said first."""
        self._welcome = welcome
        self.ready.set()

    def drain(self) -> None:
        """Have the notice said that no more leases come."""
        self._draining = True
        self.ready.set()

    def frame(self) -> work.WorkResponse | None:
        """Return the next frame, at least one part and no more than any client takes; None if empty."""
        frame = work.WorkResponse(welcome=self._welcome, draining=self._draining)
        self._welcome, self._draining = None, False
        size = 0
        while self._parts and (not size or size + self._parts[0][1] <= MAX_FRAME_BYTES):
            part, weight, _ = self._parts.popleft()
            _put(frame, part)
            size += weight
        self._bytes -= size
        if self._bytes < MAX_WAITING_BYTES:
            self.room.set()
        return frame if frame.ByteSize() else None

    def unsent(self) -> list[LeaseRef]:
        """Return the leases that no frame has taken."""
        return [ref for _, _, ref in self._parts if ref is not None]

    def _append(self, part: Part, ref: LeaseRef | None) -> None:
        weight = part.ByteSize()
        self._parts.append((part, weight, ref))
        self._bytes += weight
        if self._bytes >= MAX_WAITING_BYTES:
            self.room.clear()
        self.ready.set()


def _put(frame: work.WorkResponse, part: Part) -> None:
    match part:
        case work.Lease():
            frame.leases.append(part)
        case work.Renewal():
            frame.renewals.append(part)
        case work.CancelSignal():
            frame.cancels.append(part)
        case work.SettlementResult():
            frame.settled.append(part)
        case work.LeaseRefusal():
            frame.refused.append(part)
