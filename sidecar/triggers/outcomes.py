"""Outcomes over HTTP: what the sender of a webhook hears of the execution that it set off."""

import re

from sidecar.core.commands import Accepted
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution, Failure
from sidecar.triggers.answers import (
    STATUSES,
    Answer,
    Links,
    Mistake,
    Pairs,
    document,
    identity,
    problem,
    where,
)

OPAQUE = "application/octet-stream"
# Whatever a worker has put out, no browser may run it in the name of this address.
_HARMLESS: Pairs = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; sandbox"),
)
_FIELD = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")


def accepted(answer: Accepted, links: Links) -> Answer:
    """Return that the execution is durable: 202, or 200 for a repeat of one that has ended."""
    execution = answer.execution
    content = {
        **where(execution, links),
        "existing": answer.existing,
        "state": execution.state.lower(),
        "trace_id": execution.anchor.trace_id,
    }
    headers = (("location", links.status(execution.key)), *identity(execution))
    return document(200 if execution.is_terminal else 202, content, headers)


def ended(execution: Execution, links: Links) -> Answer:
    """Return the outcome of a terminal execution: its output, or why there is none."""
    match execution.state:
        case State.SUCCEEDED:
            return _succeeded(execution, links)
        case State.CANCELLED:
            reason = execution.cancel.reason if execution.cancel else ""
            message = f"the execution was cancelled: {reason}" if reason else "the execution was cancelled"
            return _without_output(execution, links, Mistake.EXECUTION_CANCELLED, message, "cancelled")
        case _:
            failure = (execution.terminal.failure if execution.terminal else None) or Failure("unknown")
            return _without_output(execution, links, Mistake.EXECUTION_FAILED, failure.message, failure.type)


def _succeeded(execution: Execution, links: Links) -> Answer:
    record = execution.terminal
    content = record.output if record and record.output else b""
    kind = record.output_content_type if record else ""
    kind = kind if _FIELD.fullmatch(kind) else OPAQUE
    lost: Pairs = (("x-execution-output", "missing"),) if record and record.output_missing else ()
    return Answer(200, content, kind, (*_HARMLESS, *_told(execution, links), *lost))


def _without_output(
    execution: Execution, links: Links, reason: Mistake, message: str, error_type: str
) -> Answer:
    content = problem(reason, message, {"error_type": error_type}) | where(execution, links)
    return document(STATUSES[reason], content, _told(execution, links))


def _told(execution: Execution, links: Links) -> Pairs:
    return (
        ("location", links.status(execution.key)),
        ("x-execution-id", execution.correlation.execution_id),
        ("x-execution-outcome", execution.state.lower()),
        *identity(execution),
    )
