"""PostgreSQL: several sidecars on one database, on its clock, with durable commits."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    bindparam,
    cast,
    column,
    create_engine,
    func,
    literal_column,
    make_url,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from sidecar.store.engine import Listing, Opening, UnusableStoreError

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"
_SCHEMA_LOCK = 0x51DECA5
_REPLAN_AT_LEAST_EVERY = 10_000
_OPTIONS = (
    ("synchronous_commit", "on"),
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("timezone", "UTC"),
    ("random_page_cost", "1.1"),
)


class Postgres:
    """One PostgreSQL database, shared with other sidecars."""

    def __init__(self, url: str, readers: int) -> None:
        """Connect.

        Raises:
            UnusableStoreError: if there is no server, or it is a standby.
        """
        address = make_url(url).set(drivername="postgresql+psycopg")
        self.writer = _engine(address, 2)
        self.readers = _engine(address, readers + 1).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._commits, self._replan_at = 0, 1
        try:
            self.notices = _inspect(self.writer)
        except DBAPIError as error:
            self.close()
            where = address.render_as_string(hide_password=True)
            raise UnusableStoreError(f"{where} cannot be used: {error.orig}") from error

    def begin(self, connection: Connection) -> Opening:
        """Read the clock and the number of the transaction in one go."""
        self._replan(connection)
        row = connection.exec_driver_sql(f"SELECT {_NOW}, pg_current_xact_id()::text").one()
        return Opening(row[0], row[1])

    def _replan(self, connection: Connection) -> None:
        """Forget plans as the tables grow: those made for empty ones stay until the first ANALYZE."""
        self._commits += 1
        if self._commits >= self._replan_at:
            self._replan_at += min(self._commits, _REPLAN_AT_LEAST_EVERY)
            connection.exec_driver_sql("DISCARD PLANS")

    def lease_now(self, connection: Connection) -> int:
        """Return the database's clock."""
        return int(connection.exec_driver_sql(f"SELECT {_NOW}").scalar_one())

    def landed(self, ticket: str) -> bool | None:
        """Ask the server what became of the transaction."""
        with self.readers.connect() as connection:
            status = connection.exec_driver_sql("SELECT pg_xact_status(%s::xid8)", (ticket,)).scalar()
        return {"committed": True, "aborted": False}.get(status or "")

    def listing(self, parameter: str, columns: Mapping[str, type[TypeEngine[Any]]]) -> Listing:
        """Read the parameter with `jsonb_array_elements`."""
        elements = func.jsonb_array_elements(cast(bindparam(parameter), JSONB))
        rows = elements.table_valued(column("value"), name=parameter)
        fields = {
            name: cast(rows.c.value.op("->>")(literal_column(str(i))), kind)
            for i, (name, kind) in enumerate(columns.items())
        }
        return Listing(rows, fields)

    def one_at_a_time(self, connection: Connection) -> None:
        """Wait for whoever else is changing the schema."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")

    def take_turns(self, connection: Connection, names: Sequence[str]) -> None:
        """Take a lock by each name, in order, until the transaction ends."""
        for name in names:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))

    def close(self) -> None:
        """Close every connection."""
        self.readers.dispose()
        self.writer.dispose()


def _engine(address: URL, size: int) -> Engine:
    arguments = {
        "options": " ".join(f"-c {name}={value}" for name, value in _OPTIONS),
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "application_name": "execution-sidecar",
    }
    return create_engine(
        address,
        connect_args=arguments,
        paramstyle="format",
        pool_pre_ping=True,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        pool_use_lifo=True,
        execution_options={"preserve_rowcount": True},
    )


def _inspect(writer: Engine) -> tuple[str, ...]:
    with writer.connect() as connection:
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar():
            raise UnusableStoreError("the PostgreSQL server is a standby; name the primary")
        found = connection.exec_driver_sql(
            "SELECT name FROM pg_settings WHERE setting = 'off' AND name IN ('fsync', 'full_page_writes')"
        ).scalars()
        return tuple(f"PostgreSQL runs with {name}=off: {_RISKS[name]}" for name in found)


_RISKS = {
    "fsync": "a power failure can lose or damage what was acknowledged",
    "full_page_writes": "a power failure can damage pages that were being written",
}
