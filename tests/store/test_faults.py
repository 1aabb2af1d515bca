"""Whose fault it is: the database's, a rival's or the command's own, told by SQLSTATE."""

import sqlite3
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError

from sidecar.core.commands import Accept, Accepted
from sidecar.core.refusals import StoreUnavailableError
from sidecar.store.faults import Trouble, trouble
from tests.store.workbench import Desk, Sql, draft, success

OpenDesk = Callable[..., Desk]


def told(state: str) -> DBAPIError:
    raised = psycopg.errors.lookup(state)("as it was told")
    kind = InternalError if isinstance(raised, psycopg.InternalError) else OperationalError
    return kind("SELECT 1", None, raised)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("25006 57P01 57P02 57P03 25P03 53100 53200 53300 08006 58030", Trouble.AWAY),
        ("40001 40P01", Trouble.CLASH),
        ("55P03 57014", Trouble.HELD),
        ("54000 22003 23505 42P01 25P02", None),
    ],
)
def test_an_error_is_judged_by_its_state(states: str, expected: Trouble | None) -> None:
    assert {state: trouble(told(state)) for state in states.split()} == dict.fromkeys(
        states.split(), expected
    )


def test_a_connection_that_broke_and_one_that_said_nothing_are_the_databases_fault() -> None:
    broken = DatabaseError("COMMIT", None, psycopg.DatabaseError(), connection_invalidated=True)
    assert trouble(broken) is Trouble.AWAY
    assert trouble(OperationalError("COMMIT", None, ConnectionError())) is Trouble.AWAY
    assert trouble(ValueError()) is None


@pytest.mark.parametrize(("code", "expected"), [(sqlite3.SQLITE_FULL, Trouble.AWAY), (1, None)])
def test_sqlite_says_by_its_code(code: int, expected: Trouble | None) -> None:
    raised = sqlite3.OperationalError("told")
    raised.sqlite_errorcode = code
    assert trouble(OperationalError("COMMIT", None, raised)) is expected


def test_a_database_that_became_read_only_is_away(
    new_postgres: Callable[[], str], open_desk: OpenDesk, sql_of: Callable[[str], Sql]
) -> None:
    """As after a failover, when the address still leads to the old primary."""
    url = new_postgres()
    desk, sql = open_desk(url, patience_seconds=0.2), sql_of(url)
    execution, name = draft(), url.rpartition("/")[2]
    sql.run_alone(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    sql.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(StoreUnavailableError, match="read-only"):
        desk.do(Accept(execution))
    assert desk.store.ledger.is_away
    sql_of(f"{url}?options=-cdefault_transaction_read_only%3Doff").run_alone(
        f"ALTER DATABASE {name} RESET default_transaction_read_only"
    )
    sql.run_alone(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    again = desk.do(Accept(execution))
    assert isinstance(again, Accepted)
    assert not again.existing


def test_a_deadlock_is_retried_and_no_illness(desk: Desk) -> None:
    delivery = desk.run_one()
    before = desk.store.ledger.healthy_since
    left = [told("40P01"), told("40001")]

    @event.listens_for(desk.store.dialect.writer, "begin")
    def clash(_: Connection) -> None:
        if left:
            raise left.pop()

    desk.do(success(delivery))
    assert left == []
    assert desk.store.ledger.healthy_since == before
    assert desk.errors == []


def test_who_needs_a_row_that_somebody_sits_on_suffers_alone(
    new_postgres: Callable[[], str], open_desk: OpenDesk
) -> None:
    desk = open_desk(new_postgres())

    @event.listens_for(desk.store.dialect.writer, "begin")
    def impatient(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")

    held, free = desk.run_one(), desk.run_one()
    before = desk.store.ledger.healthy_since
    with psycopg.connect(desk.url.replace("+psycopg", "")) as rival:
        rival.execute("SELECT 1 FROM executions WHERE execution_id = %s FOR UPDATE", (held.ref.key[1],))
        stuck, settled, accepted = desk.each(success(held), success(free), Accept(draft()))
    assert isinstance(stuck, StoreUnavailableError)
    assert settled.execution.is_terminal
    assert not accepted.existing
    assert desk.store.ledger.healthy_since > before
    assert not desk.store.ledger.is_away
    desk.do(success(held))
