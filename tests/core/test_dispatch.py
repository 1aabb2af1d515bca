"""The dispatcher over a real store: no wake-up is lost, whoever comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.commands import Accept, Claim, Command, Delivery, Plan
from sidecar.core.dispatch import Dispatcher
from sidecar.core.folio import Limits
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution
from sidecar.core.sessions import Session
from sidecar.store.open import Store, open_store
from tests.store.workbench import QUEUE, RESOURCE, WORKFLOW, Counted, HandClock, NamingEncoder, Notes, draft

LANE = ("default", QUEUE, WORKFLOW)


@dataclass
class Tray:
    """The worker's end of a session: keeps what it is given, and tells."""

    given: list[Delivery] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False

    def push(self, deliveries: Sequence[Delivery]) -> bool:
        if self.gone:
            return False
        self.given.extend(deliveries)
        self.news.set()
        return True

    def ask_to_cancel(self, execution: Execution, grace_left: timedelta) -> bool:
        return not self.gone and execution.cancel is not None and grace_left >= timedelta()


@dataclass
class Floor:
    """A store, its dispatcher, and sessions at it."""

    store: Store
    dispatcher: Dispatcher
    errors: list[Exception]

    async def join(self, worker_id: str, slots: int = 0) -> Session:
        names = ((QUEUE,), (WORKFLOW,))
        session = Session("default", worker_id, RESOURCE, *names, sink=Tray())
        await self.dispatcher.open(session, [])
        self.dispatcher.grant(session, slots)
        return session

    async def accept(self, **plan: Any) -> Execution:
        command: Command[Any] = Accept(draft(), plan=Plan(**plan))
        answer = await self.store.ledger.submit(command)
        execution: Execution = answer.execution
        return execution


@asynccontextmanager
async def floor(folder: Path) -> AsyncIterator[Floor]:
    errors: list[Exception] = []
    notes = Notes()
    store = open_store(
        f"sqlite:///{folder / 'floor.db'}",
        clock=HandClock(),
        limits=Limits(),
        chance=Counted(),
        encoder=NamingEncoder(),
        meter=notes,
        on_error=errors.append,
    )
    dispatcher = Dispatcher(store.ledger, store.reader, on_error=errors.append)
    store.start(asyncio.get_running_loop(), dispatcher)
    try:
        yield Floor(store, dispatcher, errors)
    finally:
        dispatcher.drain()
        await asyncio.to_thread(store.close)


async def served(session: Session) -> Delivery:
    tray = session.sink
    assert isinstance(tray, Tray)
    await asyncio.wait_for(tray.news.wait(), 10)
    return tray.given[0]


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_a_worker_that_leaves_as_it_is_woken_passes_the_wake_up_on(tmp_path: Path) -> None:
    async def scene() -> None:
        async with floor(tmp_path) as here:
            await here.accept()
            first, second = await here.join("w1"), await here.join("w2")
            first.credits = second.credits = 1
            here.dispatcher.wake(LANE)
            woken = first if first.task else second
            other = second if woken is first else first
            here.dispatcher.close(woken)
            assert (await served(other)).execution.state is State.RUNNING

    play(scene())


def test_a_delivery_to_a_worker_that_is_gone_goes_to_the_next_uncounted(tmp_path: Path) -> None:
    async def scene() -> None:
        async with floor(tmp_path) as here:
            gone = await here.join("w1")
            assert isinstance(gone.sink, Tray)
            gone.sink.gone = True
            here.dispatcher.grant(gone, 1)
            await here.accept()
            second = await here.join("w2", 1)
            delivery = await served(second)
            assert delivery.execution.attempts == 1

    play(scene())


def test_a_claim_that_fails_for_any_reason_costs_no_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with floor(tmp_path) as here:
            submit, failures = here.store.ledger.submit, [RuntimeError("nobody thought of this")]

            async def flaky(command: Command[Any]) -> Any:
                if isinstance(command, Claim) and failures:
                    raise failures.pop()
                return await submit(command)

            monkeypatch.setattr(here.store.ledger, "submit", flaky)
            session = await here.join("w1", 1)
            await here.accept()
            assert (await served(session)).execution.state is State.RUNNING
            assert [str(e) for e in here.errors] == ["nobody thought of this"]

    play(scene())


def test_work_for_later_rings_when_its_time_has_come(tmp_path: Path) -> None:
    async def scene() -> None:
        async with floor(tmp_path) as here:
            session = await here.join("w1", 1)
            execution = await here.accept(run_in=timedelta(milliseconds=200))
            delivery = await served(session)
            assert delivery.execution.started_at is not None
            assert delivery.execution.started_at >= execution.run_at

    play(scene())


def test_a_leaving_worker_is_given_nothing_more(tmp_path: Path) -> None:
    async def scene() -> None:
        async with floor(tmp_path) as here:
            leaving = await here.join("w1", 5)
            here.dispatcher.retire(leaving)
            await here.accept()
            staying = await here.join("w2", 1)
            await served(staying)
            assert isinstance(leaving.sink, Tray)
            assert not leaving.sink.given

    play(scene())


def test_a_session_that_is_broken_off_while_it_opens_stays_nowhere(tmp_path: Path) -> None:
    async def scene() -> None:
        async with floor(tmp_path) as here:
            session = Session("default", "w1", RESOURCE, (QUEUE,), (WORKFLOW,), sink=Tray())
            opening = asyncio.create_task(here.dispatcher.open(session, []))
            await asyncio.sleep(0)
            here.dispatcher.close(session)
            await opening
            assert here.dispatcher.sessions == 0
            session.credits = 1
            here.dispatcher.wake(LANE)
            assert session.task is None

    play(scene())
