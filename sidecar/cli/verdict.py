"""What the end of a command means: the settlement that the sidecar is told, and the wrapper's exit code."""

import os
import shutil
import signal
from collections.abc import Sequence
from typing import Final

from sidecar.cli.commanding import Ended, Stop
from sidecar.client import content
from sidecar.client.failures import plain
from sidecar.conventions import names
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work

EXIT_DEADLINE: Final = 124
EXIT_NOT_EXECUTABLE: Final = 126
EXIT_NOT_FOUND: Final = 127
EXIT_SIGNAL: Final = 128


def exit_code(ended: Ended, arguments: Sequence[str]) -> int:
    """Return what a shell would: the command's own, 128 and a signal's number, 126 or 127; 124 at a deadline.

    Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02
    """
    if ended.problem is not None:
        return EXIT_NOT_FOUND if _is_absent(ended.problem, arguments) else EXIT_NOT_EXECUTABLE
    if ended.status is None:
        return EXIT_SIGNAL + ended.early
    if ended.stop is not None and not ended.stop.cancelled:
        return EXIT_DEADLINE
    return ended.status if ended.status >= 0 else EXIT_SIGNAL - ended.status


def settlement(ended: Ended, arguments: Sequence[str]) -> work.Settlement:
    """Return how the execution ended, without the lease that proves it."""
    if ended.problem is not None:
        absent = _is_absent(ended.problem, arguments)
        kind = names.TYPE_COMMAND_NOT_FOUND if absent else names.TYPE_NOT_EXECUTABLE
        return _failed(ended, kind, f"{arguments[0]}: {ended.problem.strerror or ended.problem}")
    if ended.status is None:
        return _failed(
            ended, names.TYPE_SIGNAL, f"{_signal(ended.early)} came before the command was started"
        )
    if ended.stop is not None:
        return _stopped(ended, ended.stop)
    if ended.status < 0:
        return _failed(ended, names.TYPE_SIGNAL, f"command was ended by {_signal(-ended.status)}")
    if ended.status > 0:
        return _failed(ended, names.TYPE_EXIT_CODE, f"command exited with {ended.status}")
    output, content_type = content.encode({"exit_code": 0})
    return work.Settlement(succeeded=work.Succeeded(output=output, content_type=content_type))


def _stopped(ended: Ended, stop: Stop) -> work.Settlement:
    if stop.cancelled:
        return work.Settlement(cancelled=work.Cancelled(reason=plain(stop.reason, 4_096)))
    killed = ended.status == -signal.SIGKILL
    how = "was killed after its grace" if killed else "gave way to SIGTERM"
    return _failed(ended, names.TYPE_TIMEOUT, f"command passed its deadline and {how}")


def _failed(ended: Ended, kind: str, message: str) -> work.Settlement:
    """Return a failure for good: nobody else would begin another attempt."""
    said = f"{message}\n{ended.tail}" if ended.tail else message
    error = pb.ExecutionError(type=kind, message=plain_lines(said))
    return work.Settlement(failed=work.Failed(error=error, final=True))


def plain_lines(text: str) -> str:
    """Return lines that any store can hold."""
    return "\n".join(plain(line, 8_192) for line in text.splitlines())


def _is_absent(problem: OSError, arguments: Sequence[str]) -> bool:
    """Return whether there is no such command; one whose interpreter is missing is there."""
    there = os.path.exists(arguments[0]) if os.sep in arguments[0] else shutil.which(arguments[0])
    return isinstance(problem, FileNotFoundError) and not there


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
