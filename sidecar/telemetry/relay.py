"""The relay: takes stored OTLP from the outbox to its collector, at least once, byte for byte."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import structlog
from opentelemetry import context

from sidecar.core.parcels import ClaimParcels, Parcel, Stamp, StampParcels
from sidecar.core.ports import Ledger, Meter
from sidecar.core.refusals import StoreUnavailableError
from sidecar.telemetry.answers import Blocked, Later
from sidecar.telemetry.backoff import Backoff
from sidecar.telemetry.delivery import PENDING, Delivery, Trust
from sidecar.telemetry.limits import MAX_SPANS
from sidecar.telemetry.otlp_client import OtlpClient
from sidecar.telemetry.relay_status import Pace, RelayState, RelayStatus

_SUPPRESSED = "suppress_instrumentation"

_log = structlog.get_logger(__name__)


class Relay:
    """The agent of one signal. `start`, `wake`, `probe` and `close` belong on its event loop."""

    def __init__(
        self,
        ledger: Ledger,
        client: OtlpClient,
        meter: Meter,
        relay_id: str,
        fraction: Callable[[], float],
        pace: Pace | None = None,
        on_status: Callable[[RelayStatus], None] = lambda _: None,
    ) -> None:
        """Set up for the client's signal; `on_status` hears of each change, on the event loop."""
        self._ledger = ledger
        self._client = client
        self._meter = meter
        self._pace = pace or Pace()
        self._claim = ClaimParcels(relay_id, client.signal, self._pace.lease)
        self._backoff = Backoff(self._pace.first_retry, self._pace.last_retry, fraction)
        self._on_status = on_status
        self._trust = Trust()
        self._status = RelayStatus(RelayState.IDLE)
        self._woken = asyncio.Event()
        self._nudged = asyncio.Event()
        self._closing = False
        self._more = False
        self._task: asyncio.Task[None] | None = None
        self._stamps: list[Stamp] = []
        self._tally: Counter[str] = Counter()

    @property
    def status(self) -> RelayStatus:
        """What it is doing, and why if it is not well."""
        return self._status

    def start(self) -> None:
        """Begin with what is in the outbox already."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"relay-{self._client.signal}")

    def wake(self) -> None:
        """Say that a commit may have put rows into the outbox."""
        self._woken.set()

    def probe(self) -> None:
        """Try again at once, whatever the relay waits for: somebody mended something."""
        self._nudged.set()
        self._woken.set()

    async def close(self, grace: timedelta) -> None:
        """Deliver what there is for up to `grace`, then give back what is claimed and stop."""
        self._closing = True
        self.probe()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace.total_seconds())
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close()
        self._note(RelayState.STOPPED)

    async def _run(self) -> None:
        context.attach(context.set_value(_SUPPRESSED, True))
        try:
            while not await self._round():
                continue
        finally:
            with contextlib.suppress(StoreUnavailableError, TimeoutError):
                await asyncio.wait_for(self._hand_in(), self._pace.farewell.total_seconds())

    async def _round(self) -> bool:
        """Claim, deliver and rest; return whether to end."""
        self._woken.clear()
        halt = await self._attempt()
        if halt is None:
            return await self._rest()
        await self._stand_back(halt)
        return self._closing and isinstance(halt, Blocked)

    async def _attempt(self) -> Later | Blocked | None:
        """Claim once and deliver. An agent outlives what nobody thought of."""
        try:
            halt = await self._deliver(await self._exchange())
            if halt is not None:
                await self._hand_in()
        except StoreUnavailableError as error:
            return Later(f"the store is not available: {error}")
        except Exception as error:
            _log.exception("relay.failed", signal=self._client.signal)
            return Later(repr(error))
        return halt

    async def _exchange(self) -> tuple[Parcel, ...]:
        """Hand in the last round's stamps and claim the next rows: together, so in one commit."""
        claim = self._trust.suspects.widened(self._claim)
        handed, claimed = await asyncio.gather(
            self._hand_in(), self._ledger.submit(claim), return_exceptions=True
        )
        if isinstance(claimed, BaseException):
            raise claimed
        if isinstance(handed, BaseException):
            self._stamps += (Stamp(parcel.outbox_id, PENDING) for parcel in claimed)
            raise handed
        return claimed

    async def _hand_in(self) -> None:
        stamps, tally = tuple(self._stamps), self._tally.copy()
        if not stamps:
            return
        await self._ledger.submit(StampParcels(stamps))
        del self._stamps[: len(stamps)]
        self._tally -= tally
        for outcome, spans in tally.items():
            self._meter.exported(outcome, spans)

    async def _deliver(self, parcels: tuple[Parcel, ...]) -> Later | Blocked | None:
        self._more = sum(parcel.spans for parcel in parcels) * 2 > MAX_SPANS
        if not parcels:
            self._note(RelayState.IDLE)
            return None
        if self._status.state is RelayState.IDLE:
            self._note(RelayState.SENDING)
        delivery = Delivery(parcels, self._client.send, self._trust)
        try:
            halt = await delivery.run()
        finally:
            self._stamps += delivery.stamps
            self._tally += delivery.tally
        if halt is None:
            self._backoff.reset()
            self._note(RelayState.SENDING)
        return halt

    async def _rest(self) -> bool:
        if self._status.state is RelayState.IDLE:
            if self._closing:
                return True
            await _wait(self._woken, self._pace.sweep)
        if not self._more and not self._closing:
            await _wait(self._nudged, self._pace.linger)
            self._nudged.clear()
        return False

    async def _stand_back(self, halt: Later | Blocked) -> None:
        if isinstance(halt, Later):
            self._note(RelayState.BACKING_OFF, halt.reason)
            await _wait(self._nudged, self._backoff.next(halt.after))
            self._nudged.clear()
            return
        self._note(RelayState.PAUSED, halt.reason)
        # A new connection reads its certificates anew.
        await self._client.close()
        if not self._closing:
            await _wait(self._nudged, self._pace.probe)
            self._nudged.clear()

    def _note(self, state: RelayState, reason: str = "") -> None:
        before, self._status = self._status, RelayStatus(state, reason)
        if before == self._status:
            return
        self._on_status(self._status)
        told = {"signal": self._client.signal, "reason": reason}
        if state is RelayState.PAUSED:
            _log.error("relay.paused", **told)
        elif state is RelayState.BACKING_OFF and before.is_well:
            _log.warning("relay.backing_off", **told)
        elif self._status.is_well and not before.is_well:
            _log.info("relay.recovered", signal=self._client.signal)


async def _wait(event: asyncio.Event, at_most: timedelta) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), at_most.total_seconds())
