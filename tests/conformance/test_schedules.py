"""Schedules over the raw API, on both stores: defined, fired, steered, stopped, and none lost or doubled.

SCH-1 to SCH-4, and the missed occurrence of SCH-5.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import registry_service_pb2 as registry
from sidecar.v1 import schedule_service_pb2 as api
from tests.conformance.test_store_away import down, locked
from tests.conftest import StartSidecar
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.services.postgres import Postgres
from tests.wire import PATIENCE, Wire, failed, reason_of

SECOND = Duration(seconds=1)
NEVER = Timestamp(seconds=3_900_000_000)
"""A time that no test sees."""
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def define(wire: Wire, schedule_id: str = "s", **fields: Any) -> None:
    """Define a schedule that never fires by itself, unless it is told when."""
    timing = {} if fields.keys() & {"every", "cron", "once"} else {"once": NEVER}
    wire.define(defs.Schedule(schedule_id=schedule_id, **{"workflow_id": "audit", **timing, **fields}))


def statuses(wire: Wire, schedule_id: str = "", occurrences: int = 0) -> list[api.ScheduleStatus]:
    request = api.ListSchedulesRequest(
        namespace=wire.namespace, schedule_id=schedule_id, occurrences=occurrences
    )
    return list(wire.schedules.ListSchedules(request, timeout=PATIENCE).schedules)


def status(wire: Wire, schedule_id: str = "s") -> api.ScheduleStatus:
    [found] = statuses(wire, schedule_id)
    return found


def run(wire: Wire, schedule_id: str = "s", **fields: str) -> api.RunScheduleResponse:
    request = api.RunScheduleRequest(namespace=wire.namespace, schedule_id=schedule_id, **fields)
    return wire.schedules.RunSchedule(request, timeout=PATIENCE)


def run_due(wire: Wire, **fields: Any) -> api.RunDueResponse:
    return wire.schedules.RunDue(api.RunDueRequest(namespace=wire.namespace, **fields), timeout=PATIENCE)


def started(wire: Wire, schedule_id: str = "s") -> list[pb.Execution]:
    """Return what a schedule has started, by planned time."""
    found = wire.found(schedule_id=schedule_id, page_size=1_000)
    return sorted(found, key=lambda e: e.correlation.scheduled_for.ToNanoseconds())


def planned(wire: Wire, schedule_id: str = "s") -> list[int]:
    """Return the planned times of what a schedule has started, in seconds."""
    return [e.correlation.scheduled_for.seconds for e in started(wire, schedule_id)]


def soon(seconds: float = 1.0) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(time.time_ns() + int(seconds * 1e9))
    return stamp


def test_a_schedule_fires_by_itself(wire: Wire) -> None:
    """COR-2: the execution says which schedule set it off, and for when."""
    once = soon()
    define(wire, once=once, payload=b'{"a":1}', content_type="application/json", queue="night")
    with wire.worker(queues=["night"]) as worker:
        lease = worker.lease()
        ids = lease.correlation
        assert (ids.source, ids.trigger_type) == (pb.SOURCE_SCHEDULE, "schedule")
        assert (ids.schedule_id, ids.scheduled_for) == ("s", once)
        assert ids.request_id not in ("", ids.execution_id)
        assert (lease.payload, lease.content_type) == (b'{"a":1}', "application/json")
        worker.settle(lease)
    after = status(wire)
    assert (after.fired, after.skipped, after.failures) == (1, 0, 0)
    assert (after.last_execution_id, after.last_scheduled_for) == (ids.execution_id, once)
    assert not after.next_occurrences
    assert wire.get(ids.execution_id).idempotency_key == f"schedule:s:{once.ToNanoseconds()}"


def test_the_next_occurrences_follow_the_clock_on_the_wall(wire: Wire) -> None:
    """SCH-1: over both changes of daylight saving, checked against the zone itself."""
    zone = ZoneInfo("Europe/Berlin")
    define(wire, cron="30 2 * * 0", zone="Europe/Berlin")
    [found] = statuses(wire, "s", occurrences=100)
    moments = [at.ToDatetime(tzinfo=UTC) for at in found.next_occurrences]
    assert len(set(moments)) == 100
    walls = [at.astimezone(zone) for at in moments]
    assert {wall.weekday() for wall in walls} == {6}
    assert {(wall.hour, wall.minute) for wall in walls} == {(2, 30), (3, 0)}
    gaps = [wall for wall in walls if wall.hour == 3]
    assert gaps
    assert all(wall.utcoffset() != (wall - timedelta(days=1)).utcoffset() for wall in gaps)
    assert all(b - a <= timedelta(days=7, hours=1) for a, b in pairwise(moments))


def test_schedules_are_listed_by_id(wire: Wire) -> None:
    large = b"x" * 2_000
    for name in ("b", "a", "c"):
        define(wire, name, payload=large, description=f"the {name}")
    assert [each.schedule.schedule_id for each in statuses(wire)] == ["a", "b", "c"]
    assert [each.schedule.payload for each in statuses(wire)] == [b""] * 3
    assert [each.schedule.description for each in statuses(wire)] == ["the a", "the b", "the c"]
    assert status(wire, "b").schedule.payload == large
    assert len(status(wire, "b").next_occurrences) == 1


@pytest.mark.parametrize("call", ["list", "pause", "resume", "run", "run due"])
def test_an_unknown_schedule_is_not_found(wire: Wire, call: str) -> None:
    """COR-5: nor is the one of another namespace."""
    other = Wire(wire.target, f"{wire.namespace}-other")
    define(other, "s")
    calls: dict[str, Callable[[], object]] = {
        "list": lambda: statuses(wire, "s"),
        "pause": lambda: pause(wire),
        "resume": lambda: resume(wire),
        "run": lambda: run(wire),
        "run due": lambda: run_due(wire, schedule_id="s"),
    }
    with pytest.raises(grpc.RpcError) as refused:
        calls[call]()
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason_of(refused.value) == "SCHEDULE_NOT_FOUND"
    assert status(other).fired == 0
    other.close()


def pause(wire: Wire) -> api.ScheduleStatus:
    request = api.PauseScheduleRequest(namespace=wire.namespace, schedule_id="s")
    return wire.schedules.PauseSchedule(request, timeout=PATIENCE).schedule


def resume(wire: Wire) -> api.ScheduleStatus:
    request = api.ResumeScheduleRequest(namespace=wire.namespace, schedule_id="s")
    return wire.schedules.ResumeSchedule(request, timeout=PATIENCE).schedule


def test_pausing_and_resuming(wire: Wire) -> None:
    """While it is paused nothing fires, and what passed meanwhile is not made up for."""
    define(wire, every=SECOND)
    for _ in range(2):
        paused = pause(wire)
        assert (paused.paused, list(paused.next_occurrences)) == (True, [])
    before, paused_at = planned(wire), time.time()
    assert run_due(wire, early=Duration(seconds=60)).executions == []
    assert planned(wire) == before
    define(wire, "beside", every=SECOND)
    await_condition(lambda: status(wire, "beside").fired >= 3, "another schedule fires on", PATIENCE)
    assert planned(wire) == before
    resumed_at = time.time()
    for _ in range(2):
        assert not resume(wire).paused
    await_condition(lambda: len(planned(wire)) > len(before), "it fires again", PATIENCE)
    assert [at for at in planned(wire) if paused_at < at < int(resumed_at)] == []
    assert status(wire).skipped == 0


def test_running_by_hand(wire: Wire) -> None:
    """Beside the timetable, in the caller's trace, once for each key."""
    define(wire)
    before = status(wire)
    request = api.RunScheduleRequest(
        namespace=wire.namespace, schedule_id="s", request_id="req-1", idempotency_key="k"
    )
    metadata = (("traceparent", TRACEPARENT),)
    first = wire.schedules.RunSchedule(request, timeout=PATIENCE, metadata=metadata)
    again = run(wire, request_id="req-2", idempotency_key="k")
    assert (first.existing, again.existing) == (False, True)
    assert again.execution.correlation == first.execution.correlation
    ids = first.execution.correlation
    assert (ids.request_id, ids.trigger_type, ids.source) == ("req-1", "manual", pb.SOURCE_SCHEDULE)
    assert first.execution.trace_id == TRACEPARENT.split("-")[1]
    after = status(wire)
    assert (after.fired, after.last_execution_id) == (1, ids.execution_id)
    assert after.next_occurrences == before.next_occurrences
    assert run(wire).execution.correlation.execution_id != ids.execution_id


def test_a_hundred_calls_with_one_key_are_one_run(wire: Wire) -> None:
    define(wire)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: run(wire, idempotency_key="k"), range(100)))
    assert len({answer.execution.correlation.execution_id for answer in answers}) == 1
    assert sum(not answer.existing for answer in answers) == 1
    assert status(wire).fired == 1


def test_a_disabled_workflow_refuses_with_its_record(wire: Wire) -> None:
    """ADM-2."""
    define(wire)
    wire.define(defs.Workflow(workflow_id="audit", disabled=True))
    with pytest.raises(grpc.RpcError) as refused:
        run(wire)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    [record] = started(wire)
    assert (record.state, record.error.type) == (
        pb.EXECUTION_STATE_FAILED,
        "preprocessing.workflow_disabled",
    )
    assert status(wire).failures == 1


def test_a_schedule_stops_after_failures_in_a_row_and_goes_on_when_resumed(wire: Wire) -> None:
    """SCH-3: it says why, a cancelled run counts for nothing, and resuming forgets."""
    define(wire, max_failures=2)
    with wire.worker(credits=3) as worker:
        run(wire)
        worker.settle(worker.lease(1), failed=failed("boom"))
        cancelled = run(wire).execution.correlation.execution_id
        worker.lease(2)
        wire.cancel(cancelled, grace=0.05)
        assert wire.wait(cancelled).state == pb.EXECUTION_STATE_CANCELLED
        assert status(wire).failures == 1
        assert status(wire).next_occurrences
        run(wire)
        worker.settle(worker.lease(3), failed=failed("out.of.cheese"))
        stopped = status(wire)
        assert stopped.stopped_reason == "stopped after 2 failures in a row, the last: out.of.cheese"
        assert (stopped.failures, list(stopped.next_occurrences)) == (2, [])
        resumed = resume(wire)
        assert (resumed.failures, resumed.stopped_reason) == (0, "")
        assert list(resumed.next_occurrences) == [NEVER]


def test_what_is_due_is_driven_from_outside(start_sidecar: StartSidecar) -> None:
    """SCH-4: with SIDECAR_SCHEDULER=off nothing fires but by the call, which tells what it started."""
    with start_sidecar(SIDECAR_SCHEDULER="off") as house:
        wire = Wire(house.target, "default")
        first, second = soon(0.2), soon(0.3)
        define(wire, "b", once=first)
        define(wire, "a", once=second)
        define(wire, "later")
        await_condition(lambda: time.time_ns() > second.ToNanoseconds(), "both are due", PATIENCE)
        assert wire.found() == []
        answer = run_due(wire, request_id="tick")
        found = [(e.correlation.schedule_id, e.correlation.scheduled_for) for e in answer.executions]
        assert found == [("a", second), ("b", first)]
        assert {e.correlation.request_id for e in answer.executions} == {"tick"}
        assert not run_due(wire).executions
        wire.close()


def test_an_expected_occurrence_that_nobody_begins_is_missed(start_sidecar: StartSidecar) -> None:
    """SCH-5: a failure with a type of its own, which counts for the schedule."""
    with start_sidecar(SIDECAR_REAP_PERIOD="100ms") as house:
        wire = Wire(house.target, "default")
        define(wire, once=soon(30), expect_within=SECOND)
        [fired] = run_due(wire, schedule_id="s", early=Duration(seconds=60)).executions
        assert fired.dispatch == pb.DISPATCH_EXTERNAL
        [again] = run_due(wire, schedule_id="s").executions
        assert again.correlation == fired.correlation
        record = wire.wait(fired.correlation.execution_id)
        assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "missed")
        assert not run_due(wire, schedule_id="s").executions
        assert status(wire).failures == 1
        wire.close()


def test_a_deleted_schedule_fires_no_more_and_what_it_set_off_goes_on(wire: Wire) -> None:
    define(wire, every=SECOND)
    run(wire)
    request = registry.DeleteDefinitionRequest(
        namespace=wire.namespace, kind=registry.DEFINITION_KIND_SCHEDULE, name="s"
    )
    assert wire.registry.DeleteDefinition(request, timeout=PATIENCE).deleted
    before = len(started(wire))
    define(wire, "beside", every=SECOND)
    await_condition(lambda: status(wire, "beside").fired >= 2, "another schedule fires on", PATIENCE)
    assert len(started(wire)) == before
    assert [each.schedule.schedule_id for each in statuses(wire)] == ["beside"]
    with wire.worker(credits=1) as worker:
        worker.settle(worker.lease())


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["commit.begun", "accept.before_commit", "accept.after_commit"])
def test_a_kill_around_the_firing_commit_fires_once(start_sidecar: StartSidecar, point: str) -> None:
    """SCH-1, SCH-2: before the commit nothing is lost, after it nothing is doubled."""
    house = start_sidecar()
    house.start()
    wire = Wire(house.target, "default")
    define(wire, every=Duration(seconds=2), misfire=defs.MISFIRE_RUN_ALL)
    await_condition(lambda: status(wire).fired >= 1, "it fires", PATIENCE)
    house.kill()
    house.armed(f"{point}=kill").launch()
    assert house.await_death() == -9
    house.armed("").start()
    fired = status(wire).fired
    await_condition(lambda: status(wire).fired >= fired + 2, "it fires on", PATIENCE)
    pause(wire)
    times = planned(wire)
    assert times == list(range(times[0], times[-1] + 2, 2))
    after = status(wire)
    assert (after.fired, after.skipped) == (len(times), 0)
    wire.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_store_that_is_away_loses_no_occurrence(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """SCH-2: what comes due meanwhile fires when it is back, even where misfires are skipped."""
    postgres: Postgres | None = request.getfixturevalue("postgres") if kind == "postgres" else None
    store = postgres.create_database() if postgres else None
    with SidecarProcess(tmp_path, store, SIDECAR_STORE_PATIENCE="500ms") as house:
        wire = Wire(house.target, "default")
        define(wire, every=SECOND, misfire=defs.MISFIRE_SKIP, misfire_after=SECOND)
        await_condition(lambda: status(wire).fired >= 2, "it fires", PATIENCE)
        with down(postgres) if postgres else locked(tmp_path / "sidecar.db"):
            await_condition(lambda: not house.healthy(), "health says so", PATIENCE)
        await_condition(house.healthy, "health is back", PATIENCE)
        back_at = int(time.time())
        await_condition(lambda: max(planned(wire)) > back_at, "it fires on", PATIENCE)
        pause(wire)
        times = planned(wire)
        assert times == list(range(times[0], times[0] + len(times)))
        assert status(wire).skipped == 0
        wire.close()


def test_counts_and_pauses_survive_a_restart(start_sidecar: StartSidecar) -> None:
    """SCH-3."""
    house = start_sidecar()
    house.start()
    wire = Wire(house.target, "default")
    define(wire, max_failures=3)
    with wire.worker() as worker:
        run(wire)
        worker.settle(worker.lease(), failed=failed("boom"))
    pause(wire)
    before = status(wire)
    assert (before.failures, before.paused) == (1, True)
    house.kill()
    house.start()
    assert status(wire) == before
    wire.close()


@pytest.mark.e2e
def test_sidecars_that_share_a_store_fire_each_occurrence_once(postgres: Postgres, tmp_path: Path) -> None:
    """SCH-1: three processes on one database, one of which is killed."""
    url = postgres.create_database()
    with ExitStack() as stack:
        houses = []
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            houses.append(stack.enter_context(SidecarProcess(folder, url)))
        wire = Wire(houses[0].target, "default")
        define(wire, every=SECOND)
        await_condition(lambda: status(wire).fired >= 3, "it fires", PATIENCE)
        houses[2].kill()
        fired = status(wire).fired
        await_condition(lambda: status(wire).fired >= fired + 3, "it fires on", PATIENCE)
        pause(wire)
        times = planned(wire)
        assert times == list(range(times[0], times[0] + len(times)))
        assert status(wire).fired == len(times)
        wire.close()


def test_a_payload_and_time_of_the_year_2095_stand(wire: Wire) -> None:
    define(wire, once=NEVER, payload=bytes(range(256)))
    assert [at.ToDatetime(tzinfo=UTC) for at in status(wire).next_occurrences] == [
        datetime.fromtimestamp(NEVER.seconds, UTC)
    ]
    assert status(wire).schedule.payload == bytes(range(256))
