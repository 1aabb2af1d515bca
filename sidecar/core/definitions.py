"""What can be defined, in the core's own words: workflows, queues, webhooks and schedules."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sidecar.core.correlation import Source
from sidecar.core.model import RetryPolicy
from sidecar.core.schedules import Timing
from sidecar.core.style import LiveParent, SettlementLogs, TerminalSpan
from sidecar.core.webhooks import OPEN, Verification


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits in time, each from the moment that its name says; None is no limit."""

    in_queue: timedelta | None = None
    attempt: timedelta | None = None
    total: timedelta | None = None


NO_DEADLINES = Deadlines()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many in a time, evenly spread; up to `burst` of them at once (0: all)."""

    limit: int
    per: timedelta
    burst: int = 0


class OverLimit(StrEnum):
    """What becomes of work beyond a concurrency limit."""

    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many may run at once, in all and of each concurrency key; 0 is no limit."""

    limit: int = 0
    per_key: int = 0
    over_limit: OverLimit = OverLimit.WAIT


UNLIMITED = Concurrency()


class Propagation(StrEnum):
    """What becomes of the caller's trace context."""

    CONTINUE = "continue"
    LINK = "link"
    IGNORE = "ignore"


class SamplingRule(StrEnum):
    """Whether spans are written: as the caller and the sampler say, or always."""

    INHERIT = "inherit"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Tracing:
    """How executions are traced; None leaves it to the queue, then to the default."""

    propagation: Propagation | None = None
    live_parent: LiveParent | None = None
    sampling: SamplingRule | None = None
    terminal_span: TerminalSpan | None = None
    settlement_logs: SettlementLogs | None = None


AS_USUAL = Tracing()


class Kind(StrEnum):
    """What is defined."""

    WORKFLOW = "workflow"
    QUEUE = "queue"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A kind of work: what may set it off, within which limits, and what an enqueue leaves open.

    `retry` and `deadlines` None leave the defaults. `sources` empty lets every entry set it off.
    """

    workflow_id: str
    description: str = ""
    queue: str = ""
    disabled: bool = False
    json_schema: str = ""
    retry: RetryPolicy | None = None
    deadlines: Deadlines = NO_DEADLINES
    max_payload_bytes: int = 0
    rate: RateLimit | None = None
    concurrency: Concurrency = UNLIMITED
    sources: tuple[Source, ...] = ()
    tracing: Tracing = AS_USUAL


@dataclass(frozen=True, slots=True)
class Queue:
    """Limits of a queue, whatever runs in it; `max_depth` 0 is no limit."""

    queue: str
    description: str = ""
    max_depth: int = 0
    rate: RateLimit | None = None
    concurrency: Concurrency = UNLIMITED
    tracing: Tracing = AS_USUAL


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that sets a workflow off. Secrets are as written: texts or references to them.

    `wait` is how long the sender is kept waiting for the outcome; None answers at once.
    """

    webhook_id: str
    path: str
    workflow_id: str
    description: str = ""
    queue: str = ""
    provider: str = ""
    disabled: bool = False
    verification: Verification = OPEN
    delivery_header: str = ""
    propagation: Propagation | None = None
    max_body_bytes: int = 0
    content_types: tuple[str, ...] = ()
    wait: timedelta | None = None
    retry: RetryPolicy | None = None
    deadlines: Deadlines = NO_DEADLINES
    rate: RateLimit | None = None


class Misfire(StrEnum):
    """What becomes of occurrences that passed while nobody looked."""

    RUN_ONCE = "run_once"
    SKIP = "skip"
    RUN_ALL = "run_all"


class Overlap(StrEnum):
    """What becomes of an occurrence while the former one's execution has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When and how a workflow runs by itself.

    `misfire_after` is how late an occurrence may be and still be on time. `expect_within` says that
    an outside cron runs it: what nobody begins in this time fails as missed.
    """

    schedule_id: str
    workflow_id: str
    timing: Timing
    description: str = ""
    queue: str = ""
    payload: bytes = b""
    content_type: str = ""
    misfire: Misfire = Misfire.RUN_ONCE
    misfire_limit: int = 100
    misfire_after: timedelta = timedelta(minutes=1)
    overlap: Overlap = Overlap.ALLOW
    max_failures: int = 0
    retry: RetryPolicy | None = None
    deadlines: Deadlines = NO_DEADLINES
    expect_within: timedelta | None = None


Definition = Workflow | Queue | Webhook | Schedule


def kind_of(definition: Definition) -> Kind:
    """Return which kind of thing a definition defines."""
    match definition:
        case Workflow():
            return Kind.WORKFLOW
        case Queue():
            return Kind.QUEUE
        case Webhook():
            return Kind.WEBHOOK
        case Schedule():
            return Kind.SCHEDULE


def name_of(definition: Definition) -> str:
    """Return the name that a definition is known by within its kind."""
    match definition:
        case Workflow(workflow_id=name) | Queue(queue=name):
            return name
        case Webhook(webhook_id=name) | Schedule(schedule_id=name):
            return name


@dataclass(frozen=True, slots=True)
class Stored:
    """A definition as it stands; `revision` grows with each change of anything that is defined."""

    namespace: str
    definition: Definition
    revision: int
    changed_at: int
