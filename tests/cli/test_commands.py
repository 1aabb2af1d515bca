"""The commands against a real sidecar: answers, problems and exit codes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli.exit_codes import ExitCode
from tests.cli.conftest import Command
from tests.services.loopback import address, await_condition, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("worker")]


def test_enqueue_and_wait_for_a_success(sidecar_command: Command) -> None:
    line = ("enqueue", "echo", "--queue", "work", "--payload", '{"a":[1]}', "--wait", "--json")
    ended = sidecar_command.process(*line)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert ended.answer["state"] == "succeeded"
    assert ended.answer["output"] == {"got": {"a": [1]}}
    assert ended.answer["steps"]["last_completed"] == "look"


def test_enqueue_and_wait_for_a_failure(sidecar_command: Command) -> None:
    ended = sidecar_command("enqueue", "boom", "--queue", "work", "--payload", '"that"', "--wait")
    assert ended.code == ExitCode.FAILED
    assert "out.of.cheese: cannot do that" in ended.out


def test_payload_from_a_file_and_from_standard_input(sidecar_command: Command, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"from":"a file"}')
    line = ("--json", "enqueue", "echo", "--queue", "work", "--wait", "--payload")
    assert sidecar_command(*line, f"@{tmp_path}/input.json").answer["output"] == {"got": {"from": "a file"}}
    assert sidecar_command.process(*line, "-", stdin=b"[2]").answer["output"] == {"got": [2]}


def test_get_shows_one_execution(sidecar_command: Command) -> None:
    execution_id = sidecar_command.enqueue(
        "nobody", "--queue", "idle", "--request-id", "r-7", "--run-in", "1h"
    )
    found = sidecar_command("get", execution_id, "--json").answer
    assert (found["state"], found["request_id"], found["attempts"]) == ("queued", "r-7", 0)
    shown = sidecar_command("get", execution_id)
    assert shown.code == ExitCode.OK
    assert execution_id in shown.out
    assert "\x1b" not in shown.out


def test_list_filters_and_stops_at_the_limit(sidecar_command: Command) -> None:
    ids = [sidecar_command.enqueue("listed", "--queue", "idle") for _ in range(3)]
    found = sidecar_command("--json", "list", "--workflow", "listed", "--state", "queued", "--limit", "2")
    assert [each["execution_id"] for each in found.answer] == ids[:0:-1]
    one = sidecar_command("list", "--id", ids[0])
    assert [line.split()[:3] for line in one.out.splitlines()[1:]] == [[ids[0], "listed", "queued"]]


def test_cancel_what_is_queued_and_again(sidecar_command: Command) -> None:
    execution_id = sidecar_command.enqueue("nobody", "--queue", "idle")
    for _ in range(2):
        ended = sidecar_command("cancel", execution_id, "--reason", "not needed", "--json")
        assert (ended.code, ended.answer["settled"]) == (ExitCode.OK, True)
    assert sidecar_command("wait", execution_id).code == ExitCode.FAILED


def test_cancel_what_runs_and_watch_it_end(sidecar_command: Command) -> None:
    execution_id = sidecar_command.enqueue("sleepy", "--queue", "work")
    with subprocess.Popen(
        sidecar_command.line("--json", "watch", execution_id),
        env=sidecar_command.environment(),
        stdout=subprocess.PIPE,
    ) as watching:
        await_condition(
            lambda: sidecar_command("get", execution_id, "--json").answer["state"] == "running", "it runs", 20
        )
        assert sidecar_command("cancel", execution_id, "--grace", "10s").code == ExitCode.OK
        assert watching.stdout is not None
        lines = [json.loads(line) for line in watching.stdout]
        assert watching.wait(20) == ExitCode.FAILED
    versions = [line["version"] for line in lines]
    assert versions == sorted(set(versions))
    assert lines[-1]["state"] == "cancelled"


def test_what_has_ended_cannot_be_cancelled(sidecar_command: Command) -> None:
    ended = sidecar_command("--json", "enqueue", "echo", "--queue", "work", "--wait")
    refused = sidecar_command("--json", "cancel", ended.answer["execution_id"])
    assert (refused.code, refused.out) == (ExitCode.REFUSED, "")
    assert refused.problem["reason"] == "ALREADY_FINALIZED"
    assert refused.problem["execution"]["state"] == "succeeded"


def test_a_key_used_for_other_work_is_refused(sidecar_command: Command) -> None:
    line = ("enqueue", "nobody", "--queue", "idle", "--key", "k-1")
    first = sidecar_command(*line, "--json").answer
    assert sidecar_command(*line, "--json").answer == {**first, "existing": True}
    refused = sidecar_command(*line, "--payload", "other", "--json")
    assert (refused.code, refused.problem["reason"]) == (ExitCode.REFUSED, "IDEMPOTENCY_CONFLICT")


def test_what_is_not_there(sidecar_command: Command) -> None:
    for command in ("get", "wait", "watch", "trace", "cancel"):
        missing = sidecar_command("--json", command, "no-such")
        assert (missing.code, missing.problem["reason"]) == (ExitCode.NOT_FOUND, "EXECUTION_NOT_FOUND")
    here = sidecar_command.enqueue("nobody", "--queue", "idle")
    elsewhere = sidecar_command("--namespace", "other", "get", here)
    assert elsewhere.code == ExitCode.NOT_FOUND
    assert "--namespace" in elsewhere.err


def test_a_value_that_is_refused_is_named(sidecar_command: Command) -> None:
    refused = sidecar_command("--json", "enqueue", "nobody", "--id", "with space")
    assert refused.code == ExitCode.INVALID_ARGUMENT
    assert refused.problem["reason"] == "INVALID_ARGUMENT"
    assert refused.problem["metadata"]["field"] == "item.execution_id"
    assert "'with space'" in refused.problem["message"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("get",), "Missing argument 'ID'"),
        (("enqueue", "w", "--run-in", "soon"), "'soon' is not a duration"),
        (("enqueue", "w", "--payload", "@/no/such/file"), "cannot read '/no/such/file'"),
        (("list", "--state", "done"), "'done' is not a state"),
        (("nonsense",), "No such command"),
    ],
)
def test_a_wrong_command_line(sidecar_command: Command, line: tuple[str, ...], said: str) -> None:
    people, machines = sidecar_command(*line), sidecar_command(*line, "--json")
    assert people.code == machines.code == ExitCode.USAGE
    assert said in people.err
    assert said in machines.problem["message"]


def test_waiting_no_longer_than_asked(sidecar_command: Command) -> None:
    execution_id = sidecar_command.enqueue("nobody", "--queue", "idle")
    ended = sidecar_command("--json", "wait", execution_id, "--timeout", "300ms")
    assert (ended.code, ended.problem["reason"]) == (ExitCode.WAIT_TIMEOUT, "WAIT_TIMEOUT")
    assert execution_id in ended.problem["message"]


def test_no_sidecar() -> None:
    nobody = Command(address(free_port()))
    for command in ("get", "wait", "watch"):
        ended = nobody("--patience", "300ms", "--json", command, "e-1")
        assert (ended.code, ended.problem["reason"]) == (ExitCode.UNAVAILABLE, "UNAVAILABLE")
        assert nobody.target in ended.problem["message"]


def test_the_trace_of_an_execution(sidecar_command: Command) -> None:
    ended = sidecar_command("--json", "enqueue", "echo", "--queue", "work", "--wait")
    execution_id = ended.answer["execution_id"]
    tree = sidecar_command("trace", execution_id).out
    assert [line.lstrip(" │├└─").split("  ")[0] for line in tree.splitlines()[1:]] == [
        "send work",
        "process work (attempt 1)",
        "look",
        "execution echo",
    ]
    assert "\x1b" not in tree
    found = sidecar_command("--json", "trace", execution_id).answer
    names = [span["name"] for span in found["spans"]]
    assert sorted(names) == ["execution echo", "look", "process work", "send work"]


def test_the_account(sidecar_command: Command) -> None:
    assert sidecar_command("enqueue", "echo", "--queue", "work", "--wait").code == ExitCode.OK
    ended = sidecar_command("--json", "verify", "--all-namespaces")
    account = ended.answer["account"]
    assert (ended.code, ended.answer["ok"], ended.answer["violations"]) == (ExitCode.OK, True, [])
    assert account.pop("terminal") == sum(account.values()) > 0
    assert "terminal executions = delivered + pending" in " ".join(sidecar_command("verify").out.split())


def test_an_interrupt(sidecar_command: Command) -> None:
    execution_id = sidecar_command.enqueue("sleepy", "--queue", "work")
    with subprocess.Popen(
        sidecar_command.line("watch", execution_id),
        env=sidecar_command.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (ExitCode.INTERRUPTED, b"")
    assert sidecar_command("cancel", execution_id).code == ExitCode.OK


def test_serve_names_a_bad_setting() -> None:
    ended = Command("").process("serve", "--listen", "0.0.0.0:1")
    assert ended.code == ExitCode.USAGE
    assert "can be reached from other machines" in ended.err
    ttl = subprocess.run(
        [sys.executable, "-m", "sidecar", "--json", "serve"],
        env={**Command("").environment(), "SIDECAR_LEASE_TTL": "soon"},
        capture_output=True,
    )
    assert ttl.returncode == ExitCode.USAGE
    assert "SIDECAR_LEASE_TTL must be a duration" in json.loads(ttl.stderr)["message"]


def test_without_the_server_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from sidecar.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], env=Command("").environment(), capture_output=True)
    assert ended.returncode == 1
    assert b"pip install 'execution-sidecar[server]' (missing: typer)" in ended.stderr


def test_help_has_the_exit_codes(sidecar_command: Command) -> None:
    ended = sidecar_command.process("--help")
    assert ended.code == ExitCode.OK
    assert "130  interrupted" in ended.out
