"""The nouns of the core: what an execution is made of, as plain slotted dataclasses.

Times are nanoseconds since the Unix epoch and end in `_at`; durations are `timedelta`, or
nanoseconds where they accumulate on a row (`_ns`). Trace and span ids are lower-case hex.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sidecar.conventions.carrier import Carrier
from sidecar.core.correlation import Correlation
from sidecar.core.lifecycle import TERMINAL, State
from sidecar.core.style import PLAIN, Style

Key = tuple[str, str]
"""Namespace and execution id."""

AttributeValue = str | bool | int | float | tuple[str, ...]
Attributes = tuple[tuple[str, AttributeValue], ...]


class Dispatch(StrEnum):
    """Whose queue carries the work: ours, the user's own, or one that we push to."""

    MANAGED = "managed"
    EXTERNAL = "external"
    PUSH = "push"


class Recording(StrEnum):
    """The one sampling decision of an execution, made at accept."""

    SAMPLED = "sampled"
    UNSAMPLED = "unsampled"
    DISABLED = "disabled"


class Path(StrEnum):
    """How an outcome came to be settled (`sidecar.finalization.path`)."""

    COMPLETED = "completed"
    REAPED = "reaped"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Anchor:
    """The execution's place in its trace; every id is allocated here before anything uses it.

    `link` is the caller's context where a new trace begins that only links to it.
    """

    trace_id: str
    send_span_id: str
    terminal_span_id: str
    parent_span_id: str | None
    flags: int
    tracestate: str
    baggage: str
    recording: Recording
    sampler_attributes: Attributes = ()
    link: Carrier | None = None

    def carrier(self, span_id: str) -> Carrier:
        """Return the headers that make `span_id` of this trace the parent."""
        return Carrier(f"00-{self.trace_id}-{span_id}-{self.flags:02x}", self.tracestate, self.baggage)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a failed attempt is repeated; full jitter is applied to the interval."""

    max_attempts: int = 1
    initial_interval: timedelta = timedelta(seconds=1)
    max_interval: timedelta = timedelta(minutes=5)
    multiplier: float = 2.0
    non_retryable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed at accept and stays on the row: the reaper needs it when the worker is gone."""

    queue: str
    payload: bytes
    content_type: str
    fingerprint: str
    retry: RetryPolicy = RetryPolicy()
    attempt_timeout: timedelta | None = None
    queue_deadline_at: int | None = None
    deadline_at: int | None = None
    idempotency_key: str | None = None
    retry_of: str | None = None
    dispatch: Dispatch = Dispatch.MANAGED
    concurrency_key: str | None = None
    style: Style = PLAIN


@dataclass(frozen=True, slots=True)
class Failure:
    """Why work failed: `error.type`, the message and the stack, bounded."""

    type: str
    message: str = ""
    stack: str = ""


@dataclass(slots=True)
class Attempt:
    """One delivery. `ended_at` and what follows are set when it ended without ending the execution."""

    number: int
    segment_index: int
    fence: int
    token: bytes
    span_id: str
    worker_id: str
    resource_id: str
    started_at: int
    deadline_at: int | None
    former_span_id: str | None
    live_span_id: str | None = None
    ended_at: int | None = None
    failure: Failure | None = None
    digest: bytes | None = None
    outbox_id: int | None = None

    @property
    def parent_span_id(self) -> str:
        """Return which span the worker's own spans hang under."""
        return self.live_span_id or self.span_id


@dataclass(slots=True)
class Step:
    """One progress marker within an attempt, known by the attempt's fence and its sequence."""

    fence: int
    sequence: int
    name: str
    span_id: str
    parent_span_id: str
    started_at: int
    ended_at: int | None = None
    error_type: str | None = None
    outbox_id: int | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """The name of a step and when it passed."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A cancellation that was asked for and when its grace period ends."""

    requested_at: int
    grace_until: int
    reason: str


@dataclass(frozen=True, slots=True)
class TerminalRecord:
    """How it ended; written once, by the finalizer."""

    finalized_at: int
    path: Path
    output: bytes | None = None
    output_content_type: str = ""
    output_missing: bool = False
    failure: Failure | None = None
    minimal: str | None = None
    digest: bytes | None = None


@dataclass(slots=True)
class Timings:
    """Nanoseconds spent in each way, added up when a state is left."""

    queued_ns: int = 0
    running_ns: int = 0
    paused_ns: int = 0
    retry_wait_ns: int = 0


@dataclass(slots=True)
class Execution:
    """One row: what was agreed, where it stands, and how it ended. Mutable only inside one commit.

    `accepted_at` is the call's arrival, `sent_at` when the accept's commit took it: the two ends of
    the `send` span.
    """

    correlation: Correlation
    anchor: Anchor
    terms: Terms
    accepted_at: int
    run_at: int
    sent_at: int = 0
    state: State = State.QUEUED
    state_since: int = 0
    version: int = 1
    segment_index: int = 0
    attempts: int = 0
    deliveries_lost: int = 0
    fence: int = 0
    attempt: Attempt | None = None
    lease_expires_at: int | None = None
    started_at: int | None = None
    start_resource_id: str | None = None
    start_minimal: str | None = None
    last_span_id: str | None = None
    cancel: CancelRequest | None = None
    last_started: Marker | None = None
    last_completed: Marker | None = None
    open_steps: int = 0
    steps: int = 0
    timings: Timings = field(default_factory=Timings)
    terminal: TerminalRecord | None = None
    send_outbox_id: int | None = None
    terminal_outbox_id: int | None = None

    @property
    def key(self) -> Key:
        """Namespace and execution id."""
        return self.correlation.key

    @property
    def is_terminal(self) -> bool:
        """True once the finalizer has settled it."""
        return self.state in TERMINAL

    @property
    def due_at(self) -> int | None:
        """When the reaper must look at it next, None when nothing can run out."""
        limits = [
            self.terms.deadline_at,
            self.lease_expires_at,
            self.terms.queue_deadline_at if self.state is State.QUEUED and not self.attempts else None,
            self.attempt.deadline_at if self.attempt and self.state is State.RUNNING else None,
            self.cancel.grace_until if self.cancel and self.state is State.RUNNING else None,
        ]
        return None if self.is_terminal else min((at for at in limits if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Resource:
    """The OpenTelemetry resource and SDK that a worker declared; known by the digest of both."""

    resource_id: str
    attributes: Attributes
    sdk: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth keeping beside the record, such as a late completion."""

    key: Key
    kind: str
    at: int
    detail: Attributes = ()
