"""Repeating what failed for a while: every call has a natural key, so a repeat is safe."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc.aio

from sidecar.client.errors import TimedOutError
from sidecar.client.status import error_of, is_transient

T = TypeVar("T")

TRY_SECONDS = 15.0
_CHANCE = secrets.SystemRandom()


class Backoff:
    """Waits that double, with full jitter above a half; a hint of the server is a lower bound."""

    def __init__(self, first: float = 0.05, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def next(self, hint: float | None = None) -> float:
        """Return how long to wait before the next try, in seconds."""
        wait = self._next * _CHANCE.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._most)
        return wait if hint is None else max(wait, hint * _CHANCE.uniform(1.0, 1.2))

    async def rest(self, hint: float | None = None) -> None:
        """Wait."""
        await asyncio.sleep(self.next(hint))

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self._next = self._first


async def repeat(call: Callable[[float], Awaitable[T]], within: float | None) -> T:
    """Make a call until it is answered for good, each try with its own limit, until the time is up.

    Raises:
        SidecarError: the refusal, or `TimedOutError` caused by the last failure.
    """
    backoff = Backoff()
    loop = asyncio.get_running_loop()
    ends_at = None if within is None else loop.time() + within
    while True:
        left = TRY_SECONDS if ends_at is None else min(TRY_SECONDS, ends_at - loop.time())
        try:
            return await call(left)
        except grpc.aio.AioRpcError as failed:
            error = error_of(failed)
            if not is_transient(error):
                raise error from None
        wait = backoff.next(error.retry_after)
        if ends_at is not None and loop.time() + wait >= ends_at:
            late = f"no answer within {within:g} s: {error}"
            raise TimedOutError(late, code=error.code, reason=error.reason) from error
        await asyncio.sleep(wait)
