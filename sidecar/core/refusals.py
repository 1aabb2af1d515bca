"""Why the core says no: one closed list of reasons that every edge maps once."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sidecar.core.model import Execution


class Reason(StrEnum):
    """Stable words of the API: the same in gRPC ErrorInfo, HTTP bodies and CLI output."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    """A field is malformed; the message names it."""
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    """The payload is over the configured limit."""
    PAYLOAD_INVALID = "PAYLOAD_INVALID"
    """The payload does not fit the workflow's JSON Schema."""
    WORKFLOW_UNKNOWN = "WORKFLOW_UNKNOWN"
    """The namespace requires registration, and the workflow is not registered."""
    WORKFLOW_DISABLED = "WORKFLOW_DISABLED"
    """The workflow is switched off."""
    CALLER_NOT_ALLOWED = "CALLER_NOT_ALLOWED"
    """The workflow may not be set off by this kind of entry."""
    RATE_LIMITED = "RATE_LIMITED"
    """Too many came in too short a time; repeat it after the time that is told."""
    QUEUE_FULL = "QUEUE_FULL"
    """As many executions wait in the queue as it may hold."""
    CONCURRENCY_LIMIT = "CONCURRENCY_LIMIT"
    """As many run as may at once, and the limit refuses what is beyond it."""
    CHECK_FAILED = "CHECK_FAILED"
    """A check before the queue could not be made; what cannot be checked is not let in."""
    DEFINITION_CONFLICT = "DEFINITION_CONFLICT"
    """The definition takes what another one has, such as a webhook's path."""
    SCHEDULE_NOT_FOUND = "SCHEDULE_NOT_FOUND"
    """No schedule has this id in this namespace."""
    LEASED_ELSEWHERE = "LEASED_ELSEWHERE"
    """Somebody else holds the execution's lease; the time left is in the details."""
    NOT_EXTERNAL = "NOT_EXTERNAL"
    """The execution's workers take it from the queue; it cannot be begun by name."""
    EXECUTION_NOT_FOUND = "EXECUTION_NOT_FOUND"
    """No execution has this id in this namespace."""
    EXECUTION_ID_CONFLICT = "EXECUTION_ID_CONFLICT"
    """The execution id was used for other work."""
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    """The idempotency key was used for other work."""
    ALREADY_FINALIZED = "ALREADY_FINALIZED"
    """The execution has its outcome; the record is in the details."""
    LEASE_LOST = "LEASE_LOST"
    """The lease passed on or was given back; the current state is in the details."""
    STEP_LIMIT = "STEP_LIMIT"
    """The attempt has reported as many steps as are kept."""
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    """The store did not take the command; repeat the same call."""
    OVERLOADED = "OVERLOADED"
    """Too much is waiting for the store; repeat the same call later."""
    INTERNAL = "INTERNAL"
    """The sidecar met a fault of its own; its log has the details."""
    DRAINING = "DRAINING"
    """The sidecar is stopping; repeat the call elsewhere or later."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that changed nothing, and why: an ordinary result, not an exception."""

    reason: Reason
    message: str
    metadata: dict[str, str] = field(default_factory=dict)
    execution: Execution | None = None
    retry_after: timedelta | None = None
    """When the same may be let in; None where that is not known."""
    is_repeat: bool = False
    """It tells a refusal that was settled before: asking again is no use, only new work may be let in."""


_WAITS = dict.fromkeys(
    (
        Reason.STORE_UNAVAILABLE,
        Reason.OVERLOADED,
        Reason.DRAINING,
        Reason.CHECK_FAILED,
        Reason.RATE_LIMITED,
        Reason.QUEUE_FULL,
        Reason.CONCURRENCY_LIMIT,
    ),
    timedelta(seconds=1),
)
"""Where repeating the same may help: when to, if the refusal does not say."""


def retry_after(refused: Refused) -> timedelta | None:
    """Return how long to wait before the same is tried again, None where that is no use."""
    if refused.is_repeat:
        return None
    return refused.retry_after or _WAITS.get(refused.reason)


class RefusalError(Exception):
    """A refusal on its way to the edge."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


def invalid(name: str, value: object, problem: str) -> Refused:
    """Return the refusal of a field, naming it, what it held (shortened) and what to do."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return Refused(Reason.INVALID_ARGUMENT, f"{name}: {problem} (got {shown})", {"field": name})


class StoreUnavailableError(Exception):
    """The store refused or is away: nothing is known to have changed, the same command may be repeated."""


class OverloadedError(StoreUnavailableError):
    """The committer's queue is full."""


def refused_by(error: Exception) -> Refused:
    """Return the refusal that an exception stands for; one that nobody planned is a fault of our own."""
    match error:
        case RefusalError():
            return error.refused
        case OverloadedError():
            return Refused(Reason.OVERLOADED, f"the sidecar is busy; repeat the same call later ({error})")
        case StoreUnavailableError():
            return Refused(Reason.STORE_UNAVAILABLE, f"the store is not available; repeat the call ({error})")
        case _:
            return Refused(Reason.INTERNAL, "the sidecar met a fault of its own; its log has the details")
