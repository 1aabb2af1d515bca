"""`sidecar schedule` against a real sidecar: every subcommand, for people and for machines."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar.cli.exit_codes import ExitCode
from tests.cli.conftest import Command, Ended

pytestmark = pytest.mark.e2e

FAR = "2090-01-01T00:00:00Z"


@pytest.fixture
def schedule(sidecar_command: Command) -> Command:
    return sidecar_command


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4()}"


def create(command: Command, name: str, *options: str) -> Ended:
    timing = () if {"--cron", "--every", "--once"} & {*options} else ("--once", FAR)
    return command("schedule", "create", name, "--workflow", "nobody", *timing, *options)


def shown(command: Command, name: str) -> Any:
    return command("--json", "schedule", "show", name).answer


def test_create_is_told_and_repeated_changes_nothing(schedule: Command, name: str) -> None:
    line = ("--cron", "0 2 * * *", "--zone", "Europe/Berlin", "--max-failures", "5", "--misfire", "run_all")
    assert create(schedule, name, *line).out == f"{name}: created\n"
    assert create(schedule, name, *line).out == f"{name}: unchanged\n"
    changed = create(schedule, name, *line, "--overlap", "queue", "--json")
    assert changed.answer == {"schedule_id": name, "change": "updated"}
    found = shown(schedule, name)
    assert (found["timing"], found["workflow_id"]) == ("0 2 * * * Europe/Berlin", "nobody")
    assert (found["misfire"], found["overlap"], found["max_failures"]) == ("run_all", "queue", 5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("--every", "90m"), "every 1:30:00"),
        (("--once", "2090-01-01T01:00:00+01:00"), f"once at {FAR}"),
        (("--cron", "@daily"), "@daily UTC"),
    ],
)
def test_each_kind_of_timing(schedule: Command, name: str, line: tuple[str, ...], said: str) -> None:
    assert create(schedule, name, *line).code == ExitCode.OK
    assert shown(schedule, name)["timing"] == said
    assert said in schedule("schedule", "show", name).out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("--every", "1h", "--cron", "@daily"), "exactly one of --cron, --every and --once"),
        (("--once", "2090-01-01T00:00:00"), "not a time with its zone"),
        (("--once", "tomorrow"), "not a time with its zone"),
        (("--misfire", "perhaps"), "perhaps"),
        (("--misfire-limit", "0"), "misfire-limit"),
    ],
)
def test_a_wrong_line_is_named(schedule: Command, name: str, line: tuple[str, ...], says: str) -> None:
    ended = create(schedule, name, *line)
    assert (ended.code, ended.out) == (ExitCode.USAGE, "")
    assert says in ended.err


def test_no_timing_at_all_is_a_wrong_line(schedule: Command, name: str) -> None:
    ended = schedule("schedule", "create", name, "--workflow", "nobody")
    assert ended.code == ExitCode.USAGE


def test_what_the_sidecar_refuses_is_named(schedule: Command, name: str) -> None:
    ended = create(schedule, name, "--cron", "61 * * * *", "--json")
    assert ended.code == ExitCode.INVALID_ARGUMENT
    assert ended.problem["metadata"]["field"] == "definitions[0].schedule.cron"


def test_pause_and_resume(schedule: Command, name: str) -> None:
    create(schedule, name)
    assert "paused" in schedule("schedule", "pause", name).out
    assert shown(schedule, name)["next_occurrences"] == []
    resumed = schedule("--json", "schedule", "resume", name).answer
    assert (resumed["paused"], resumed["next_occurrences"]) == (False, [FAR])


def test_show_tells_as_many_occurrences_as_are_wanted(schedule: Command, name: str) -> None:
    create(schedule, name, "--every", "1h", "--description", "all that there is")
    assert len(shown(schedule, name)["next_occurrences"]) == 5
    found = schedule("schedule", "show", name, "--occurrences", "3").out
    assert found.count(":00:00.000Z") == 3
    assert "all that there is" in found


def test_list_has_a_line_for_each(schedule: Command, name: str) -> None:
    create(schedule, name, "--every", "1h")
    [line] = [line for line in schedule("schedule", "list").out.splitlines() if line.startswith(name)]
    assert line.split()[1:4] == ["nobody", "every", "1:00:00"]
    assert line.split()[-1] == "on"
    found = schedule("--json", "schedule", "list").answer
    assert [each["schedule_id"] for each in found] == sorted(each["schedule_id"] for each in found)


@pytest.mark.usefixtures("worker")
def test_run_and_wait(schedule: Command, name: str) -> None:
    line = ("--workflow", "echo", "--queue", "work", "--once", FAR, "--payload", '{"a":1}')
    assert schedule("schedule", "create", name, *line).code == ExitCode.OK
    ended = schedule("--json", "schedule", "run", name, "--wait", "--request-id", "r-1")
    assert (ended.code, ended.answer["state"], ended.answer["request_id"]) == (0, "succeeded", "r-1")
    assert ended.answer["output"] == {"got": {"a": 1}}
    first = schedule("--json", "schedule", "run", name, "--key", "k").answer
    again = schedule("--json", "schedule", "run", name, "--key", "k").answer
    assert (first["existing"], again["existing"]) == (False, True)
    assert again["execution_id"] == first["execution_id"]
    assert "(accepted before)" in schedule("schedule", "run", name, "--key", "k").out


def test_run_due_takes_what_is_early(schedule: Command, name: str) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=40)).isoformat()
    create(schedule, name, "--once", soon)
    assert schedule("--json", "schedule", "run-due", name).answer == {"executions": [], "skipped": 0}
    ended = schedule("--json", "schedule", "run-due", name, "--early", "1m", "--request-id", "tick-1")
    [started] = ended.answer["executions"]
    assert (started["schedule_id"], started["request_id"]) == (name, "tick-1")
    assert datetime.fromisoformat(started["scheduled_for"]) == datetime.fromisoformat(soon)
    assert schedule("schedule", "run-due", name).out == "0 started, 0 skipped\n"


def test_delete(schedule: Command, name: str) -> None:
    create(schedule, name)
    assert schedule("schedule", "delete", name).out == f"{name}: deleted\n"
    assert schedule("schedule", "delete", name).out == f"{name}: there was none\n"
    for line in (("show",), ("pause",), ("resume",), ("run",), ("run-due",)):
        ended = schedule("--json", "schedule", *line, name)
        assert (ended.code, ended.problem["reason"]) == (ExitCode.NOT_FOUND, "SCHEDULE_NOT_FOUND")


def test_the_group_explains_itself(schedule: Command) -> None:
    ended = schedule.process("schedule", "--help")
    assert ended.code == ExitCode.OK
    for each in ("create", "list", "show", "pause", "resume", "run", "run-due", "delete"):
        assert f"\n  {each} " in ended.out
    assert ended.err == ""
