"""What the command's exit says: one table, shown by `sidecar --help` and kept by tests."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """The exit code of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    WAIT_TIMEOUT = 6
    INVALID_ARGUMENT = 7
    FORCED = 8
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "the execution did not succeed, verify found violations, or an unexpected error",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.NOT_FOUND: "no such execution in this namespace",
    ExitCode.REFUSED: "refused: in conflict, already finalized, or not permitted",
    ExitCode.UNAVAILABLE: "the sidecar or its store cannot be reached",
    ExitCode.WAIT_TIMEOUT: "the time to wait was up first",
    ExitCode.INVALID_ARGUMENT: "a value was refused; the message names it",
    ExitCode.FORCED: "serve only: ended before its drain was over",
    ExitCode.INTERRUPTED: "interrupted",
}


def table() -> str:
    """Return the exit codes as lines of text."""
    return "\n".join(f"{code.value:>4}  {meaning}" for code, meaning in MEANINGS.items())
