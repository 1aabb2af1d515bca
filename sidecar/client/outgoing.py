"""What waits to be said to the sidecar, gathered into one frame per write."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, MutableSequence
from typing import Final, TypeVar

from sidecar.client.channel import MAX_MESSAGE_BYTES
from sidecar.v1 import worker_service_pb2 as work

MAX_ITEMS: Final = 2_000
MAX_BYTES: Final = MAX_MESSAGE_BYTES - 512 * 1024
_FRAMING: Final = 8

Item = TypeVar("Item", work.Heartbeat, work.ReleaseLease, work.StepReport, work.Settlement)


class Outgoing:
    """Lives on the I/O thread. Steps go before settlements, so that a record has all of its steps."""

    def __init__(self, free: Callable[[], int]) -> None:
        self._free = free
        self._ready = asyncio.Event()
        self._steps: deque[work.StepReport] = deque()
        self._settlements: deque[work.Settlement] = deque()
        self._heartbeats: deque[work.Heartbeat] = deque()
        self._releases: deque[work.ReleaseLease] = deque()
        self._finished = False
        self._withdrawn = False

    def clear(self) -> None:
        """Forget what was for a stream that is gone."""
        for waiting in (self._steps, self._settlements, self._heartbeats, self._releases):
            waiting.clear()
        self._ready.clear()
        self._finished = self._withdrawn = False

    def step(self, report: work.StepReport) -> None:
        """Report a step."""
        self._steps.append(report)
        self._ready.set()

    def settle(self, settlement: work.Settlement) -> None:
        """Report how an attempt ended."""
        self._settlements.append(settlement)
        self._ready.set()

    def release(self, ref: work.LeaseRef) -> None:
        """Give a lease back."""
        self._releases.append(work.ReleaseLease(lease=ref))
        self._ready.set()

    def beat(self, refs: Iterable[work.LeaseRef]) -> None:
        """Keep leases alive."""
        self._heartbeats = deque(work.Heartbeat(lease=ref) for ref in refs)
        self._ready.set()

    def withdraw(self) -> None:
        """Say that the slots given so far are no longer free."""
        self._withdrawn = True
        self._ready.set()

    def wake(self) -> None:
        """Look whether slots became free."""
        self._ready.set()

    def finish(self) -> None:
        """Say what is left to say, and then nothing more on this stream."""
        self._finished = True
        self._ready.set()

    async def frame(self) -> work.WorkRequest | None:
        """Return the next frame as soon as there is something to say, None after the last."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            request = self._gather()
            if request.ByteSize():
                return request
            if self._finished:
                return None

    def _gather(self) -> work.WorkRequest:
        request = work.WorkRequest(draining=self._withdrawn)
        self._withdrawn = False
        room = _move(self._heartbeats, request.heartbeats, MAX_BYTES)
        room = _move(self._releases, request.releases, room)
        room = _move(self._steps, request.steps, room)
        if not self._steps:
            _move(self._settlements, request.settlements, room)
        if not self._finished:
            request.credits = self._free()
        if self._steps or self._settlements or self._heartbeats or self._releases or self._finished:
            self._ready.set()
        return request


def _move(waiting: deque[Item], frame: MutableSequence[Item], room: int) -> int:
    """Move what fits, or one item into a frame that is empty; return the room that is left."""
    moved = 0
    while waiting and moved < MAX_ITEMS:
        size = waiting[0].ByteSize() + _FRAMING
        if size > room and room < MAX_BYTES:
            return 0
        frame.append(waiting.popleft())
        room, moved = room - size, moved + 1
    return room
