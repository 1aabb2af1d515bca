"""The scheduler over a real store: what it starts, exactly once, whatever clock, store and rivals do."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.core.commands import Accepted, Cancel, Success
from sidecar.core.correlation import Source
from sidecar.core.decrees import Define, Fire, Fired, Steer, Undefine
from sidecar.core.definitions import Kind, Misfire, Overlap, Queue, RateLimit, Schedule, Workflow
from sidecar.core.lifecycle import State
from sidecar.core.model import Dispatch
from sidecar.core.refusals import Reason, RefusalError, Refused
from sidecar.core.schedules import Timing
from sidecar.core.scheduling import stopped_reason
from tests.services.postgres import Postgres
from tests.triggers.stage import MINUTE, NAMESPACE, NOON, SECOND, stage

MINUTELY = Schedule("m", "audit", Timing(every=timedelta(minutes=1)), payload=b'{"a":1}')


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, url: str) -> str:
    """Both stores, where what is shown lies in them."""
    if request.param == "sqlite":
        return url
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.create_database()


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


def test_overlap_queue_runs_one_after_the_other_and_loses_none(url: str) -> None:
    """SCH-2: each with its own planned time, woken by the end of the former one."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, overlap=Overlap.QUEUE, misfire=Misfire.SKIP))
            await s.look(NOON + MINUTE)
            s.turn(NOON + 4 * MINUTE)
            running = asyncio.create_task(s.scheduler.run())
            for number in range(1, 5):
                [delivery] = await s.until(s.claim, bool)
                assert delivery.execution.correlation.scheduled_for == NOON + number * MINUTE
                assert await s.times("m") == [NOON + n * MINUTE for n in range(1, number + 1)]
                await s.settle(delivery)
            s.scheduler.drain()
            await running
            assert (await s.standing("m")).skipped == 0

    asyncio.run(scene())


def test_overlap_allow_runs_beside(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            for number in (1, 2, 3):
                await s.look(NOON + number * MINUTE)
            assert len(await s.times("m")) == 3
            assert {e.state for e in await s.executions("m")} == {State.QUEUED}

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
            failed = [line for line in lines if line["event"] == "schedule.failed"]
            assert len(failed) == 1, "the second look came within the pause"
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


@pytest.mark.parametrize(("hung", "runs"), [(True, 10), (False, 2)])
def test_a_look_that_the_store_held_up_makes_nothing_late(
    url: str, monkeypatch: pytest.MonkeyPatch, hung: bool, runs: int
) -> None:
    """SCH-2: unlike a clock that jumps in the middle of a look."""

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
            await s.look()
            assert await s.times("m") == [NOON + n * MINUTE for n in range(11 - runs, 11)]

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


def test_due_is_driven_from_outside(url: str) -> None:
    """SCH-4: it answers with what it started, under the caller's request id."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY, replace(MINUTELY, schedule_id="n", misfire=Misfire.SKIP))
            s.turn(NOON + 10 * MINUTE + 30 * SECOND)
            found, skipped = await s.scheduler.run_due(NAMESPACE, None, "req-1")
            planned = [(e.correlation.schedule_id, e.correlation.scheduled_for) for e in found]
            assert planned == [("m", NOON + 10 * MINUTE), ("n", NOON + 10 * MINUTE)]
            assert {e.correlation.request_id for e in found} == {"req-1"}
            assert skipped == 18
            assert await s.scheduler.run_due(NAMESPACE, None, "") == ([], 0)
            [early], _ = await s.scheduler.run_due(NAMESPACE, "n", "", timedelta(seconds=30))
            assert early.correlation.scheduled_for == NOON + 11 * MINUTE
            await s.look(NOON + 11 * MINUTE)
            assert len(await s.times("n")) == 2
            assert len(await s.times("m")) == 2

    asyncio.run(scene())


def test_an_unknown_schedule_is_not_found(url: str) -> None:
    """COR-5."""

    async def scene() -> None:
        async with stage(url) as s:
            for call in (s.scheduler.run_due(NAMESPACE, "x", ""), s.scheduler.run_now(NAMESPACE, "x", "")):
                with pytest.raises(RefusalError) as refused:
                    await call
                assert refused.value.refused.reason is Reason.SCHEDULE_NOT_FOUND

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


def test_an_expected_occurrence_waits_for_an_outside_cron_and_is_told_to_it(url: str) -> None:
    """SCH-5: fired by the agent or by the caller, the wrapper gets it; yesterday's is not handed out."""

    async def scene() -> None:
        expected = replace(MINUTELY, expect_within=timedelta(seconds=90))
        async with stage(url) as s:
            await s.define(expected, replace(MINUTELY, schedule_id="other"))
            await s.look(NOON + MINUTE)
            [fired] = await s.executions("m")
            assert fired.terms.dispatch is Dispatch.EXTERNAL
            assert fired.terms.queue_deadline_at == fired.run_at + 90 * SECOND
            [delivery] = await s.claim(limit=9)
            assert delivery.execution.correlation.schedule_id == "other"
            found, _ = await s.scheduler.run_due(NAMESPACE, "m", "", timedelta(seconds=5))
            assert [e.key for e in found] == [fired.key]
            s.turn(NOON + 2 * MINUTE - 3 * SECOND)
            found, _ = await s.scheduler.run_due(NAMESPACE, "m", "", timedelta(seconds=5))
            assert [e.correlation.scheduled_for for e in found] == [NOON + MINUTE, NOON + 2 * MINUTE]
            s.turn(NOON + 3 * MINUTE)
            found, _ = await s.scheduler.run_due(NAMESPACE, "m", "")
            assert [e.correlation.scheduled_for for e in found] == [NOON + 2 * MINUTE, NOON + 3 * MINUTE]

    asyncio.run(scene())


def test_run_now_is_beside_the_timetable(url: str) -> None:
    """SCH-4: once per key, also while it is paused, and the timetable stays as it is."""

    async def scene() -> None:
        async with stage(url) as s:
            await s.define(replace(MINUTELY, overlap=Overlap.SKIP))
            assert await s.do(Steer(("default", "m"), paused=True, next_at=None))
            before = await s.standing("m")
            first = await s.scheduler.run_now(NAMESPACE, "m", "req-7", "my:key")
            again = await s.scheduler.run_now(NAMESPACE, "m", "req-8", "my:key")
            assert isinstance(first, Accepted)
            assert isinstance(again, Accepted)
            assert (first.existing, again.existing) == (False, True)
            made = s.accepted(first)
            assert made.correlation.trigger_type == "manual"
            assert (made.correlation.request_id, made.correlation.scheduled_for) == ("req-7", NOON)
            assert made.terms.idempotency_key == "schedule:m:run=my%3Akey"
            after = await s.standing("m")
            assert replace(before, fired=1, last_execution_id=made.correlation.execution_id) == after
            other = await s.scheduler.run_now(NAMESPACE, "m", "")
            assert s.accepted(other).key != made.key
            assert await s.do(Steer(("default", "m"), paused=False, next_at=NOON + MINUTE))
            await s.look(NOON + MINUTE)
            assert (await s.standing("m")).skipped == 1, "the run by hand goes on"

    asyncio.run(scene())


def test_a_run_by_hand_that_is_refused_is_told_and_kept(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY, Workflow("audit", disabled=True))
            refused = await s.scheduler.run_now(NAMESPACE, "m", "")
            assert isinstance(refused, Refused)
            assert refused.execution is not None
            assert (await s.get(refused.execution.key)).state is State.FAILED
            assert (await s.standing("m")).failures == 1

    asyncio.run(scene())


def test_pausing_resuming_and_deleting(url: str) -> None:
    async def scene() -> None:
        async with stage(url) as s:
            await s.define(MINUTELY)
            assert await s.do(Steer(("default", "m"), paused=True, next_at=None))
            await s.look(NOON + 5 * MINUTE)
            assert await s.times("m") == []
            assert await s.do(Steer(("default", "m"), paused=False, next_at=NOON + 6 * MINUTE))
            await s.look(NOON + 5 * MINUTE)
            assert await s.times("m") == [], "what passed during the pause is no misfire"
            await s.look(NOON + 6 * MINUTE)
            assert await s.times("m") == [NOON + 6 * MINUTE]
            assert await s.do(Undefine(NAMESPACE, Kind.SCHEDULE, "m"))
            await s.fail()
            await s.look(NOON + 9 * MINUTE)
            assert await s.times("m") == [NOON + 6 * MINUTE], "what it set off goes on, nothing else comes"
            assert await s.store.reader.standings(NAMESPACE, None) == []

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


def test_large_payloads_are_handed_in_a_few_at_a_time(url: str) -> None:
    async def scene() -> None:
        async with stage(url, max_waiting_bytes=8 * 1024 * 1024) as s:
            large = replace(MINUTELY, payload=b"x" * 1_000_000, misfire=Misfire.RUN_ALL, misfire_limit=40)
            await s.define(large)
            await s.look(NOON + 100 * MINUTE + 30 * SECOND)
            assert len(await s.times("m")) == 41

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
