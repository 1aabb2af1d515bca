"""The reaper: finds what ran out of time and hands it to the ledger, never for a silence of our own."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sidecar import failpoints
from sidecar.core.commands import Reap
from sidecar.core.folio import Limits
from sidecar.core.ports import Clock, Ledger, Reader
from sidecar.core.refusals import StoreUnavailableError


class Health(Protocol):
    """Since when the store has taken every commit."""

    @property
    def healthy_since(self) -> float:
        """Monotonic seconds of the last failure's end, or of the start."""


class Reaper:
    """One per process; several on one store do no harm, as each write repeats what was read."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        clock: Clock,
        health: Health,
        limits: Limits,
        *,
        period: float = 1.0,
        batch: int = 500,
        on_error: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._clock = clock
        self._health = health
        self._limits = limits
        self._period = period
        self._batch = batch
        self._on_error = on_error
        self._awake_since = clock.monotonic()
        self._last_tick = self._awake_since

    async def run(self) -> None:
        """Reap once a period until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.sweep()
            except StoreUnavailableError as error:
                self._on_error(error)

    async def sweep(self) -> None:
        """Reap until nothing more is due."""
        while await self.tick() == self._batch:
            pass

    async def tick(self) -> int:
        """Hand in what is due now; returns how many executions were looked at."""
        self._notice_sleep()
        due = await self._reader.due(await self._reader.lease_now(), self._batch)
        if due:
            failpoints.hit("reaper.before_submit")
            leases_too = self._has_listened()
            await self._ledger.submit_many([Reap(d, leases_too) for d in due])
        return len(due)

    def _notice_sleep(self) -> None:
        """Start listening anew after a gap: whoever slept (SIGSTOP, a hung store) heard no heartbeats."""
        now = self._clock.monotonic()
        if now - self._last_tick > 3 * self._period:
            self._awake_since = now
        self._last_tick = now

    def _has_listened(self) -> bool:
        since = max(self._awake_since, self._health.healthy_since)
        return self._clock.monotonic() - since >= self._limits.lease_ttl.total_seconds()
