"""What fires schedules from outside, and steers them: due, by hand, paused, resumed, deleted; SCH-4."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.core.commands import Accepted
from sidecar.core.decrees import Steer, Undefine
from sidecar.core.definitions import Kind, Misfire, Overlap, Workflow
from sidecar.core.lifecycle import State
from sidecar.core.model import Dispatch
from sidecar.core.refusals import Reason, RefusalError, Refused
from tests.triggers.stage import MINUTE, MINUTELY, NAMESPACE, NOON, SECOND, stage


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
