"""Leases given back: a release that could not be taken is repeated while its stream lasts."""

from typing import Final

from sidecar.client.errors import SidecarError
from sidecar.client.io_thread import IoThread
from sidecar.client.outgoing import Outgoing
from sidecar.client.retrying import Backoff
from sidecar.client.status import is_fault, is_transient
from sidecar.v1 import worker_service_pb2 as work

MAX_REMEMBERED: Final = 5_000
MAX_TRIES: Final = 10


class Returns:
    """Lives on the I/O thread. A release that went well has no answer, so only the latest are known."""

    def __init__(self, io: IoThread, outgoing: Outgoing) -> None:
        self._io = io
        self._outgoing = outgoing
        self._given: dict[bytes, tuple[Backoff, int]] = {}

    def clear(self) -> None:
        """Forget them: the hello of the next stream no longer names these leases."""
        self._given.clear()

    def give(self, ref: work.LeaseRef) -> None:
        """Give a lease back."""
        if len(self._given) >= MAX_REMEMBERED:
            del self._given[next(iter(self._given))]
        self._given[ref.token] = Backoff(), 0
        self._outgoing.release(ref)

    def again(self, ref: work.LeaseRef, error: SidecarError) -> bool:
        """Repeat a release later; False if it was refused for good, or too often."""
        backoff, tries = self._given.get(ref.token, (Backoff(), MAX_TRIES))
        if tries >= MAX_TRIES or not (is_transient(error) or is_fault(error)):
            return False
        self._given[ref.token] = backoff, tries + 1
        self._io.loop.call_later(backoff.next(error.retry_after), self._repeat, ref)
        return True

    def _repeat(self, ref: work.LeaseRef) -> None:
        if ref.token in self._given:
            self._outgoing.release(ref)
