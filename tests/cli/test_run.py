"""`sidecar run`: a command's end is recorded whatever becomes of it, and is the wrapper's own; SCH-5."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.client import Execution, State, SyncClient
from tests.cli.wrapping import PATIENCE, Done, Wrapper, await_gone
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition

pytestmark = pytest.mark.e2e

ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
COUNTS_INTERRUPTS = """
import os, signal, time
count = 0
def interrupted(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, interrupted)
assert os.isatty(0) and input() == "hello"
print("ready", flush=True)
while not count:
    time.sleep(0.05)
time.sleep(1)
raise SystemExit(40 + count)
"""
TRACE, SPAN = "ab" * 16, "cd" * 8
READY = "echo ready; "
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """A sidecar whose leases are short, so that heartbeats are often and silence is soon noticed."""
    folder = tmp_path_factory.mktemp("run")
    with SidecarProcess(folder, SIDECAR_LEASE_TTL="3s", SIDECAR_REAP_PERIOD="100ms") as running:
        yield running


@pytest.fixture
def client(sidecar: SidecarProcess) -> Iterator[SyncClient]:
    with SyncClient(sidecar.target) as opened:
        yield opened


@pytest.fixture
def wrapper(sidecar: SidecarProcess, tmp_path: Path) -> Wrapper:
    return Wrapper(sidecar.target, tmp_path / "spool")


@pytest.fixture
def id_() -> str:
    return str(uuid.uuid4())


def error_of(record: Execution) -> tuple[str, str]:
    assert record.error is not None, record
    return record.error.type, record.error.message


def test_a_command_that_succeeds(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    done = wrapper.run("--workflow", "nightly", "--id", id_, "--request-id", "r1", "--", "true")
    assert done == Done(0, b"", b"")
    record = client.get(id_)
    assert (record.state, record.value()) == (State.SUCCEEDED, {"exit_code": 0})
    ids = record.correlation
    assert (ids.workflow_id, ids.request_id, ids.trigger_type) == ("nightly", "r1", "command")
    assert not list(wrapper.spool.iterdir())
    process = next(span for span in client.trace(id_).spans if span.name.startswith("process"))
    assert process.service == "nightly"


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        ("exit 3", 3, ("exit_code", "command exited with 3")),
        ("exit 255", 255, ("exit_code", "command exited with 255")),
        ("kill -KILL $$", 137, ("signal", "command was ended by SIGKILL")),
        ("kill -SEGV $$", 139, ("signal", "command was ended by SIGSEGV")),
    ],
)
def test_a_command_that_fails(
    wrapper: Wrapper, client: SyncClient, id_: str, line: str, code: int, expected: tuple[str, str]
) -> None:
    done = wrapper.run("--id", id_, "--", "sh", "-c", line)
    assert (done.code, done.err) == (code, "")
    record = client.get(id_)
    assert (record.state, error_of(record)) == (State.FAILED, expected)
    assert record.correlation.workflow_id == "sh", "named after the command"


def test_a_command_that_cannot_be_started(
    wrapper: Wrapper, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    plain, orphan = tmp_path / "plain", tmp_path / "orphan"
    plain.write_text("text")
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    cases = [("/no/such", 127, "command_not_found"), ("nosuchcommand", 127, "command_not_found")]
    cases += [(str(plain), 126, "not_executable"), (str(orphan), 126, "not_executable")]
    for number, (command, code, kind) in enumerate(cases):
        done = wrapper.run("--id", f"{id_}-{number}", "--", command)
        assert (done.code, command in done.err, done.err.count("\n")) == (code, True, 1)
        assert error_of(client.get(f"{id_}-{number}"))[0] == kind


def test_input_and_output_pass_through_untouched(wrapper: Wrapper, id_: str) -> None:
    data = bytes(range(256)) * 1_000
    script = "cat; printf 'on \\377 stderr' >&2"
    done = wrapper.run("--id", id_, "--", "sh", "-c", script, stdin=data)
    assert done == Done(0, data, b"on \xff stderr")


def test_arguments_are_the_commands_own(wrapper: Wrapper) -> None:
    done = wrapper.run("--", "printf", "%s|", "--json", "--id", "-x", "a b", "")
    assert done.out == b"--json|--id|-x|a b||"


def test_the_end_of_stderr_is_kept_with_a_failure(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    script = "seq 1 5000 >&2; printf 'the \\001 last \\377' >&2; exit 4"
    done = wrapper.run("--id", id_, "--output-lines", "3", "--", "sh", "-c", script)
    assert done.code == 4
    assert done.raw_err == "".join(f"{n}\n" for n in range(1, 5_001)).encode() + b"the \x01 last \xff"
    _, message = error_of(client.get(id_))
    assert message == "command exited with 4\n4999\n5000\nthe   last �"


def test_who_keeps_stderr_open_does_not_hold_the_wrapper(wrapper: Wrapper, id_: str) -> None:
    done = wrapper.start("--id", id_, "--output-lines", "3", "--", "sh", "-c", "sleep 300 & echo $!; exit 5")
    with done as running:
        assert running.process.stdout
        pid = int(running.process.stdout.readline())
        assert running.process.wait(PATIENCE) == 5
        os.kill(pid, signal.SIGKILL)


def test_a_command_gives_way_at_its_deadline(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    """RUN-5: a timeout is a failure."""
    done = wrapper.run("--id", id_, "--timeout", "500ms", "--", "sleep", "300")
    assert done.code == 124
    record = client.get(id_)
    assert error_of(record) == ("timeout", "command passed its deadline and gave way to SIGTERM")
    assert record.state is State.FAILED


def test_a_command_that_does_not_give_way_is_killed_with_all_that_it_started(
    wrapper: Wrapper, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    script = f"trap '' TERM; sleep 300 & echo $! > {tmp_path}/pid; wait; wait; sleep 300"
    done = wrapper.run("--id", id_, "--timeout", "1s", "--grace", "300ms", "--", "sh", "-c", script)
    assert done.code == 124
    assert error_of(client.get(id_)) == (
        "timeout",
        "command passed its deadline and was killed after its grace",
    )
    await_gone(int((tmp_path / "pid").read_text()))


def test_what_a_stopped_command_left_behind_has_the_rest_of_the_grace(
    wrapper: Wrapper, tmp_path: Path
) -> None:
    tidy = f"trap 'sleep 0.5; echo tidied > {tmp_path}/tidy; exit' TERM; sleep 300 & wait"
    script = f'sh -c "{tidy}" > /dev/null 2>&1 & sleep 300'
    done = wrapper.run("--timeout", "1s", "--grace", "20s", "--", "sh", "-c", script)
    assert done.code == 124
    assert (tmp_path / "tidy").read_text() == "tidied\n"


def test_what_a_stopped_command_left_behind_is_killed_after_the_grace(
    wrapper: Wrapper, tmp_path: Path
) -> None:
    (tmp_path / "stubborn").write_text(STUBBORN)
    stubborn = f"{sys.executable} {tmp_path}/stubborn > {tmp_path}/out 2>&1"
    script = f"{stubborn} & echo $! > {tmp_path}/pid; sleep 300"
    done = wrapper.run("--timeout", "2s", "--grace", "500ms", "--", "sh", "-c", script)
    assert done.code == 124
    assert (tmp_path / "out").read_text() == "ready\n"
    await_gone(int((tmp_path / "pid").read_text()))


def test_a_cancellation_stops_the_command(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    """CAN-1: it reaches the wrapper with a heartbeat."""
    with wrapper.start("--id", id_, "--", "sh", "-c", f"{READY} exec sleep 300") as running:
        running.says(b"ready")
        assert not client.cancel(id_, "not needed").settled
        done = running.end()
    assert (done.code, done.err) == (143, "")
    record = client.get(id_)
    assert (record.state, record.cancel_reason) == (State.CANCELLED, "not needed")


def test_a_command_that_does_not_heed_a_cancellation_is_killed(
    wrapper: Wrapper, client: SyncClient, id_: str
) -> None:
    with wrapper.start("--id", id_, "--grace", "300ms", "--", sys.executable, "-c", STUBBORN) as running:
        running.says(b"ready")
        client.cancel(id_)
        assert running.end().code == 137
    assert client.get(id_).state is State.CANCELLED


def test_a_run_under_an_id_that_has_ended_is_told_so_and_runs(wrapper: Wrapper, id_: str) -> None:
    """The wrapper stands in nobody's way, unless it is asked to."""
    named = ("--workflow", "w", "--id", id_)
    wrapper.run(*named, "--", "true")
    again = wrapper.run(*named, "--", "echo", "ran")
    assert (again.code, again.out) == (0, b"ran\n")
    assert again.err.startswith("sidecar run: this run is not recorded: ")
    assert "is SUCCEEDED already" in again.err
    refused = wrapper.run(*named, "--require-sidecar", "--", "echo", "ran")
    assert (refused.code, refused.out) == (4, b"")
    assert "[ALREADY_FINALIZED]" in refused.err


def test_a_key_is_recorded_once(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    """COR-4."""
    key = f"k-{uuid.uuid4()}"
    wrapper.run("--id", id_, "--key", key, "--workflow", "w", "--", "false")
    again = wrapper.run("--key", key, "--workflow", "w", "--require-sidecar", "--", "echo", "ran")
    assert (again.code, again.out) == (4, b"")
    assert client.get(id_).attempts == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_wrapper_is_the_commands(
    wrapper: Wrapper, client: SyncClient, id_: str, number: signal.Signals
) -> None:
    with wrapper.start("--id", id_, "--", "sh", "-c", f"{READY} exec sleep 300") as running:
        running.says(b"ready")
        running.send(number)
        assert running.end().code == 128 + number
    assert error_of(client.get(id_)) == ("signal", f"command was ended by {number.name}")


def test_a_command_that_takes_a_signal_well_succeeded(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    script = f"trap 'exit 0' TERM; {READY} while :; do sleep 0.1; done"
    with wrapper.start("--id", id_, "--", "sh", "-c", script) as running:
        running.says(b"ready")
        running.send(signal.SIGTERM)
        assert running.end().code == 0
    assert client.get(id_).state is State.SUCCEEDED


SHOW = "echo $SIDECAR_EXECUTION_ID,$SIDECAR_REQUEST_ID,$TRACEPARENT,$TRACESTATE,$BAGGAGE"


def test_the_attempts_context_reaches_the_command(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    """Invariant 4: what the command traces is in the execution's trace, under its attempt."""
    done = wrapper.run("--id", id_, "--request-id", "r7", "--", "sh", "-c", SHOW)
    execution_id, request_id, traceparent, *_ = done.out.decode().strip().split(",")
    assert (execution_id, request_id) == (id_, "r7")
    found = client.trace(id_)
    process = next(span for span in found.spans if span.name.startswith("process"))
    assert traceparent.split("-")[1:3] == [found.trace_id, process.span_id]


def test_the_callers_context_is_the_parent(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    done = wrapper.run(
        "--id", id_, "--", "sh", "-c", SHOW,
        TRACEPARENT=f"00-{TRACE}-{SPAN}-01", TRACESTATE="a=1,2b@c=x", BAGGAGE="tenant=t1;p=q",
        SIDECAR_EXECUTION_ID="outer",
    )  # fmt: skip
    _, _, traceparent, rest = done.out.decode().strip().split(",", 3)
    assert traceparent.startswith(f"00-{TRACE}-")
    assert SPAN not in traceparent
    assert rest == "a=1,2b@c=x,tenant=t1;p=q"
    found = client.trace(id_)
    send = next(span for span in found.spans if span.name.startswith("send"))
    assert (found.trace_id, send.parent_span_id) == (TRACE, SPAN)


def test_a_wrapper_that_is_killed_leaves_a_failure(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    """RUN-3: the reaper notices its silence."""
    with wrapper.start("--id", id_, "--", "sh", "-c", "echo $$; exec sleep 300") as running:
        assert running.process.stdout
        pid = int(running.process.stdout.readline())
        running.send(signal.SIGKILL)
        record = client.wait(id_, PATIENCE)
        os.kill(pid, signal.SIGKILL)
    assert (record.state, error_of(record)[0]) == (State.FAILED, "lease_expired")


def test_heartbeats_keep_a_long_command_alive(
    wrapper: Wrapper, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    script = f"{READY} while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
    with wrapper.start("--id", id_, "--", "sh", "-c", script) as running:
        running.says(b"ready")
        version = client.get(id_).version
        await_condition(lambda: client.get(id_).version >= version + 4, "four heartbeats", PATIENCE)
        (tmp_path / "go").touch()
        assert running.end().code == 0
    record = client.get(id_)
    assert (record.state, record.attempts) == (State.SUCCEEDED, 1)


def test_a_cancellation_that_the_sidecar_settled_itself_stops_the_command(
    wrapper: Wrapper, client: SyncClient, id_: str
) -> None:
    """The wish was over before a heartbeat could bring it."""
    with wrapper.start("--id", id_, "--", "sh", "-c", f"{READY} exec sleep 300") as running:
        running.says(b"ready")
        client.cancel(id_, grace=timedelta(microseconds=1))
        assert client.wait(id_, PATIENCE).state is State.CANCELLED
        done = running.end()
    assert (done.code, done.err) == (143, "")


def test_a_wrapper_that_slept_too_long_says_what_became_of_its_record(
    wrapper: Wrapper, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    """FIN-3: the first settlement stands, and the command is left alone."""
    script = f"{READY} while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; echo done"
    with wrapper.start("--id", id_, "--", "sh", "-c", script) as running:
        running.says(b"ready")
        running.send(signal.SIGSTOP)
        assert error_of(client.wait(id_, PATIENCE))[0] == "lease_expired"
        (tmp_path / "go").touch()
        running.send(signal.SIGCONT)
        done = running.end()
    assert (done.code, done.out) == (0, b"done\n")
    assert f"execution {id_} was settled as failed (lease_expired)" in done.err
    assert not list(wrapper.spool.iterdir())


def test_on_a_terminal_the_command_has_it(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    """It reads from it, and Ctrl-C is the command's, once."""
    wrapped = wrapper.line("run", "--id", id_, "--", sys.executable, "-c", COUNTS_INTERRUPTS)
    line = [sys.executable, "-c", ON_A_TERMINAL, *wrapped]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, env=wrapper.environment(), stdin=pipe, stdout=pipe) as terminal:
        assert terminal.stdin
        assert terminal.stdout
        terminal.stdin.write(b"hello\n")
        terminal.stdin.flush()
        while b"ready" not in (heard := terminal.stdout.readline()):
            assert heard
        terminal.stdin.write(b"\x03")
        terminal.stdin.flush()
        assert terminal.wait(PATIENCE) == 41
    assert error_of(client.get(id_)) == ("exit_code", "command exited with 41")


def test_leftovers_are_told_beside_the_next_run(wrapper: Wrapper, client: SyncClient, id_: str) -> None:
    away = Wrapper("127.0.0.1:1", wrapper.spool)
    assert away.run("--id", id_, "--", "sh", "-c", "exit 3").code == 3
    (left,) = wrapper.spool.iterdir()
    left.write_text(left.read_text().replace("127.0.0.1:1", wrapper.target))
    (wrapper.spool / "torn.json").write_text("{")
    done = wrapper.run("--", "true")
    assert (done.code, "torn.json.bad was set aside: not a spooled" in done.err) == (0, True)
    assert error_of(client.get(id_)) == ("exit_code", "command exited with 3")
    await_condition(lambda: not left.exists(), "the file is gone", PATIENCE)


def test_a_command_line_without_a_command_is_refused(wrapper: Wrapper) -> None:
    assert wrapper.run("--workflow", "w").code == 2
