"""What a scheduler does about a store that is away, schedules that are broken, and refusals: SCH-2 and 3."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.core.decrees import Define
from sidecar.core.definitions import Misfire, Queue, RateLimit, Workflow
from sidecar.core.lifecycle import State
from sidecar.core.schedules import Timing
from tests.triggers.stage import MINUTE, MINUTELY, NAMESPACE, NOON, SECOND, stage


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Have somebody else hold the SQLite file: it can be read, and not written."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.parametrize("misfire", list(Misfire))
def test_a_failed_enqueue_loses_no_occurrence(url: str, misfire: Misfire) -> None:
    """SCH-2: it is tried again, with pauses, and what was tried in time is no misfire."""

    async def scene() -> None:
        async with stage(url, patience_seconds=0.05) as s:
            await s.define(replace(MINUTELY, misfire=misfire))
            with capture_logs() as lines, locked(url):
                await s.look(NOON + MINUTE)
                await s.look(NOON + MINUTE)
                await s.look(NOON + 10 * MINUTE)
            failed = [line for line in lines if line["event"] == "schedule.failed"]
            assert len(failed) == 2, "the second look came within the pause"
            assert (failed[0]["schedule_id"], failed[0]["log_level"]) == ("m", "warning")
            assert await s.times("m") == []
            await s.look(NOON + 20 * MINUTE)
            assert (await s.times("m"))[0] == NOON + MINUTE
            assert (await s.standing("m")).skipped == 0

    asyncio.run(scene())


def test_pauses_between_tries_grow_and_end_with_a_success(url: str) -> None:
    async def scene() -> None:
        async with stage(url, patience_seconds=0.01) as s:
            await s.define(MINUTELY)
            rests: list[float] = []
            with locked(url):
                for _ in range(9):
                    with capture_logs() as lines:
                        await s.look(NOON + MINUTE)
                    rests += [float(line["retry_in"].rstrip("s")) for line in lines]
                    s.clock.offset += rests[-1] + 0.1
            longest = (1, 2, 4, 8, 16, 32, 60, 60, 60)
            assert len(rests) == 9
            assert all(
                most / 2 <= rest + 0.1 and rest <= most for rest, most in zip(rests, longest, strict=True)
            )
            await s.look()
            assert len(await s.times("m")) == 1
            with locked(url), capture_logs() as lines:
                await s.look(s.clock.now() + 10 * MINUTE)
            assert float(lines[0]["retry_in"].rstrip("s")) <= 1, "a success ends the row"

    asyncio.run(scene())


def test_a_store_that_cannot_be_read_makes_nothing_late(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCH-2: what came due while we looked in vain is on time."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, misfire=Misfire.SKIP))
            due = s.store.reader.due_schedules

            async def away(*_: Any, **__: Any) -> Any:
                raise ConnectionError("the store is away")

            monkeypatch.setattr(s.store.reader, "due_schedules", away)
            with pytest.raises(ConnectionError):
                await s.look(NOON + MINUTE)
            monkeypatch.setattr(s.store.reader, "due_schedules", due)
            await s.look(NOON + 30 * MINUTE)
            assert await s.times("m") == [NOON + n * MINUTE for n in range(1, 31)]
            await s.look(NOON + 60 * MINUTE + 30 * SECOND)
            assert len(await s.times("m")) == 31

    asyncio.run(scene())


@pytest.mark.parametrize(("hung", "rest", "runs"), [(True, 0, 10), (True, 5, 2), (False, 0, 2)])
def test_a_look_that_the_store_held_up_makes_nothing_late(
    url: str, monkeypatch: pytest.MonkeyPatch, hung: bool, rest: int, runs: int
) -> None:
    """SCH-2: unlike a sleep after it, or a clock that jumps in the middle of it."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, misfire=Misfire.SKIP))
            due = s.store.reader.due_schedules

            async def slow(*seen: Any, **options: Any) -> Any:
                found = await due(*seen, **options)
                if hung:
                    s.turn(NOON + 10 * MINUTE)
                else:
                    s.clock.wall = NOON + 10 * MINUTE
                return found

            monkeypatch.setattr(s.store.reader, "due_schedules", slow)
            await s.look(NOON + 1)
            assert await s.times("m") == []
            monkeypatch.setattr(s.store.reader, "due_schedules", due)
            last = 10 + rest
            await s.look(NOON + last * MINUTE)
            assert await s.times("m") == [NOON + n * MINUTE for n in range(last - runs + 1, last + 1)]

    asyncio.run(scene())


def test_a_bad_schedule_affects_no_other(url: str) -> None:
    """SCH-3: one that cannot be computed, and more of them than one page holds."""

    async def scene() -> None:
        async with stage(url) as s:
            timing = Timing(cron="what is this")
            bad = [replace(MINUTELY, schedule_id=f"bad-{n:03d}", timing=timing) for n in range(250)]
            first = tuple((each.schedule_id, NOON + MINUTE) for each in bad)
            await s.do(Define(NAMESPACE, tuple(bad), first))
            await s.define(MINUTELY)
            with capture_logs() as lines:
                await s.look(NOON + MINUTE)
                await s.look(NOON + 2 * MINUTE)
            assert await s.times("m") == [NOON + MINUTE, NOON + 2 * MINUTE]
            failed = Counter(line["schedule_id"] for line in lines if line["event"] == "schedule.failed")
            assert failed == {each.schedule_id: 2 for each in bad}
            assert await s.times("bad-000") == []

    asyncio.run(scene())


def test_what_cannot_be_fired_from_outside_is_told(url: str) -> None:
    async def scene() -> None:
        async with stage(url, patience_seconds=0.05) as s:
            await s.define(MINUTELY)
            s.turn(NOON + MINUTE)
            with locked(url), pytest.raises(Exception, match="store is away"):
                await s.scheduler.run_due(NAMESPACE, None, "")
            [found], _ = await s.scheduler.run_due(NAMESPACE, None, "")
            assert found.correlation.scheduled_for == NOON + MINUTE

    asyncio.run(scene())


def test_a_refused_occurrence_is_a_durable_failure_and_consumed(url: str) -> None:
    """SCH-2, ADM-2: and it stops the schedule like any other failure."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, max_failures=2), Workflow("audit", disabled=True))
            for number in (1, 2, 3):
                await s.look(NOON + number * MINUTE)
            found = await s.executions("m")
            assert [e.state for e in found] == [State.FAILED, State.FAILED]
            terminal = found[0].terminal
            assert terminal is not None
            assert terminal.failure is not None
            assert terminal.failure.type == "preprocessing.workflow_disabled"
            after = await s.standing("m")
            assert (after.fired, after.failures, after.skipped) == (2, 2, 1)

    asyncio.run(scene())


def test_rate_limits_refuse_a_flood_and_each_refusal_is_told(url: str) -> None:
    """SCH-2, ADM-2: of what is made up for, what the queue's limit refuses is a durable failure."""

    async def scene() -> None:
        async with stage(url) as s:
            limited = Queue("default", rate=RateLimit(10, timedelta(hours=1)))
            await s.define(replace(MINUTELY, misfire=Misfire.RUN_ALL, misfire_limit=50), limited)
            await s.look(NOON + 200 * MINUTE + 30 * SECOND)
            states = Counter(e.state for e in await s.executions("m"))
            assert states == {State.QUEUED: 10, State.FAILED: 41}

    asyncio.run(scene())
