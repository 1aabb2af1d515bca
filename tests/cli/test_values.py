"""Values from the command line: accepted as documented, refused with what to do."""

import io
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import typer

from sidecar.cli import documents, exit_codes, values
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.problems import problem_of
from sidecar.cli.versioning import has_wal_reset_fix, versions
from sidecar.client import NotFoundError, State, TimedOutError
from tests.cli import samples


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("2", 2), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert values.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "5 minutes", "1e400d", "9" * 30 + "d"])
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a duration such as"):
        values.duration(text)


def test_states_by_name() -> None:
    assert values.state("Running") is State.RUNNING
    with pytest.raises(typer.BadParameter, match="'done' is not a state; there are: queued"):
        values.state("done")


def test_payloads_from_text_file_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"\xff\x00")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from outside")))
    assert values.payload(None) == (None, None)
    assert values.payload('{"a": 1}') == (b'{"a": 1}', "application/json")
    assert values.payload(f"@{file}") == (b"\xff\x00", "application/octet-stream")
    assert values.payload("-") == (b"from outside", "text/plain; charset=utf-8")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"cannot read .*absent': No such file"):
        values.payload(f"@{tmp_path / 'absent'}")


def test_every_exit_code_is_explained() -> None:
    assert set(exit_codes.MEANINGS) == set(ExitCode)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (NotFoundError("no", reason="EXECUTION_NOT_FOUND"), ExitCode.NOT_FOUND, "EXECUTION_NOT_FOUND"),
        (TimedOutError("no answer"), ExitCode.UNAVAILABLE, "UNKNOWN"),
        (TimeoutError("execution e is still running"), ExitCode.WAIT_TIMEOUT, "WAIT_TIMEOUT"),
        (typer.BadParameter("no"), ExitCode.USAGE, "USAGE"),
    ],
)
def test_errors_become_exit_codes(error: Exception, code: ExitCode, reason: str) -> None:
    problem = problem_of(error, "127.0.0.1:1")
    assert problem is not None
    assert (problem.exit_code, problem.reason) == (code, reason)
    assert problem.advice


def test_a_bug_is_not_dressed_up_as_a_problem() -> None:
    assert problem_of(ZeroDivisionError("bug"), "anywhere") is None


def test_an_execution_as_a_document() -> None:
    document = json.loads(documents.text(documents.execution(samples.execution(State.FAILED))))
    assert document["execution_id"] == "e-1"
    assert document["state"] == "failed"
    assert document["error"] == {"type": "timeout", "message": "over [2 s]", "stack": ""}
    assert document["accepted_at"] == "2026-11-22T20:00:00.123000Z"
    assert document["finalized_at"] is None
    assert document["output"] == {"a": 1}


def test_outputs_that_are_not_json_stay_whole() -> None:
    document = documents.execution(samples.execution(output=b"\x00\xff", output_content_type="image/png"))
    assert (document["output"], document["output_base64"]) == (None, "AP8=")
    broken = documents.execution(samples.execution(output=b"{"))
    assert (broken["output"], broken["output_base64"]) == (None, "ew==")


@pytest.mark.parametrize(
    ("release", "fixed"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
    ],
)
def test_sqlite_releases_with_the_fix(release: tuple[int, ...], *, fixed: bool) -> None:
    assert has_wal_reset_fix(release) is fixed


def test_versions() -> None:
    found = versions()
    assert set(found) == {"version", "python", "sqlite", "sqlite_wal_reset_fix"}
