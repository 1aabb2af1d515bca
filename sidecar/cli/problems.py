"""Whatever goes wrong, as one kind of answer: a reason, what was wrong, what to do, the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import typer

from sidecar.cli.exit_codes import ExitCode
from sidecar.client import (
    AlreadyFinalizedError,
    ConflictError,
    Execution,
    ExhaustedError,
    InvalidArgumentError,
    LeaseLostError,
    NotFoundError,
    PermissionDeniedError,
    SidecarError,
    UnavailableError,
)

_CODES: Final[Mapping[type[SidecarError], ExitCode]] = {
    NotFoundError: ExitCode.NOT_FOUND,
    ConflictError: ExitCode.REFUSED,
    AlreadyFinalizedError: ExitCode.REFUSED,
    LeaseLostError: ExitCode.REFUSED,
    PermissionDeniedError: ExitCode.REFUSED,
    UnavailableError: ExitCode.UNAVAILABLE,
    ExhaustedError: ExitCode.UNAVAILABLE,
    InvalidArgumentError: ExitCode.INVALID_ARGUMENT,
}

_ADVICE: Final[Mapping[ExitCode, str]] = {
    ExitCode.NOT_FOUND: "check the id and --namespace; `sidecar list` shows what there is",
    ExitCode.UNAVAILABLE: "start one with `sidecar serve`, or name another with --target or SIDECAR_TARGET",
    ExitCode.WAIT_TIMEOUT: "wait longer with --timeout, or look at it with `sidecar get`",
}


_BY_REASON: Final[Mapping[str, str]] = {
    "STORE_UNAVAILABLE": "the sidecar is up, its store is not: look at the sidecar's log, then repeat",
    "OVERLOADED": "the sidecar is up and busy: repeat in a moment",
    "SCHEDULE_NOT_FOUND": "check the id and --namespace; `sidecar schedule list` shows what there is",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the command tells it."""

    exit_code: ExitCode
    reason: str
    message: str
    advice: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    execution: Execution | None = None


def problem_of(error: Exception, target: str) -> Problem | None:
    """Return the problem that an expected error stands for, None for a bug."""
    if isinstance(error, SidecarError):
        return _of_sidecar(error, target)
    if isinstance(error, TimeoutError):
        advice = _ADVICE[ExitCode.WAIT_TIMEOUT]
        return Problem(ExitCode.WAIT_TIMEOUT, "WAIT_TIMEOUT", str(error), advice)
    if isinstance(error, typer.TyperException):
        return Problem(ExitCode.USAGE, "USAGE", error.format_message(), "see `sidecar --help`")
    return None


def _of_sidecar(error: SidecarError, target: str) -> Problem:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.FAILED)
    message = str(error)
    if code is ExitCode.UNAVAILABLE and not error.reason:
        message = f"no sidecar answers at {target}: {message}"
    reason = error.reason or error.code.name
    advice = _BY_REASON.get(reason) or _ADVICE.get(code, "")
    return Problem(code, reason, message, advice, error.metadata, error.execution)
