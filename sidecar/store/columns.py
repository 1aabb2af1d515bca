"""How columns and rules are written down, and the words that indexes share with their queries."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData
from sqlalchemy.types import TypeEngine

Columns = tuple[Column[Any], ...]

OUTBOX_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite never reuses an id only where the column is INTEGER PRIMARY KEY AUTOINCREMENT."""

QUEUED = "state = 'QUEUED'"
RUNNING = "state = 'RUNNING'"
PENDING = "state = 'pending'"
DUE = "due_at IS NOT NULL"
"""A planner uses a partial index only where the query says the same, and not as a parameter."""

metadata = MetaData()


def need(kind: type[TypeEngine[Any]], *names: str) -> Columns:
    """Return columns that always have a value."""
    return tuple(Column(name, kind, nullable=False) for name in names)


def may(kind: type[TypeEngine[Any]], *names: str) -> Columns:
    """Return columns that may be empty."""
    return tuple(Column(name, kind, nullable=True) for name in names)


def one_of(name: str, values: Iterable[str]) -> str:
    """Return the rule that a column holds one of these words.

    SQLite builds an index for each list after IN, row by row, which costs more than the row.
    """
    return " OR ".join(f"{name} = '{value}'" for value in values)
