"""What differs between the databases, as one small protocol, and why a store cannot be opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, FromClause
from sqlalchemy.types import TypeEngine


class UnusableStoreError(Exception):
    """The store cannot be opened as it is; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The begin of a commit: the lease clock, and the ticket by which its outcome is found out later."""

    now: int
    ticket: str
    ticks: float = 0.0
    """Monotonic seconds at `now`."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A JSON parameter seen as a table: what to join, and its columns by name."""

    rows: FromClause
    columns: Mapping[str, ColumnElement[Any]]


class Dialect(Protocol):
    """One database, opened: a writer's engine, the readers' engine, and what each does its own way."""

    @property
    def writer(self) -> Engine:
        """The engine of the committer; on SQLite it has one connection."""

    @property
    def readers(self) -> Engine:
        """The engine of read-only connections, each transaction one snapshot."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What an operator should know about this database, one sentence each."""

    def begin(self, connection: Connection) -> Opening:
        """Begin a writing transaction."""

    def lease_now(self, connection: Connection) -> int:
        """Return the lease clock."""

    def landed(self, ticket: str) -> bool | None:
        """Return whether the commit with this ticket is in the database; None if nobody can tell yet."""

    def listing(self, parameter: str, columns: Mapping[str, type[TypeEngine[Any]]]) -> Listing:
        """Return the JSON list of lists in `parameter` as a table, so that the statement stays the same."""

    def one_at_a_time(self, connection: Connection) -> None:
        """Let one starting sidecar change the schema while others wait."""

    def take_turns(self, connection: Connection, names: Sequence[str]) -> None:
        """Have other sidecars' transactions that name any of these wait until this one has ended."""

    def close(self) -> None:
        """Close every connection and let go of the database."""
