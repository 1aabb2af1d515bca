"""A look-up by an id goes by the index of that id, also in a large store; COR-5."""

from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, event

from sidecar.core.commands import Accept
from sidecar.core.ports import ListQuery
from tests.store.workbench import Desk, Sql, draft


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("request_id", "executions_by_request"),
        ("trace_id", "executions_by_trace"),
        ("external_id", "executions_by_external"),
        ("schedule_id", "executions_by_schedule"),
        ("webhook_id", "executions_by_webhook"),
        ("idempotency_key", "idempotency_keys"),
    ],
)
def test_a_look_up_goes_by_the_index_of_its_id(desk: Desk, name: str, index: str) -> None:
    for _ in range(4):
        desk.each(*(Accept(draft(idempotency_key=draft().correlation.execution_id)) for _ in range(500)))
    if (sql := Sql(desk.url)).is_postgres:
        sql.run("ANALYZE")  # as its autovacuum does; SQLite has to do without
    for before in (None, (2**60, "z")):
        asked: dict[str, Any] = {name: "nobody"}
        plan = explained(desk, ListQuery("default", before=before, **asked))
        assert index in plan, plan
        assert "Seq Scan" not in plan
        assert "executions_listed" not in plan


def explained(desk: Desk, query: ListQuery) -> str:
    """Return how the database would answer a page."""
    asked: list[Any] = []

    def note(_c: Any, _u: Any, statement: str, values: Any, _x: Any, _many: bool) -> None:
        if "LIMIT" in statement:
            asked.extend((statement, values))

    event.listen(desk.store.dialect.readers, "before_cursor_execute", note)
    desk.ask(desk.store.reader.page(query))
    statement, values = asked
    event.remove(desk.store.dialect.readers, "before_cursor_execute", note)
    with create_engine(desk.url, poolclass=NullPool).connect() as connection:
        explaining = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        rows = connection.exec_driver_sql(explaining + statement, values)
        return "\n".join(str(row[-1]) for row in rows)
