"""Statements compiled once: their text goes to the driver with positional values, many at a time."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.expression import ClauseElement

from sidecar.store.engine import Dialect

Values = tuple[Any, ...]
AnyRow = Sequence[Any]


class Prepared:
    """The text of one statement for one database, and the order of its parameters."""

    def __init__(self, dialect: Dialect, statement: ClauseElement, parameters: Sequence[str]) -> None:
        """Compile `statement`.

        Raises:
            ValueError: if its parameters are not exactly these, in this order.
        """
        compiled = statement.compile(dialect=dialect.writer.dialect)
        order: list[str] = getattr(compiled, "positiontup", None) or []
        own = order[len(parameters) :]
        if order[: len(parameters)] != list(parameters) or not all(map(_is_own, own)):
            raise ValueError(f"the statement takes {order}, not {list(parameters)}: {compiled}")
        self.text = str(compiled)
        self._constants = tuple(compiled.params[name] for name in own)

    def rows(self, connection: Connection, *values: object) -> Sequence[AnyRow]:
        """Return all rows."""
        return connection.exec_driver_sql(self.text, (*values, *self._constants)).fetchall()

    def value(self, connection: Connection, *values: object) -> Any:
        """Return the first column of the first row, None without one."""
        row = connection.exec_driver_sql(self.text, (*values, *self._constants)).fetchone()
        return None if row is None else row[0]

    def write(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it once for each of `rows` and return how many rows of the table that changed."""
        if not rows:
            return 0
        return connection.exec_driver_sql(self.text, rows[0] if len(rows) == 1 else list(rows)).rowcount


def _is_own(name: str) -> bool:
    """Return whether SQLAlchemy added the parameter: SQLite's LIMIT comes with an OFFSET of zero."""
    return name.startswith("param_")


def insertion(dialect: Dialect, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that can say what happens to a row that is there already."""
    if dialect.writer.dialect.name == "postgresql":
        return postgresql.insert(table).inline()
    return sqlite.insert(table).inline()


def listed(items: Iterable[Sequence[object]]) -> str:
    """Return what a `Listing` takes: a JSON list of lists."""
    return json.dumps(list(items), separators=(",", ":"))
