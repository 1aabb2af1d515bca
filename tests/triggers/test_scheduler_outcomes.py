"""What the end of one occurrence means for the next: overlap, and failures in a row; SCH-2 and SCH-3."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.commands import Cancel, Success
from sidecar.core.decrees import Fire, Fired, Steer
from sidecar.core.definitions import Misfire, Overlap
from sidecar.core.lifecycle import State
from sidecar.core.scheduling import stopped_reason
from tests.triggers.stage import MINUTE, MINUTELY, NAMESPACE, NOON, stage


def test_overlap_allow_runs_beside(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            for number in (1, 2, 3):
                await s.look(NOON + number * MINUTE)
            assert len(await s.times("m")) == 3
            assert {e.state for e in await s.executions("m")} == {State.QUEUED}

    asyncio.run(scene())


def test_overlap_skip_runs_again_when_the_former_one_has_ended(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, overlap=Overlap.SKIP))
            await s.look(NOON + MINUTE)
            await s.look(NOON + 2 * MINUTE)
            await s.look(NOON + 3 * MINUTE)
            assert await s.times("m") == [NOON + MINUTE]
            assert (await s.standing("m")).skipped == 2
            [delivery] = await s.claim()
            await s.settle(delivery)
            await s.look(NOON + 4 * MINUTE)
            assert await s.times("m") == [NOON + MINUTE, NOON + 4 * MINUTE]

    asyncio.run(scene())


def test_overlap_queue_runs_one_after_the_other_and_loses_none(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCH-2: each with its own planned time, woken by the end of the former one."""
    monkeypatch.setattr("sidecar.triggers.scheduler.LONGEST_REST", 3_600.0)

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, overlap=Overlap.QUEUE, misfire=Misfire.SKIP))
            await s.look(NOON + MINUTE)
            s.turn(NOON + 4 * MINUTE)
            rests, next_due_at = asyncio.Event(), s.store.reader.next_due_at

            async def noted(now: int) -> int | None:
                rests.set()
                return await next_due_at(now)

            monkeypatch.setattr(s.store.reader, "next_due_at", noted)
            running = asyncio.create_task(s.scheduler.run())
            for number in range(1, 5):
                [delivery] = await s.until(s.claim, bool)
                await rests.wait()
                rests.clear()
                assert delivery.execution.correlation.scheduled_for == NOON + number * MINUTE
                assert await s.times("m") == [NOON + n * MINUTE for n in range(1, number + 1)]
                await s.settle(delivery)
            s.scheduler.drain()
            await running
            assert (await s.standing("m")).skipped == 0

    asyncio.run(scene())


def test_a_run_by_hand_that_begins_meanwhile_holds_up_an_occurrence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCH-2: overlap is looked at within the commit, not only where it was read."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, overlap=Overlap.QUEUE))
            await s.look(NOON + MINUTE)
            [delivery] = await s.claim()
            await s.settle(delivery)
            due = s.store.reader.due_schedules

            async def overtaken(*seen: Any, **options: Any) -> Any:
                found = await due(*seen, **options)
                await s.scheduler.run_now(NAMESPACE, "m", "")
                return found

            monkeypatch.setattr(s.store.reader, "due_schedules", overtaken)
            await s.look(NOON + 2 * MINUTE)
            monkeypatch.setattr(s.store.reader, "due_schedules", due)
            assert len(await s.times("m")) == 2
            assert (await s.standing("m")).next_at == NOON + 2 * MINUTE
            [delivery] = await s.claim()
            assert delivery.execution.correlation.trigger_type == "manual"
            await s.settle(delivery)
            await s.look()
            assert (await s.times("m")).count(NOON + 2 * MINUTE) == 2

    asyncio.run(scene())


def test_outcomes_feed_back_and_survive_a_restart(either: str) -> None:
    """SCH-3: failures count in a row, a cancelled one neither, and after N the schedule is stopped."""

    async def scene() -> None:
        schedule = replace(MINUTELY, max_failures=3)
        async with stage(either) as s:
            await s.define(schedule)
            await s.look(NOON + MINUTE)
            await s.fail()
            await s.look(NOON + 2 * MINUTE)
            [cancelled] = [e for e in await s.executions("m") if e.state is State.QUEUED]
            await s.do(Cancel(cancelled.key, "not today", timedelta()))
            await s.look(NOON + 3 * MINUTE)
            await s.fail()
            assert (await s.standing("m")).failures == 2
        async with stage(either) as s:
            await s.look(NOON + 4 * MINUTE)
            await s.fail(error="timeout")
            stopped = await s.standing("m")
            assert stopped_reason(schedule, stopped) == "stopped after 3 failures in a row, the last: timeout"
            await s.look(NOON + 6 * MINUTE)
            assert len(await s.times("m")) == 4
            assert (await s.standing("m")).skipped == 2
            assert await s.do(Steer(("default", "m"), paused=False, next_at=NOON + 7 * MINUTE))
            await s.look(NOON + 7 * MINUTE)
            assert (await s.times("m"))[-1] == NOON + 7 * MINUTE
            [delivery] = await s.claim()
            await s.settle(delivery, Success())
            assert (await s.standing("m")).failures == 0

    asyncio.run(scene())


def test_a_success_between_failures_begins_the_count_anew(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            await s.look(NOON + MINUTE)
            await s.fail()
            await s.look(NOON + 2 * MINUTE)
            [delivery] = await s.claim()
            await s.settle(delivery)
            await s.look(NOON + 3 * MINUTE)
            await s.fail()
            assert (await s.standing("m")).failures == 1

    asyncio.run(scene())


def test_an_outcome_does_not_make_a_concurrent_fire_fail(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            await s.look(NOON + MINUTE)
            read = await s.standing("m")
            await s.fail()
            fired = await s.do(Fire(read.key, read.version, None, NOON + 3 * MINUTE, 1))
            assert fired == Fired(fired=True)
            assert (await s.standing("m")).failures == 1

    asyncio.run(scene())
