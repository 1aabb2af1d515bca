"""What the core needs from the rooms around it, as small protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sidecar.conventions.carrier import Carrier
from sidecar.core.commands import Command, Due
from sidecar.core.definitions import Stored
from sidecar.core.facts import LogFacts, SpanFacts
from sidecar.core.folio import Chance
from sidecar.core.lifecycle import State
from sidecar.core.model import Attempt, Attributes, Execution, Key, Recording, Resource, Step
from sidecar.core.schedules import Standing

R = TypeVar("R")


class Clock(Protocol):
    """The one clock that spans are stamped with, and a monotonic one for waiting."""

    def now(self) -> int:
        """Return nanoseconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class Ids(Chance, Protocol):
    """Where identities come from."""

    def execution_id(self) -> str:
        """Return a new UUIDv7 in text form."""

    def trace_id(self) -> str:
        """Return sixteen random bytes as hex, not all zero."""


class Ledger(Protocol):
    """The committer: takes commands, answers after the commit.

    Raises (from the awaited answer):
        StoreUnavailableError: the command is known not to have been applied.
        OverloadedError: the queue before the committer is full.
    """

    async def submit(self, command: Command[R]) -> R:
        """Have one command applied."""

    async def submit_many(self, commands: Sequence[Command[R]]) -> list[R | Exception]:
        """Have many applied, each on its own; answers come in the order of the commands.

        A command that failed has its exception as its answer; the others stand.
        """


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to one execution, told after it."""

    key: Key
    version: int
    state: State
    queue: str
    workflow_id: str
    run_at: int
    now: int
    """The lease clock of the commit, which `run_at` is measured by."""


class ChangeListener(Protocol):
    """Hears, on the event loop, what each commit changed; never raises."""

    def changed(self, changes: Sequence[Change]) -> None:
        """Take note of one commit's changes."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of executions, newest first; `before` is the (accepted_at, execution_id) to go on from."""

    namespace: str
    states: tuple[State, ...] = ()
    workflow_id: str | None = None
    execution_ids: tuple[str, ...] = ()
    before: tuple[int, str] | None = None
    limit: int = 100
    request_id: str | None = None
    trace_id: str | None = None
    idempotency_key: str | None = None
    external_id: str | None = None
    schedule_id: str | None = None
    webhook_id: str | None = None


@dataclass(frozen=True, slots=True)
class TraceRows:
    """All rows of one execution that its spans are rebuilt from, and where its outbox rows are."""

    execution: Execution
    attempts: tuple[Attempt, ...]
    steps: tuple[Step, ...]
    resources: Mapping[str, Resource]
    deliveries: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Breach:
    """One execution that breaks an invariant."""

    key: Key
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The account of all terminal spans and what `verify` found."""

    terminal: int
    delivered: int
    pending: int
    rejected: int
    dead_lettered: int
    dropped: int
    unsampled: int
    disabled: int
    states: Mapping[State, int]
    breaches: tuple[Breach, ...]

    @property
    def accounted(self) -> int:
        """Terminal executions whose span is accounted for."""
        return sum(
            (
                self.delivered,
                self.pending,
                self.rejected,
                self.dead_lettered,
                self.dropped,
                self.unsampled,
                self.disabled,
            )
        )


@dataclass(frozen=True, slots=True)
class Gauges:
    """Levels that are read from the store for metrics."""

    queued: Mapping[tuple[str, str], int]
    """Executions waiting, by queue and state."""
    oldest_queued_at: int | None
    outbox_spans: int
    oldest_outbox_at: int | None


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule whose time has come, and whether the former occurrence's execution is still open.

    `freed_at` is when that one ended, by the lease clock; None where it has not or there is none.
    """

    standing: Standing
    occupied: bool
    freed_at: int | None = None


class PayloadChecker(Protocol):
    """Knows JSON Schema."""

    def problem(self, schema: str, payload: bytes) -> str | None:
        """Say where a payload does not fit a schema, None if it does."""

    def schema_problem(self, schema: str) -> str | None:
        """Say what is wrong with a schema, None if it is sound."""


class Reader(Protocol):
    """Read-only questions to the store, each a short transaction on a reader's thread."""

    async def get(self, key: Key) -> Execution | None:
        """Return one execution."""

    async def page(self, query: ListQuery) -> list[Execution]:
        """Return a page, newest first, without payloads and outputs."""

    async def due(self, now: int, limit: int) -> list[Due]:
        """Return executions whose `due_at` has passed, oldest first."""

    async def held_by(self, namespace: str, worker_id: str) -> list[Execution]:
        """Return the running executions whose lease is this worker's."""

    async def running(self) -> list[Execution]:
        """Return every running execution; asked once, at start."""

    async def next_run_at(
        self, namespace: str, queues: Sequence[str], workflows: Sequence[str]
    ) -> int | None:
        """Return the earliest future run time of what these could claim."""

    async def definitions(self, known: int) -> tuple[int, list[Stored] | None]:
        """Return the registry's revision, and everything that is defined if it is not the known one."""

    async def standings(self, namespace: str, schedule_id: str | None) -> list[Standing]:
        """Return where schedules stand, by id: one, or all of a namespace."""

    async def due_schedules(
        self,
        now: int,
        limit: int,
        *,
        after: DueSchedule | None = None,
        whose: tuple[str, str | None] | None = None,
    ) -> list[DueSchedule]:
        """Return schedules that are not paused and whose next time is not after `now`, oldest first.

        `after` is the last one of the page before, `whose` a namespace and, if not all of it, a schedule.
        """

    async def next_due_at(self, now: int) -> int | None:
        """Return the earliest next time after `now` of any schedule that is not paused."""

    async def trace_rows(self, key: Key) -> TraceRows | None:
        """Return what the spans of one execution are rebuilt from."""

    async def audit(self, namespace: str | None) -> Audit:
        """Count what became of every terminal span and name what breaks an invariant."""

    async def gauges(self) -> Gauges:
        """Return levels for metrics."""

    async def lease_now(self) -> int:
        """Return the lease clock: the database's where several sidecars share it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Serialized OTLP of some facts: one request's bytes, and how many spans or records are in it."""

    signal: str
    body: bytes
    count: int


class Encoder(Protocol):
    """Turns facts into OTLP bytes with the resource frozen in. Never raises: falls back to less."""

    def encode(
        self, facts: Sequence[SpanFacts | LogFacts], resources: Mapping[str, Resource]
    ) -> list[Encoded]:
        """Return one or more requests per signal, each within the span and byte bounds of a row."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What the sampler decided: the recording, the flags and tracestate to hand on, its attributes."""

    recording: Recording
    flags: int
    tracestate: str
    attributes: Attributes = ()


class Sampler(Protocol):
    """The provider's sampler, asked once per execution."""

    def decide(
        self, parent: Carrier, trace_id: str, name: str, attributes: Attributes, link: Carrier | None = None
    ) -> Sampling:
        """Decide whether an execution's spans are written.

        `parent` is empty for a new root, which may have a link to the caller's trace.
        """


class Meter(Protocol):
    """The product's own metrics; recording never fails."""

    def settled(self, execution: Execution) -> None:
        """Count one terminal execution and its duration."""

    def conflicts(self, count: int) -> None:
        """Count settlements that lost."""

    def committed(self, commands: int, seconds: float) -> None:
        """Record one commit's size and duration."""

    def exported(self, outcome: str, spans: int) -> None:
        """Count spans by what became of them: delivered, rejected, dead_lettered."""
