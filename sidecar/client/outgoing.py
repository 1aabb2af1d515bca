"""What waits to be said to the sidecar, gathered into one frame per write."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from sidecar.client.channel import MAX_MESSAGE_BYTES
from sidecar.v1 import worker_service_pb2 as work

MAX_STEPS = 2_000
MAX_BYTES = MAX_MESSAGE_BYTES - 512 * 1024


class Outgoing:
    """Lives on the I/O thread. Steps go before settlements, so that a record has all of its steps."""

    def __init__(self, free: Callable[[], int]) -> None:
        self._free = free
        self._ready = asyncio.Event()
        self._steps: deque[work.StepReport] = deque()
        self._settlements: deque[work.Settlement] = deque()
        self._heartbeats: list[work.Heartbeat] = []
        self._releases: list[work.ReleaseLease] = []
        self._finished = False

    def clear(self) -> None:
        """Forget what was for a stream that is gone."""
        for waiting in (self._steps, self._settlements, self._heartbeats, self._releases):
            waiting.clear()
        self._ready.clear()
        self._finished = False

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
        self._heartbeats = [work.Heartbeat(lease=ref) for ref in refs]
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
        request = work.WorkRequest(heartbeats=self._heartbeats, releases=self._releases)
        self._heartbeats, self._releases = [], []
        while self._steps and len(request.steps) < MAX_STEPS:
            request.steps.append(self._steps.popleft())
        room = MAX_BYTES - request.ByteSize()
        while self._settlements and not self._steps and room > 0:
            room -= self._settlements[0].ByteSize()
            if room > 0 or not request.settlements:
                request.settlements.append(self._settlements.popleft())
        if not self._finished:
            request.credits = self._free()
        if self._steps or self._settlements or self._finished:
            self._ready.set()
        return request
