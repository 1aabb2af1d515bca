"""A relay with all that is real about it: a store on disk, its outbox, and a sink that listens."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sidecar.ambient import RandomIds, SystemClock
from sidecar.core.commands import Accept, Accepted, Cancel
from sidecar.core.correlation import Correlation
from sidecar.core.folio import Limits
from sidecar.core.model import Anchor, Execution, Recording, Terms
from sidecar.core.ports import Change
from sidecar.store.open import Store, open_store
from sidecar.telemetry.destination import Destination
from sidecar.telemetry.encoding import OtlpEncoder
from sidecar.telemetry.otlp_client import OtlpClient
from sidecar.telemetry.relay import Relay
from sidecar.telemetry.relay_status import Pace, RelayState, RelayStatus
from tests.services.sink import Sink
from tests.telemetry.samples import OWN

PATIENCE = 15.0
SOON = timedelta(milliseconds=10)
QUICK = Pace(linger=SOON, first_retry=SOON, last_retry=SOON, probe=timedelta(milliseconds=50))
STILL = Pace(linger=SOON, first_retry=SOON, last_retry=SOON, probe=timedelta(hours=1))

_serial = itertools.count(1)


@dataclass
class Ledgered:
    """A meter that a test can wait on: what became of how many spans."""

    totals: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _told: set[asyncio.Task[None]] = field(default_factory=set)

    def settled(self, execution: Execution) -> None:
        assert execution.terminal is not None

    def conflicts(self, count: int) -> None:
        raise AssertionError(f"{count} settlements lost where none was raced")

    def committed(self, commands: int, seconds: float) -> None:
        assert commands > 0
        assert seconds >= 0

    def exported(self, outcome: str, spans: int) -> None:
        self.totals[outcome] += spans
        self.tell()

    def tell(self) -> None:
        task = asyncio.get_running_loop().create_task(self._notify())
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(holds), PATIENCE)


@dataclass
class PostOffice:
    """One store, one sink, and relays between them."""

    store: Store
    sink: Sink
    meter: Ledgered
    relays: list[Relay] = field(default_factory=list)
    history: list[RelayStatus] = field(default_factory=list)

    def changed(self, changes: Sequence[Change]) -> None:
        assert changes
        for relay in self.relays:
            relay.wake()

    def open_relay(
        self,
        signal: str = "traces",
        *,
        pace: Pace = QUICK,
        to: Destination | None = None,
        timeout: timedelta = timedelta(seconds=5),
    ) -> Relay:
        client = OtlpClient(signal, to or Destination(self.sink.endpoint, timeout=timeout))
        name = f"relay-{len(self.relays)}"
        relay = Relay(self.store.ledger, client, self.meter, name, lambda: 0.5, pace, self._note)
        self.relays.append(relay)
        relay.start()
        return relay

    def _note(self, status: RelayStatus) -> None:
        self.history.append(status)
        self.meter.tell()

    async def until(self, state: RelayState, times: int = 1) -> str:
        """Wait until a relay has been in a state so often; return why it last was."""

        def seen() -> list[RelayStatus]:
            return [status for status in self.history if status.state is state]

        await self.meter.until(lambda: len(seen()) >= times)
        return seen()[-1].reason

    async def until_exported(self, **totals: int) -> None:
        """Wait until exactly so many spans have come to these ends."""
        await self.meter.until(lambda: +self.meter.totals == Counter(totals))

    async def put(self, count: int, *, mark: str = "good", together: bool = False) -> list[Execution]:
        """Accept so many executions, a row for each `send` span, or few rows for all."""
        commands = [Accept(draft(mark)) for _ in range(count)]
        if together:
            answers = await self.store.ledger.submit_many(commands)
        else:
            answers = [await self.store.ledger.submit(command) for command in commands]
        accepted = [answer for answer in answers if isinstance(answer, Accepted)]
        assert len(accepted) == count
        return [answer.execution for answer in accepted]

    async def settle_unsampled(self) -> Execution:
        """Have one unsampled execution end, of which only a log record tells."""
        execution = draft("good", Recording.UNSAMPLED)
        await self.store.ledger.submit(Accept(execution))
        await self.store.ledger.submit(Cancel(execution.key, "enough", timedelta(seconds=1)))
        return execution

    async def states(self, executions: Sequence[Execution]) -> list[str]:
        """What the outbox says of the `send` span of each."""
        found = [await self.store.reader.trace_rows(execution.key) for execution in executions]
        rows = [each for each in found if each is not None]
        return [row.deliveries[row.execution.send_outbox_id or 0] for row in rows]


def draft(mark: str, recording: Recording = Recording.SAMPLED) -> Execution:
    number = next(_serial)
    now = SystemClock().now()
    return Execution(
        correlation=Correlation("default", f"{mark}-{number}", f"q-{number}", "audit", f"{mark}-{number}"),
        anchor=Anchor(f"{number:032x}", f"{number:016x}", f"f{number:015x}", None, 1, "", "", recording),
        terms=Terms("mail", b"{}", "application/json", "print"),
        accepted_at=now,
        run_at=now,
    )


@contextlib.asynccontextmanager
async def post_office(path: Path, sink: Sink) -> AsyncIterator[PostOffice]:
    """A store in a folder and a sink; relays and store are closed in the end."""
    meter = Ledgered()
    store = open_store(
        f"sqlite:///{path / 'sidecar.db'}",
        clock=SystemClock(),
        limits=Limits(),
        chance=RandomIds(),
        encoder=OtlpEncoder(OWN),
        meter=meter,
    )
    office = PostOffice(store, sink, meter)
    store.start(asyncio.get_running_loop(), office)
    try:
        yield office
    finally:
        for relay in office.relays:
            await relay.close(timedelta(0))
        await asyncio.to_thread(store.close)


def at_work(path: Path, sink: Sink, scenario: Callable[[PostOffice], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in a post office of its own."""

    async def run() -> None:
        async with post_office(path, sink) as office:
            await asyncio.wait_for(scenario(office), 60)

    asyncio.run(run())
