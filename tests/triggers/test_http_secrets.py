"""Secrets at use: read where they stand, read anew when they rotate, and never taken for what they were."""

import asyncio
import os
from pathlib import Path

import pytest

from sidecar.triggers.secrets import KEPT_SECONDS, MAX_FILE_BYTES, Secrets


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> int:
        return int(self.seconds * 1e9)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def secrets(watch: Watch) -> Secrets:
    return Secrets({"HOOK_SECRET": "from-the-environment", "EMPTY": ""}, watch)


def read(secrets: Secrets, *written: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = asyncio.run(secrets.resolve(written))
    return found.texts, found.missing


def test_texts_stand_for_themselves_and_references_for_what_they_name(
    secrets: Secrets, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file\n")
    written = ("as written", f"file:{file}", "env:HOOK_SECRET", "environment:no", "ENV:no")
    expected = ("as written", "from-a-file", "from-the-environment", "environment:no", "ENV:no")
    assert read(secrets, *written) == (expected, ())


@pytest.mark.parametrize(
    ("held", "secret"),
    [(b"a\n\n", "a\n"), (b"a\r\n", "a"), (b"a\r", "a\r"), (b" a ", " a "), ("ä\n".encode(), "ä")],
)
def test_one_newline_at_the_end_is_the_files_not_the_secrets(
    secrets: Secrets, tmp_path: Path, held: bytes, secret: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(held)
    assert read(secrets, f"file:{file}") == ((secret,), ())


def test_a_file_that_was_exchanged_counts_within_two_seconds(
    secrets: Secrets, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    assert read(secrets, f"file:{file}") == (("first",), ())
    file.write_text("second")
    watch.seconds += KEPT_SECONDS
    assert read(secrets, f"file:{file}") == (("second",), ())
    file.unlink()
    watch.seconds += KEPT_SECONDS
    assert read(secrets, f"file:{file}") == ((), (f"file:{file}",))


def test_within_the_two_seconds_a_file_is_not_read_again(
    secrets: Secrets, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    read(secrets, f"file:{file}")
    file.write_text("second")
    watch.seconds += KEPT_SECONDS / 2
    assert read(secrets, f"file:{file}") == (("first",), ())


def test_what_cannot_be_read_is_missing_and_harms_nothing_else(secrets: Secrets, tmp_path: Path) -> None:
    empty, large, binary, pipe = (tmp_path / name for name in ("empty", "large", "binary", "pipe"))
    empty.write_text("\n")
    large.write_bytes(b"a" * (MAX_FILE_BYTES + 1))
    binary.write_bytes(b"\xff\xfe")
    os.mkfifo(pipe)
    bad = [f"file:{path}" for path in (tmp_path / "nothing", tmp_path, empty, large, binary, pipe)]
    bad += ["env:EMPTY", "env:ABSENT", "env:", "file:", "file:relative", "file:/a\0b"]
    assert read(secrets, *bad, "env:HOOK_SECRET") == (("from-the-environment",), tuple(bad))


def test_no_secret_shows_in_what_is_printed(secrets: Secrets) -> None:
    assert "environment" not in repr(asyncio.run(secrets.resolve(["env:HOOK_SECRET"])))
