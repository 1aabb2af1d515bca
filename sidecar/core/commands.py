"""What can be asked of the ledger: every change is one of these commands, each with its typed result."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from sidecar.core.catalog import EMPTY, FREE, Catalog, Rule
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
    catalog: Catalog = EMPTY


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
