"""The folio: the records one commit has open, and everything that it will write."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from sidecar.core.definitions import Kind, Stored
from sidecar.core.facts import Emission, LogFacts, SpanFacts
from sidecar.core.model import Attempt, Event, Execution, Key, Step
from sidecar.core.schedules import Standing
from sidecar.core.usage import Usage

DefinitionKey = tuple[str, Kind, str]
"""Namespace, kind and name."""

StepKey = tuple[Key, int, int]
"""Execution, fence of the attempt, sequence."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Which execution a key stands for, and until when (None: while the execution has not ended)."""

    namespace: str
    key: str
    execution_id: str
    fingerprint: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a verb keeps; see docs/configuration.md for what sets them."""

    lease_ttl: timedelta = timedelta(seconds=30)
    max_output_bytes: int = 1_048_576
    max_error_message: int = 8_192
    max_error_stack: int = 65_536
    max_steps: int = 1_000
    max_deliveries_lost: int = 20
    settlement_logs: bool = True
    """Whether unsampled executions leave a log record of their settlement."""


class Chance(Protocol):
    """Where ids, tokens and jitter come from."""

    def span_id(self) -> str:
        """Return eight random bytes as hex, not all zero."""

    def token(self) -> bytes:
        """Return sixteen unguessable bytes."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""


@dataclass(slots=True)
class Folio:
    """What the verbs of one commit read and change. The store fills it and writes it back.

    `now` is the lease clock, nanoseconds since the epoch. Loaded records come in through the
    mappings; a verb never asks the store for more.
    """

    now: int
    limits: Limits
    chance: Chance
    ticks: float = 0.0
    """Monotonic seconds at `now`, to place what arrived a moment before the commit."""
    executions: dict[Key, Execution] = field(default_factory=dict)
    keys: dict[tuple[str, str], IdempotencyKey] = field(default_factory=dict)
    steps: dict[StepKey, Step] = field(default_factory=dict)
    ended: dict[tuple[Key, int], Attempt] = field(default_factory=dict)

    usage: Usage = field(default_factory=Usage)
    definitions: dict[DefinitionKey, Stored] = field(default_factory=dict)
    registry_revision: int = 0
    """Grows with each change of anything that is defined; read together with the definitions."""
    standings: dict[Key, Standing] = field(default_factory=dict)

    created: dict[Key, Execution] = field(default_factory=dict)
    changed: dict[Key, Execution] = field(default_factory=dict)
    new_keys: list[IdempotencyKey] = field(default_factory=list)
    new_attempts: list[tuple[Key, Attempt]] = field(default_factory=list)
    new_steps: dict[StepKey, Step] = field(default_factory=dict)
    changed_steps: dict[StepKey, Step] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    changed_definitions: dict[DefinitionKey, Stored] = field(default_factory=dict)
    removed_definitions: set[DefinitionKey] = field(default_factory=set)
    changed_standings: dict[Key, Standing] = field(default_factory=dict)
    removed_standings: set[Key] = field(default_factory=set)
    outcomes: list[Execution] = field(default_factory=list)
    """What ended in this commit and was set off by a schedule, which has to learn of it."""
    conflicts: int = 0

    def create(self, execution: Execution) -> None:
        """Open a new record."""
        self.executions[execution.key] = execution
        self.created[execution.key] = execution

    def touch(self, execution: Execution) -> None:
        """Note that a record has changed; its version grows once per change."""
        execution.version += 1
        if execution.key not in self.created:
            self.changed[execution.key] = execution

    def end_attempt(self, execution: Execution, attempt: Attempt) -> None:
        """Keep an attempt that ended without ending its execution."""
        self.new_attempts.append((execution.key, attempt))
        self.ended[execution.key, attempt.fence] = attempt

    def note_step(self, execution: Execution, step: Step) -> None:
        """Keep a new or changed step."""
        at = (execution.key, step.fence, step.sequence)
        known = at in self.steps
        self.steps[at] = step
        if known and at not in self.new_steps:
            self.changed_steps[at] = step
        else:
            self.new_steps[at] = step

    def open_steps(self, execution: Execution, fence: int) -> Iterable[Step]:
        """Return the attempt's steps that have not completed, in order."""
        mine = [s for (key, f, _), s in self.steps.items() if key == execution.key and f == fence]
        return sorted((s for s in mine if s.ended_at is None), key=lambda s: s.sequence)

    def feed_back(self, execution: Execution) -> None:
        """Note an end that a schedule has to learn of."""
        if execution.correlation.schedule_id is not None:
            self.outcomes.append(execution)

    def emit(self, facts: SpanFacts | LogFacts, owner: Execution | Attempt | Step) -> None:
        """Have facts committed together with the transition that made them."""
        self.emissions.append(Emission(facts, owner))
