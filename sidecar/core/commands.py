"""What can be asked of the ledger: every change is one of these commands, each with its typed result."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from sidecar.core.catalog import EMPTY, FREE, Catalog, Rule
from sidecar.core.definitions import Definition, Kind
from sidecar.core.model import Execution, Failure, Key, Resource
from sidecar.core.refusals import Refused

R_co = TypeVar("R_co", covariant=True)


class Command(Generic[R_co]):
    """A request to the committer; its type argument is the type of the answer, given after the commit."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """Proof of a lease: token and fence, not a connection."""

    key: Key
    token: bytes
    fence: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The execution is durable. `existing` says that it was before this command."""

    execution: Execution
    existing: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Times that the accept resolves by the lease clock, as that clock decides about them later.

    `arrived` is monotonic seconds, None when the accept is the arrival.
    """

    arrived: float | None = None
    run_at: int | None = None
    run_in: timedelta = timedelta()
    in_queue: timedelta | None = None
    total: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Accept(Command[Accepted | Refused]):
    """Make an execution durable, once per execution id and idempotency key.

    `refusal` is what a check before the commit found: the execution is then durable as a refused one.
    `rule` has what has to be counted within the commit.
    """

    execution: Execution
    key_ttl: timedelta = timedelta(hours=24)
    plan: Plan = field(default_factory=Plan)
    refusal: Refused | None = None
    rule: Rule = FREE


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed execution with what the worker needs to run it."""

    execution: Execution
    ref: LeaseRef
    ttl: timedelta
    deadline: timedelta | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was claimed, oldest first. `exhausted` says that nothing more is ready now."""

    deliveries: tuple[Delivery, ...]
    exhausted: bool
    next_run_at: int | None
    now: int
    """The lease clock of the commit, which `next_run_at` is measured by."""


@dataclass(frozen=True, slots=True)
class Claim(Command[Claimed]):
    """Lease up to `limit` ready executions of these queues and workflows to one worker."""

    namespace: str
    worker_id: str
    resource: Resource
    queues: tuple[str, ...]
    workflows: tuple[str, ...]
    limit: int
    catalog: Catalog = EMPTY
    """What is looked at again before work is handed out."""


@dataclass(frozen=True, slots=True)
class Begin(Command[Delivery | Refused]):
    """Lease one named execution of external dispatch, which may have begun a while ago."""

    key: Key
    worker_id: str
    resource: Resource
    begun_ago: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Renewed:
    """The lease goes on for `ttl`; with a cancellation pending, its grace for `grace_left`."""

    execution: Execution
    ttl: timedelta
    grace_left: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Renew(Command[Renewed | Refused]):
    """A heartbeat."""

    ref: LeaseRef


@dataclass(frozen=True, slots=True)
class Noted:
    """The step report is in the record."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class ReportStep(Command[Noted | Refused]):
    """A step started, or completed when `completed_after` is given; offsets since the lease's receipt."""

    ref: LeaseRef
    sequence: int
    name: str
    span_id: str
    parent_span_id: str
    started_after: timedelta
    completed_after: timedelta | None = None
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """The worker's handler returned."""

    output: bytes = b""
    content_type: str = ""
    output_missing: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """The worker's handler failed. `final` forbids another attempt; `retry_after` replaces the backoff."""

    failure: Failure
    final: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The worker's handler gave up; `deadline` as a reason says that its time had run out."""

    reason: str = ""


Report = Success | Fault | Cancellation


@dataclass(frozen=True, slots=True)
class Settled:
    """The settlement is committed: the execution is terminal, or queued again for a retry."""

    execution: Execution
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Settle(Command[Settled | Refused]):
    """A worker's report of how its attempt ended. `digest` is over the settlement as received."""

    ref: LeaseRef
    report: Report
    digest: bytes


@dataclass(frozen=True, slots=True)
class Released:
    """The lease was given back, uncounted."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Release(Command[Released | Refused]):
    """Give back a lease whose work never began; the attempt is not counted.

    `voluntary` is a worker's own wish; a lost delivery counts as an attempt past a bound.
    """

    ref: LeaseRef
    voluntary: bool = False


@dataclass(frozen=True, slots=True)
class CancelNoted:
    """The cancellation is durable; `settled` says that it ended the execution at once."""

    execution: Execution
    settled: bool
    grace_left: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Cancel(Command[CancelNoted | Refused]):
    """Ask for an execution to be cancelled; a running worker has `grace` to react."""

    key: Key
    reason: str
    grace: timedelta


@dataclass(frozen=True, slots=True)
class Due:
    """An execution whose time may have run out, as the reaper read it."""

    key: Key
    fence: int
    lease_expires_at: int | None
    due_at: int


@dataclass(frozen=True, slots=True)
class Reaped:
    """What the reaper's command did: the execution it changed, or None when it had moved on."""

    execution: Execution | None


@dataclass(frozen=True, slots=True)
class Reap(Command[Reaped]):
    """Act on what ran out, if the row still is as it was read; lost leases only if `leases_too`."""

    due: Due
    leases_too: bool


@dataclass(frozen=True, slots=True)
class Rebase(Command[None]):
    """Give a live lease a whole time-to-live from now: the sidecar's clock began anew."""

    key: Key
    fence: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """One outbox row on its way to a collector: serialized OTLP, sent as it is."""

    outbox_id: int
    signal: str
    body: bytes
    spans: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ClaimParcels(Command[tuple[Parcel, ...]]):
    """Lease pending outbox rows of one signal to a relay, bounded by spans and bytes."""

    relay_id: str
    signal: str
    lease: timedelta
    max_spans: int = 512
    max_bytes: int = 3_670_016


@dataclass(frozen=True, slots=True)
class Stamp:
    """What became of an outbox row: delivered, rejected, dead (kept), or pending again."""

    outbox_id: int
    state: str
    rejected: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StampParcels(Command[None]):
    """Turn outbox rows into receipts, or give them back; delivery clears the bytes."""

    stamps: tuple[Stamp, ...] = field(default=())


class Effect(StrEnum):
    """What an apply did to one definition."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Defined:
    """The definitions stand as asked; what that took, one by one."""

    effects: tuple[tuple[Kind, str, Effect], ...]


@dataclass(frozen=True, slots=True)
class Define(Command[Defined | Refused]):
    """Make definitions stand as given, all or none; `first` has each schedule's first occurrence."""

    namespace: str
    definitions: tuple[Definition, ...]
    first: tuple[tuple[str, int | None], ...] = ()
    prune: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Undefine(Command[bool]):
    """Remove one definition; the answer says whether it was there."""

    namespace: str
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Fired:
    """What firing did. `fired` False: the schedule had moved on since it was read."""

    fired: bool
    answer: Accepted | Refused | None = None
    waits: bool = False
    """By its overlap policy the occurrence waits for the former execution's end."""


@dataclass(frozen=True, slots=True)
class Fire(Command[Fired]):
    """Take one occurrence of a schedule: its execution and the schedule's next time in one commit.

    `version` is the schedule's as it was read. `accept` None skips the occurrences up to `next_at`;
    `skipped` counts those that pass without an execution. `beside` fires beside the timetable.
    """

    key: Key
    version: int
    accept: Accept | None
    next_at: int | None
    skipped: int = 0
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Steer(Command[bool]):
    """Pause a schedule, or have it go on at `next_at`; the answer says whether it is there."""

    key: Key
    paused: bool
    next_at: int | None
