"""The reaper: finds what ran out of time and hands it to the ledger, never for a silence of our own."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sidecar import failpoints
from sidecar.core.commands import Reap, Reaped
from sidecar.core.folio import Limits
from sidecar.core.ports import Clock, Ledger, Reader


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
        """Reap once a period until cancelled; whatever goes wrong, the next round comes."""
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.sweep()
            except Exception as error:  # an agent must outlive what nobody thought of
                self._on_error(error)

    async def sweep(self) -> None:
        """Reap until nothing more is due, or nothing more could be done."""
        while await self.tick():
            pass

    async def tick(self) -> bool:
        """Hand in what is due now; True if there may be more of it."""
        self._notice_sleep()
        limit = self._batch if self._has_listened() else 10 * self._batch
        found = await self._reader.due(await self._reader.lease_now(), limit)
        self._notice_sleep()
        leases_too = self._has_listened()
        due = [d for d in found if leases_too or d.due_at != d.lease_expires_at]
        if not due:
            return False
        failpoints.hit("reaper.before_submit")
        answers = await self._ledger.submit_many([Reap(d, leases_too) for d in due])
        for answer in answers:
            if isinstance(answer, Exception):
                self._on_error(answer)
        changed = any(isinstance(a, Reaped) and a.execution is not None for a in answers)
        return changed and len(found) == limit

    def _notice_sleep(self) -> None:
        """Start listening anew after a gap: whoever slept (SIGSTOP, a hung store) heard no heartbeats."""
        now = self._clock.monotonic()
        ttl = self._limits.lease_ttl.total_seconds()
        if now - self._last_tick > max(1.5 * self._period, min(3 * self._period, ttl / 3)):
            self._awake_since = now
        self._last_tick = now

    def _has_listened(self) -> bool:
        since = max(self._awake_since, self._health.healthy_since)
        return self._clock.monotonic() - since >= self._limits.lease_ttl.total_seconds()
