"""Decrees: the commands that define things, and those that move schedules."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.commands import Accept, Accepted, Command
from sidecar.core.definitions import Definition, Kind
from sidecar.core.model import Key
from sidecar.core.refusals import Refused


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
    `skipped` counts those that pass without an execution. `beside` fires beside the timetable. `former`
    is the last execution as it was read, which must have ended; None where it may go on.
    """

    key: Key
    version: int
    accept: Accept | None
    next_at: int | None
    skipped: int = 0
    beside: bool = False
    former: Key | None = None


@dataclass(frozen=True, slots=True)
class Steer(Command[bool]):
    """Pause a schedule, or have it go on at `next_at`; the answer says whether it is there."""

    key: Key
    paused: bool
    next_at: int | None
