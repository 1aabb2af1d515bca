"""A lease as this worker received it: what its handler, its steps and its settlement share."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sidecar.client.retrying import Backoff
from sidecar.conventions import names
from sidecar.v1 import worker_service_pb2 as work

_GIVEN_UP_FOR: Final = {
    names.REASON_DEADLINE: names.TYPE_TIMEOUT,
    names.TYPE_WORKER_SHUTDOWN: names.TYPE_WORKER_SHUTDOWN,
}


@dataclass(slots=True, eq=False)
class Delivery:
    """One attempt in this process.

    `interrupted` gets the reason when the handler should stop; `permit` goes to whoever is first,
    the handler that begins or the drain that gives the lease back.
    """

    lease: work.Lease
    report: Callable[["Delivery", work.StepReport], None]
    max_output_bytes: int
    received_at: float = field(default_factory=time.monotonic)
    interrupted: Future[str] = field(default_factory=Future)
    permit: threading.Lock = field(default_factory=threading.Lock)
    reports: dict[int, work.StepReport] = field(default_factory=dict)
    settlement: work.Settlement | None = None
    reduced: bool = False
    lost: bool = False
    told_to_cancel: bool = False
    repeating: bool = False
    faults: int = 0
    timer: asyncio.TimerHandle | None = None
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def ref(self) -> work.LeaseRef:
        """The proof of the lease."""
        return self.lease.lease

    @property
    def running(self) -> bool:
        """True until the handler has ended."""
        return self.settlement is None

    @property
    def deadline(self) -> timedelta | None:
        """How much time was left at receipt, None without a limit."""
        return self.lease.deadline.ToTimedelta() if self.lease.HasField("deadline") else None

    def elapsed(self) -> timedelta:
        """Return the time since receipt."""
        return timedelta(seconds=time.monotonic() - self.received_at)

    def seize(self) -> bool:
        """Take the permit; False if another had it first."""
        return self.permit.acquire(blocking=False)

    def given_up_for(self) -> str:
        """Return the `error.type` of a step that was broken off: by the deadline or by a cancellation."""
        reason = self.interrupted.result() if self.interrupted.done() else ""
        return _GIVEN_UP_FOR.get(reason, names.TYPE_CANCELLED)

    def interrupt(self, reason: str) -> None:
        """Tell the handler to stop; the first reason stands."""
        if not self.interrupted.done():
            self.interrupted.set_result(reason)
