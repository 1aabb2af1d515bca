"""The reaper over a real store: nobody is reaped for a silence of ours, and nothing ends its rounds.

Invariant 9.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.commands import Accept, Command, Plan
from sidecar.core.folio import Limits
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution
from sidecar.core.ports import Change
from sidecar.core.reaper import Reaper
from sidecar.store.open import Store, open_store
from tests.core.desk import after
from tests.store.workbench import Counted, HandClock, NamingEncoder, Notes, claim, draft

LIMITS = replace(Limits(), lease_ttl=after(30))


@dataclass
class Watch:
    """A store, a reaper that is ticked by hand, and the clock of both."""

    store: Store
    reaper: Reaper
    clock: HandClock
    errors: list[Exception]

    async def run_one(self) -> Execution:
        """Return an execution whose worker is silent from now on."""
        await self.do(Accept(draft()))
        claimed = await self.do(claim())
        execution: Execution = claimed.deliveries[0].execution
        return execution

    async def do(self, command: Command[Any]) -> Any:
        return await self.store.ledger.submit(command)

    async def state(self, execution: Execution) -> State:
        found = await self.store.reader.get(execution.key)
        assert found is not None
        return found.state

    async def rest(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, ticking as the reaper does."""
        for _ in range(int(seconds / step)):
            self.clock.offset += step
            await self.reaper.sweep()


class Deaf:
    def changed(self, changes: Sequence[Change]) -> None:
        """Nobody listens."""


def watching(folder: Path) -> Watch:
    clock, errors = HandClock(), list[Exception]()
    store = open_store(
        f"sqlite:///{folder / 'watch.db'}",
        clock=clock,
        limits=LIMITS,
        chance=Counted(),
        encoder=NamingEncoder(),
        meter=Notes(),
        on_error=errors.append,
    )
    store.start(asyncio.get_running_loop(), Deaf())
    reaper = Reaper(store.ledger, store.reader, clock, store.ledger, LIMITS, on_error=errors.append)
    return Watch(store, reaper, clock, errors)


def test_a_silent_worker_is_reaped_after_its_lease(tmp_path: Path) -> None:
    async def scene() -> None:
        watch = watching(tmp_path)
        await watch.rest(31)
        execution = await watch.run_one()
        await watch.rest(29)
        assert await watch.state(execution) is State.RUNNING
        await watch.rest(2)
        assert await watch.state(execution) is State.FAILED
        await asyncio.to_thread(watch.store.close)

    asyncio.run(scene())


def test_a_sidecar_that_slept_listens_for_a_whole_lease_first(tmp_path: Path) -> None:
    async def scene() -> None:
        watch = watching(tmp_path)
        await watch.rest(31)
        execution = await watch.run_one()
        watch.clock.offset += 300
        await watch.rest(29)
        assert await watch.state(execution) is State.RUNNING
        await watch.rest(3)
        assert await watch.state(execution) is State.FAILED
        await asyncio.to_thread(watch.store.close)

    asyncio.run(scene())


def test_a_deadline_is_kept_even_while_leases_are_spared(tmp_path: Path) -> None:
    async def scene() -> None:
        watch = watching(tmp_path)
        answer = await watch.do(Accept(draft(), plan=Plan(total=after(5))))
        await watch.rest(6)
        assert await watch.state(answer.execution) is State.FAILED
        await asyncio.to_thread(watch.store.close)

    asyncio.run(scene())


def test_expired_leases_that_may_not_be_reaped_yet_are_not_handed_in_again_and_again(tmp_path: Path) -> None:
    async def scene() -> None:
        watch = watching(tmp_path)
        await watch.run_one()
        watch.clock.offset += 300
        assert not await watch.reaper.tick()
        await asyncio.to_thread(watch.store.close)

    asyncio.run(scene())


def test_its_rounds_go_on_whatever_one_of_them_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        watch = watching(tmp_path)
        due, failures = watch.store.reader.due, [RuntimeError("nobody thought of this")]
        second_round = asyncio.Event()

        async def flaky(now: int, limit: int) -> Any:
            if failures:
                raise failures.pop()
            second_round.set()
            return await due(now, limit)

        monkeypatch.setattr(watch.store.reader, "due", flaky)
        reaper = Reaper(
            watch.store.ledger,
            watch.store.reader,
            watch.clock,
            watch.store.ledger,
            LIMITS,
            period=0.01,
            on_error=watch.errors.append,
        )
        rounds = asyncio.create_task(reaper.run())
        await asyncio.wait_for(second_round.wait(), 10)
        rounds.cancel()
        assert [str(e) for e in watch.errors] == ["nobody thought of this"]
        await asyncio.to_thread(watch.store.close)

    asyncio.run(scene())
