"""Every statement of the hot path finds its rows by an index; none reads a table from end to end."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine, event

from sidecar.core.commands import Accept, Begin, Cancel, Fault, Reap, Renew, ReportStep, Settle
from sidecar.core.model import Dispatch, Failure, RetryPolicy
from sidecar.core.parcels import ClaimParcels, Stamp, StampParcels
from sidecar.core.ports import ListQuery
from tests.store.workbench import RESOURCE, Desk, claim, draft, success

BIG = "executions|outbox|steps|attempts|idempotency_keys|events"
WHOLE = re.compile(rf"Seq Scan on ({BIG})|SCAN ({BIG})(?! USING INDEX executions_due)")


@pytest.fixture
def statements(desk: Desk) -> dict[str, Any]:
    """What the store has the database do, with the values of the first time."""
    found: dict[str, Any] = {}

    def note(_c: Any, _u: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        if statement.startswith(
            ("SELECT executions", "SELECT min", "SELECT outbox", "SELECT steps", "SELECT att", "UPDATE")
        ):
            found.setdefault(statement, values[0] if many else values)

    for engine in (desk.store.dialect.writer, desk.store.dialect.readers):
        event.listen(engine, "before_cursor_execute", note)
    return found


def live(desk: Desk) -> None:
    """Have every kind of statement run, on a store that is not empty."""
    desk.each(*(Accept(draft()) for _ in range(600)))
    desk.each(*work(desk))
    last = desk.accept(idempotency_key="k").key
    reader = desk.store.reader
    desk.ask(reader.held_by("default", "w-1"))
    desk.ask(reader.page(ListQuery("default", before=(2**60, "z"))))
    desk.ask(reader.trace_rows(last))
    for parcel in desk.do(ClaimParcels("r", "traces", timedelta(1))):
        desk.do(StampParcels((Stamp(parcel.outbox_id, "delivered"),)))


def work(desk: Desk) -> list[Settle]:
    """Have executions claimed, begun, reported on, cancelled, looked at by the reaper and retried."""
    outside = draft(dispatch=Dispatch.EXTERNAL)
    desk.do(Accept(outside))
    desk.do(Begin(outside.key, "w-9", RESOURCE))
    desk.each(*(Accept(draft(retry=RetryPolicy(2, timedelta()))) for _ in range(3)))
    *_, first, second, third = desk.do(claim(700)).deliveries
    desk.each(ReportStep(first.ref, 1, "s", "a" * 16, "", timedelta()), Renew(second.ref))
    desk.do(Cancel(first.ref.key, "", timedelta(1)))
    due = desk.ask(desk.store.reader.due(2**60, 1))
    desk.each(*(Reap(d, leases_too=True) for d in due))
    for _ in range(2):
        desk.do(Settle(third.ref, Fault(Failure("OSError")), b"1"))
    return [success(first), success(second)]


def test_no_statement_reads_a_table_from_end_to_end(desk: Desk, statements: dict[str, Any]) -> None:
    live(desk)
    plans = explained(desk, statements)
    assert len(plans) >= 12
    assert {statement: plan for statement, plan in plans.items() if WHOLE.search(plan)} == {}


def test_claims_walk_the_index_of_what_is_ready_without_sorting(
    desk: Desk, statements: dict[str, Any]
) -> None:
    live(desk)
    # In a smaller table without statistics PostgreSQL takes any index of its namespace for as good.
    desk.each(*(Accept(draft()) for _ in range(2_000)))
    plans = [p for s, p in explained(desk, statements).items() if "dispatch = 'managed'" in s]
    assert len(plans) == 2
    assert all("executions_ready" in plan for plan in plans)
    # What the lanes gave is sorted once, together; no lane is.
    assert sorted(len(re.findall("Sort Key|TEMP B-TREE", plan)) for plan in plans) == [0, 1]


def explained(desk: Desk, statements: dict[str, Any]) -> dict[str, str]:
    with create_engine(desk.url, poolclass=NullPool).connect() as connection:
        if connection.dialect.name == "postgresql":
            # On tables this small it would read them whole where it could do otherwise.
            connection.exec_driver_sql("SET enable_seqscan = off")
        desk.close()
        return {s: _explain(connection, s, values) for s, values in list(statements.items())}


def _explain(connection: Connection, statement: str, values: Any) -> str:
    explaining = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explaining + statement, values))
