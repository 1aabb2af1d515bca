"""The scheduler over a real store: what it starts, exactly once, whatever its clock and its rivals do."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.commands import Command
from sidecar.core.correlation import Source
from sidecar.core.decrees import Define, Undefine
from sidecar.core.definitions import Kind, Misfire, Overlap
from sidecar.core.schedules import Timing
from tests.services.postgres import Postgres
from tests.triggers.stage import MINUTE, MINUTELY, NAMESPACE, NOON, SECOND, stage


def test_an_occurrence_carries_its_whole_correlation(url: str) -> None:
    """COR-2: every field of a schedule's executions, and one request id for all that one tick starts."""

    async def scene() -> None:
        async with stage(url) as s:
            other = replace(MINUTELY, schedule_id="other", workflow_id="bill", content_type="text/plain")
            await s.define(MINUTELY, other)
            await s.look(NOON + MINUTE + 5)
            [first], [second] = await s.executions("m"), await s.executions("other")
            found = first.correlation
            assert (found.source, found.trigger_type) == (Source.SCHEDULE, "schedule")
            assert (found.schedule_id, found.scheduled_for) == ("m", NOON + MINUTE)
            assert (found.workflow_id, found.root_execution_id) == ("audit", found.execution_id)
            assert found.parent_execution_id is None
            assert second.correlation.request_id == found.request_id
            assert found.request_id not in (found.execution_id, second.correlation.execution_id)
            assert first.terms.idempotency_key == f"schedule:m:{NOON + MINUTE}"
            assert second.terms.content_type == "text/plain"
            [delivery] = await s.claim()
            assert delivery.execution.terms.payload == b'{"a":1}'
            await s.look(NOON + 2 * MINUTE)
            assert (await s.executions("m"))[1].correlation.request_id != found.request_id

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("misfire", "runs", "skipped"),
    [(Misfire.SKIP, 1, 499), (Misfire.RUN_ONCE, 1, 499), (Misfire.RUN_ALL, 101, 399)],
)
def test_downtime_over_five_hundred_occurrences(
    either: str, misfire: Misfire, runs: int, skipped: int
) -> None:
    """SCH-2: under each policy, bounded, each with its own planned time."""

    async def scene() -> None:
        async with stage(either) as s:
            await s.define(replace(MINUTELY, misfire=misfire, misfire_after=timedelta(seconds=30)))
            await s.look(NOON + 500 * MINUTE)
            expected = [NOON + n * MINUTE for n in range(501 - runs, 501)]
            assert await s.times("m") == expected
            after = await s.standing("m")
            assert (after.fired, after.skipped) == (runs, skipped)
            assert after.next_at == NOON + 501 * MINUTE
            assert len({e.correlation.request_id for e in await s.executions("m")}) == 1

    asyncio.run(scene())


def test_a_clock_that_jumps_fires_nothing_twice(url: str) -> None:
    """SCH-1: forward it is like downtime; back it waits for the clock to come on."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            await s.look(NOON + MINUTE)
            await s.look(NOON + 10_000 * MINUTE)
            jumped = [NOON + MINUTE, NOON + 10_000 * MINUTE]
            assert await s.times("m") == jumped
            assert (await s.standing("m")).skipped == 9_998
            for back in (NOON, NOON + 2 * MINUTE, NOON + 10_000 * MINUTE):
                await s.look(back)
            assert await s.times("m") == jumped
            await s.look(NOON + 10_001 * MINUTE)
            assert await s.times("m") == [*jumped, NOON + 10_001 * MINUTE]

    asyncio.run(scene())


def test_a_schedule_defined_anew_after_the_clock_went_back_repeats_no_occurrence(url: str) -> None:
    """SCH-1: the occurrence's key outlives the schedule."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            await s.look(NOON + MINUTE)
            await s.do(Undefine(NAMESPACE, Kind.SCHEDULE, "m"))
            s.turn(NOON)
            await s.define(MINUTELY)
            await s.look(NOON + MINUTE)
            assert await s.times("m") == [NOON + MINUTE]
            assert (await s.standing("m")).next_at == NOON + 2 * MINUTE

    asyncio.run(scene())


def test_many_schedulers_on_one_store_fire_each_occurrence_once(postgres: Postgres) -> None:
    """SCH-1: several agents that run by themselves, on one PostgreSQL."""

    async def scene() -> None:
        url = postgres.create_database()
        async with AsyncExitStack() as stack:
            stages = [await stack.enter_async_context(stage(url)) for _ in range(4)]
            for s in stages:
                s.clock.wall = None
            second = timedelta(seconds=1)
            wanted = [replace(MINUTELY, schedule_id=f"s-{n}", timing=Timing(every=second)) for n in range(8)]
            await stages[0].define(*wanted)
            for s in stages:
                await s.registry.refresh()
            agents = [asyncio.create_task(s.scheduler.run()) for s in stages]
            await stages[0].until(lambda: stages[0].standing("s-7"), lambda found: found.fired >= 3)
            for s in stages:
                s.scheduler.drain()
            await asyncio.gather(*agents)
            for each in wanted:
                times = await stages[0].times(each.schedule_id)
                assert times[0] is not None
                assert times == [times[0] + n * SECOND for n in range(len(times))]
                assert (await stages[0].standing(each.schedule_id)).fired == len(times)
            assert [error for s in stages for error in s.errors] == []

    asyncio.run(scene())


def test_rival_looks_at_one_moment_fire_once(either: str) -> None:
    """SCH-1: sixty-four looks at the same standing, each of which read it before any had fired."""

    async def scene() -> None:
        async with stage(either) as s:
            await s.define(MINUTELY, replace(MINUTELY, schedule_id="n", overlap=Overlap.QUEUE))
            s.turn(NOON + MINUTE)
            await asyncio.gather(*(s.scheduler.look() for _ in range(64)))
            assert await s.times("m") == [NOON + MINUTE]
            assert await s.times("n") == [NOON + MINUTE]
            assert (await s.standing("m")).fired == 1

    asyncio.run(scene())


def test_a_definition_that_another_sidecar_changed_holds_at_once(url: str) -> None:
    """A standing is never decided about by an older definition than its own."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            changed = replace(MINUTELY, timing=Timing(every=timedelta(seconds=10)), payload=b"new")
            await s.do(Define(NAMESPACE, (changed,), (("m", NOON + 10 * SECOND),)))
            await s.look(NOON + 10 * SECOND)
            assert await s.times("m") == [NOON + 10 * SECOND]
            assert (await s.standing("m")).next_at == NOON + 20 * SECOND
            [delivery] = await s.claim()
            assert delivery.execution.terms.payload == b"new"

    asyncio.run(scene())


def test_a_changed_timetable_holds_from_now_on(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            s.turn(NOON + 30 * SECOND)
            await s.define(replace(MINUTELY, timing=Timing(every=timedelta(seconds=10))))
            await s.look(NOON + 40 * SECOND)
            assert await s.times("m") == [NOON + 40 * SECOND]

    asyncio.run(scene())


def test_large_payloads_are_handed_in_a_few_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 7."""

    async def scene() -> None:
        async with stage(url, max_waiting_bytes=8 * 1024 * 1024) as s:
            large = replace(MINUTELY, payload=b"x" * 1_000_000, misfire=Misfire.RUN_ALL, misfire_limit=40)
            await s.define(large)
            submit, together = s.store.ledger.submit_many, list[int]()

            async def noted(commands: Sequence[Command[Any]]) -> Any:
                together.append(len(commands))
                return await submit(commands)

            monkeypatch.setattr(s.store.ledger, "submit_many", noted)
            await s.look(NOON + 100 * MINUTE + 30 * SECOND)
            assert len(await s.times("m")) == 41
            assert together == [4] * 10 + [1]

    asyncio.run(scene())


def test_an_agent_with_nothing_to_do_wakes_when_something_is_defined(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not ask the store until then."""

    async def scene() -> None:
        async with stage(url) as s:
            asked, due = list[int](), s.store.reader.due_schedules

            async def noted(now: int, *rest: Any, **options: Any) -> Any:
                asked.append(now)
                return await due(now, *rest, **options)

            monkeypatch.setattr(s.store.reader, "due_schedules", noted)
            agent = asyncio.create_task(s.scheduler.run())
            s.clock.wall = None
            assert await s.scheduler.look() is None
            assert asked == []
            await s.define(replace(MINUTELY, timing=Timing(every=timedelta(seconds=1))))
            await s.until(lambda: s.times("m"), bool)
            s.scheduler.drain()
            await agent

    asyncio.run(scene())


def test_the_agent_sleeps_until_something_is_defined_and_then_to_the_next_time(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            assert await s.scheduler.look() is None
            await s.define(replace(MINUTELY, timing=Timing(every=timedelta(milliseconds=60_000))))
            assert await s.scheduler.look() == 1.0
            s.turn(NOON + MINUTE - SECOND // 4)
            assert await s.scheduler.look() == pytest.approx(0.25)
            await s.define(replace(MINUTELY, timing=Timing(once=NOON + MINUTE)))
            await s.look(NOON + MINUTE)
            assert (await s.standing("m")).next_at is None
            assert await s.scheduler.look() == 1.0

    asyncio.run(scene())


def test_the_agents_rounds_go_on_whatever_one_of_them_met(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            look, failures = s.scheduler.look, [RuntimeError("nobody thought of this")]
            again = asyncio.Event()

            async def flaky() -> float | None:
                if failures:
                    s.scheduler.wake()
                    raise failures.pop()
                again.set()
                return await look()

            monkeypatch.setattr(s.scheduler, "look", flaky)
            agent = asyncio.create_task(s.scheduler.run())
            await again.wait()
            s.scheduler.drain()
            await agent
            assert [str(error) for error in s.errors] == ["nobody thought of this"]

    asyncio.run(scene())
