"""`sidecar run` while the sidecar is away, for the whole of a run or a part of it; SCH-5 and EXT-6."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.client import Execution, State, SyncClient
from tests.cli.wrapping import PATIENCE, Wrapper
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition

pytestmark = pytest.mark.e2e

READY = "echo ready; "


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[SidecarProcess]:
    """One that is not started yet."""
    folder = tmp_path / "sidecar"
    folder.mkdir()
    made = SidecarProcess(folder, SIDECAR_LEASE_TTL="3s", SIDECAR_REAP_PERIOD="100ms")
    yield made
    made.kill()


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


def until(path: Path) -> str:
    """Return a script that goes on until a file is there."""
    return f"{READY} while [ ! -e {path} ]; do sleep 0.1; done"


def error_type(record: Execution) -> str:
    assert record.error is not None, record
    return record.error.type


def files(wrapper: Wrapper) -> list[Path]:
    return sorted(wrapper.spool.iterdir())


def test_a_run_that_no_sidecar_saw_is_kept_and_told_later(
    wrapper: Wrapper, sidecar: SidecarProcess, client: SyncClient, id_: str
) -> None:
    before = datetime.now(UTC)
    done = wrapper.run("--id", id_, "--workflow", "nightly", "--", "sh", "-c", "echo out; exit 3")
    assert (done.code, done.out) == (3, b"out\n")
    assert done.err.startswith(f"sidecar run: not told to the sidecar at {wrapper.target}, kept in ")
    assert done.err.count("\n") == 1
    listed = json.loads(wrapper.command("--json", "spool").out)
    (kept,) = listed["executions"]
    assert (kept["execution_id"], kept["workflow_id"], kept["what"]) == (id_, "nightly", "failed")
    assert (listed["files"], listed["bytes"]) == (1, files(wrapper)[0].stat().st_size)
    away = wrapper.command("spool", "flush")
    assert (away.code, b"0 told, 1 left" in away.out) == (5, True)
    after = datetime.now(UTC)
    sidecar.start()
    flushed = wrapper.command("spool", "flush")
    assert (flushed.code, flushed.out) == (0, b"1 told, 0 left, 0 set aside\n")
    record = client.get(id_)
    assert (record.state, error_type(record)) == (State.FAILED, "exit_code")
    assert record.accepted_at is not None
    assert record.started_at is not None
    slack = timedelta(seconds=2)
    assert before - slack <= record.accepted_at <= record.started_at <= after
    assert b"0 files, 0 bytes" in wrapper.command("spool").out


def test_a_sidecar_that_comes_during_the_run_learns_of_it_then(
    wrapper: Wrapper, sidecar: SidecarProcess, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    with wrapper.start("--id", id_, "--", "sh", "-c", until(tmp_path / "go")) as running:
        running.says(b"ready")
        (held,) = json.loads(wrapper.command("--json", "spool").out)["executions"]
        assert held["what"] == "running"
        sidecar.start()
        assert wrapper.command("spool", "flush").out == b"0 told, 0 left, 0 set aside\n", (
            "it is the run's own"
        )
        await_condition(lambda: is_running(client, id_), "the run is known", PATIENCE)
        (tmp_path / "go").touch()
        assert running.end().code == 0
    assert (client.get(id_).state, client.get(id_).attempts) == (State.SUCCEEDED, 1)
    assert files(wrapper) == []


def is_running(client: SyncClient, execution_id: str) -> bool:
    found = list(client.list(execution_ids=[execution_id]))
    return bool(found) and found[0].state is State.RUNNING


def test_a_sidecar_that_dies_and_comes_back_during_the_run(
    wrapper: Wrapper, sidecar: SidecarProcess, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    sidecar.start()
    with wrapper.start("--id", id_, "--", "sh", "-c", until(tmp_path / "go")) as running:
        running.says(b"ready")
        sidecar.kill()
        sidecar.start()
        version = client.get(id_).version
        await_condition(lambda: client.get(id_).version > version, "a heartbeat", PATIENCE)
        (tmp_path / "go").touch()
        done = running.end()
    assert (done.code, done.err) == (0, "")
    assert (client.get(id_).state, client.get(id_).attempts) == (State.SUCCEEDED, 1)


def test_a_sidecar_that_died_is_told_the_end_when_it_is_back(
    wrapper: Wrapper, sidecar: SidecarProcess, client: SyncClient, tmp_path: Path, id_: str
) -> None:
    """EXT-6: a finished settlement is kept, always."""
    sidecar.start()
    with wrapper.start("--id", id_, "--", "sh", "-c", f"{until(tmp_path / 'go')}; exit 4") as running:
        running.says(b"ready")
        sidecar.kill()
        (tmp_path / "go").touch()
        done = running.end()
    assert (done.code, "not told to the sidecar" in done.err) == (4, True)
    sidecar.settings["SIDECAR_LEASE_TTL"] = "30s"
    sidecar.start()
    next_run = wrapper.run("--", "true")
    assert (next_run.code, next_run.err) == (0, "")
    record = client.get(id_)
    assert (record.state, error_type(record), record.attempts) == (State.FAILED, "exit_code", 1)


def test_a_wrapper_that_was_killed_while_the_sidecar_was_away(
    wrapper: Wrapper, sidecar: SidecarProcess, client: SyncClient, id_: str
) -> None:
    """That it began is on disk before the command runs."""
    with wrapper.start("--id", id_, "--", "sh", "-c", "echo $$; exec sleep 300") as running:
        assert running.process.stdout
        command = int(running.process.stdout.readline())
        running.send(signal.SIGKILL)
        running.process.wait(PATIENCE)
        os.kill(command, signal.SIGKILL)
    (left,) = json.loads(wrapper.command("--json", "spool").out)["executions"]
    assert left["what"] == "broken off"
    sidecar.start()
    assert wrapper.command("spool", "flush").code == 0
    record = client.wait(id_, PATIENCE)
    assert (record.state, error_type(record)) == (State.FAILED, "lease_expired")


@pytest.mark.parametrize("full", [False, True])
def test_a_spool_that_takes_nothing_stops_no_command(wrapper: Wrapper, tmp_path: Path, full: bool) -> None:
    spool = tmp_path / "spool"
    if full:
        spool.mkdir()
        for number in range(1_000):
            (spool / f"{number}.json").touch()
    else:
        spool.write_text("in the way")
    done = wrapper.run("--", "sh", "-c", "exit 3")
    assert done.code == 3
    assert all(
        line.startswith("sidecar run: nothing can be kept for later: ") for line in done.err.splitlines()
    )
    assert ("is full: 1000 files" if full else "cannot be written") in done.err


def test_who_requires_a_sidecar_runs_nothing_without_one(wrapper: Wrapper) -> None:
    done = wrapper.run("--require-sidecar", "--", "echo", "ran")
    assert (done.code, done.out) == (5, b"")
    assert "no sidecar answers" in done.err
    assert not wrapper.spool.exists()


def test_the_callers_context_stays_with_a_command_that_nobody_recorded(wrapper: Wrapper, id_: str) -> None:
    script = "echo $SIDECAR_EXECUTION_ID $SIDECAR_REQUEST_ID $TRACEPARENT"
    traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    done = wrapper.run("--id", id_, "--", "sh", "-c", script, TRACEPARENT=traceparent)
    assert done.out.decode().split() == [id_, id_, traceparent]
    (path,) = files(wrapper)
    carrier = json.loads(path.read_text())["commands"][0]["register"]["item"]["carrier"]
    assert carrier == {"traceparent": traceparent}


def test_a_spool_of_another_place_is_listed_and_flushed(wrapper: Wrapper, tmp_path: Path) -> None:
    other = tmp_path / "other"
    wrapper.run("--spool", str(other), "--", "true")
    assert not wrapper.spool.exists()
    assert b"1 file" in wrapper.command("spool", "--spool", str(other)).out
    left = wrapper.command("spool", "--spool", str(other), "flush")
    assert (left.code, b"0 told, 1 left, 0 set aside" in left.out) == (5, True)
