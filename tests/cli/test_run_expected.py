"""`sidecar run --expect`: an outside cron's runs are expected, recorded as such, and missed; SCH-5."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.client import SyncClient
from sidecar.v1 import definitions_pb2 as definitions
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import registry_service_pb2 as registry
from sidecar.v1 import schedule_service_pb2 as schedules
from tests.cli.wrapping import PATIENCE, Wrapper
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.wire import Wire

pytestmark = pytest.mark.e2e

SOON = timedelta(seconds=4)
NEVER_NOW = "0 0 1 1 *"


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[SidecarProcess]:
    folder = tmp_path / "sidecar"
    folder.mkdir()
    with SidecarProcess(folder, SIDECAR_REAP_PERIOD="100ms") as running:
        yield running


@pytest.fixture
def wire(sidecar: SidecarProcess) -> Iterator[Wire]:
    wire = Wire(sidecar.target, "default")
    yield wire
    wire.close()


@pytest.fixture
def wrapper(sidecar: SidecarProcess, tmp_path: Path) -> Wrapper:
    return Wrapper(sidecar.target, tmp_path / "spool")


def once_at(at: datetime) -> str:
    """Return a cron expression that holds at one second of the year."""
    return f"{at.second} {at.minute} {at.hour} {at.day} {at.month} *"


def expect(wire: Wire, cron: str, within: int = 600, **fields: Any) -> None:
    """Define the schedule as `sidecar run --workflow nightly --expect` would."""
    schedule = definitions.Schedule(
        schedule_id="run:nightly",
        workflow_id="nightly",
        cron=cron,
        zone="UTC",
        expect_within=Duration(seconds=within),
        retry=pb.RetryPolicy(max_attempts=1),
        **fields,
    )
    apply = registry.ApplyDefinitionsRequest(definitions=[definitions.Definition(schedule=schedule)])
    wire.registry.ApplyDefinitions(apply, timeout=10)


def occurrences(wire: Wire) -> list[pb.Execution]:
    request = api.ListExecutionsRequest(schedule_id="run:nightly")
    return list(wire.executions.ListExecutions(request, timeout=10).executions)


def fired(wire: Wire) -> pb.Execution:
    """Wait for the one occurrence, and return its execution."""
    await_condition(lambda: len(occurrences(wire)) == 1, "the occurrence has fired", PATIENCE)
    return occurrences(wire)[0]


def options(cron: str, within: str = "10m") -> list[str]:
    return ["--workflow", "nightly", "--expect", cron, "--expect-within", within]


def standing(wire: Wire) -> schedules.ScheduleStatus:
    (found,) = wire.schedules.ListSchedules(schedules.ListSchedulesRequest(), timeout=10).schedules
    return found


def test_a_run_is_the_occurrence_that_was_expected(wire: Wire, wrapper: Wrapper) -> None:
    """SCH-5."""
    cron = once_at(datetime.now(UTC) + SOON)
    expect(wire, cron)
    waiting = fired(wire)
    assert (waiting.state, waiting.dispatch) == (pb.EXECUTION_STATE_QUEUED, pb.DISPATCH_EXTERNAL)
    done = wrapper.run(*options(cron), "--", "sh", "-c", "echo $SIDECAR_EXECUTION_ID; exit 3")
    assert (done.code, done.err) == (3, "")
    assert done.out.decode().strip() == waiting.correlation.execution_id
    (record,) = occurrences(wire)
    ids = record.correlation
    assert (ids.schedule_id, ids.trigger_type) == ("run:nightly", "schedule")
    assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "exit_code")
    assert standing(wire).failures == 1, "the schedule learns of it"
    beside = wrapper.run(*options(cron), "--id", "beside", "--", "true")
    assert (beside.code, wire.get("beside").correlation.trigger_type) == (0, "manual")


def test_an_occurrence_that_never_starts_is_missed(wire: Wire, sidecar: SidecarProcess) -> None:
    """SCH-5: FAILED `missed`, with its span."""
    expect(wire, once_at(datetime.now(UTC) + SOON), within=1)
    execution_id = fired(wire).correlation.execution_id
    record = wire.wait(execution_id)
    assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "missed")
    with SyncClient(sidecar.target) as client:
        spans = {span.name.split()[0]: span for span in client.trace(execution_id).spans}
    assert set(spans) == {"send", "execution"}
    assert spans["execution"].error_type == "missed"


def test_the_first_run_has_its_times_expected_and_the_next_changes_nothing(
    wire: Wire, wrapper: Wrapper
) -> None:
    done = wrapper.run(*options(NEVER_NOW, "30m"), "--zone", "Europe/Berlin", "--timeout", "1m", "--", "true")
    assert (done.code, done.err) == (0, "")
    schedule = standing(wire).schedule
    assert (schedule.schedule_id, schedule.cron, schedule.zone) == ("run:nightly", NEVER_NOW, "Europe/Berlin")
    assert schedule.expect_within == Duration(seconds=1_800)
    listed = registry.ListDefinitionsRequest()
    before = wire.registry.ListDefinitions(listed, timeout=10)
    wrapper.run(*options(NEVER_NOW, "30m"), "--zone", "Europe/Berlin", "--timeout", "1m", "--", "true")
    assert wire.registry.ListDefinitions(listed, timeout=10) == before


def test_what_else_was_defined_of_the_schedule_stays(wire: Wire, wrapper: Wrapper) -> None:
    expect(wire, NEVER_NOW, max_failures=7, description="backup")
    wrapper.run(*options("0 3 * * *"), "--", "true")
    schedule = standing(wire).schedule
    assert (schedule.cron, schedule.max_failures, schedule.description) == ("0 3 * * *", 7, "backup")


def test_a_timetable_that_is_refused_is_told_and_the_run_is_recorded(wire: Wire, wrapper: Wrapper) -> None:
    done = wrapper.run(*options("61 * * * *"), "--id", "e1", "--", "sh", "-c", "exit 3")
    assert done.code == 3
    assert done.err.startswith("sidecar run: schedule 'run:nightly' is not expected: ")
    assert "61" in done.err
    assert wire.get("e1").error.type == "exit_code"


def test_of_two_runs_of_one_occurrence_one_is_it(wire: Wire, wrapper: Wrapper) -> None:
    """SCH-1: one occurrence is one execution; the other run has a record of its own."""
    cron = once_at(datetime.now(UTC) + SOON)
    expect(wire, cron)
    fired(wire)
    ids = [str(uuid.uuid4()) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        lines = [(*options(cron), "--id", each, "--", "true") for each in ids]
        done = [future.result() for future in [pool.submit(wrapper.run, *line) for line in lines]]
    assert [(each.code, each.err) for each in done] == [(0, "")] * 2
    (record,) = occurrences(wire)
    assert (record.state, record.attempts) == (pb.EXECUTION_STATE_SUCCEEDED, 1)
    own = api.ListExecutionsRequest(execution_ids=ids)
    (beside,) = wire.executions.ListExecutions(own, timeout=10).executions
    assert (beside.state, beside.correlation.trigger_type) == (pb.EXECUTION_STATE_SUCCEEDED, "manual")


def test_a_run_while_the_sidecar_was_away_is_its_occurrence_all_the_same(
    wire: Wire, wrapper: Wrapper, sidecar: SidecarProcess
) -> None:
    """Invariant 9: what was run is not missed for our own absence."""
    cron = once_at(datetime.now(UTC) + SOON)
    expect(wire, cron)
    sidecar.kill()
    assert wrapper.run(*options(cron), "--", "sh", "-c", "exit 3").code == 3
    sidecar.start()
    waiting = fired(wire)
    assert waiting.state == pb.EXECUTION_STATE_QUEUED
    flushed = wrapper.command("spool", "flush")
    assert flushed.out == b"1 told, 0 left, 0 set aside\n", flushed
    (record,) = occurrences(wire)
    assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "exit_code")
