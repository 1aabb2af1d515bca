"""The migrations and the tables say the same, one starter migrates, and a newer schema is refused."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Inspector, NullPool, create_engine, inspect

from sidecar.store.engine import UnusableStoreError
from sidecar.store.schema import HEAD, MIGRATIONS
from sidecar.store.tables import metadata
from tests.services.postgres import Postgres
from tests.store.workbench import Desk, Sql

TABLES = sorted(metadata.tables)


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fresh.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return empty_postgres(postgres, "fresh")


def empty_postgres(postgres: Postgres, prefix: str) -> str:
    base = Sql(postgres.create_database())
    name = f"{prefix}_{base.url.rpartition('/')[2]}"
    base.run_alone(f"CREATE DATABASE {name} TEMPLATE template0")
    return f"{base.url.rpartition('/')[0]}/{name}"


def described(engine: Engine) -> dict[str, Any]:
    inspector = inspect(engine)
    return {table: _described(inspector, table) for table in TABLES}


def _described(inspector: Inspector, table: str) -> dict[str, Any]:
    # Sorted: a column that a migration added comes last, whatever the model's order.
    columns = sorted((c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table))
    rules = {c["name"]: c["sqltext"] for c in inspector.get_check_constraints(table)}
    indexes = {
        i["name"]: (i["column_names"], sorted(map(str, i.get("dialect_options", {}).values())))
        for i in inspector.get_indexes(table)
    }
    key = inspector.get_pk_constraint(table)["constrained_columns"]
    return {"columns": columns, "rules": rules, "indexes": indexes, "key": key}


def test_the_migrated_schema_is_what_the_tables_say(
    fresh_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    Desk(fresh_url).start().close()
    other = f"sqlite:///{tmp_path / 'other.db'}"
    if Sql(fresh_url).is_postgres:
        other = empty_postgres(request.getfixturevalue("postgres"), "other")
    engines = [create_engine(u, poolclass=NullPool) for u in (fresh_url, other)]
    metadata.create_all(engines[1])
    migrated, told = map(described, engines)
    assert migrated == told
    assert set(told["executions"]["rules"]) >= {"executions_state", "executions_terminal_span"}


def test_the_code_knows_its_own_version() -> None:
    versions = sorted(p.stem for p in (MIGRATIONS / "versions").glob("v*.py"))
    assert versions[-1].startswith(f"v{HEAD}_")
    assert all(len(p.read_text().splitlines()) < 100 for p in (MIGRATIONS / "versions").glob("v*.py"))


def test_a_schema_from_the_future_is_refused(fresh_url: str) -> None:
    Desk(fresh_url).start().close()
    Sql(fresh_url).run("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnusableStoreError, match="schema 9999, which is newer"):
        Desk(fresh_url)


@pytest.mark.parametrize("fresh_url", ["postgres"], indirect=True)
def test_of_many_that_start_at_once_one_migrates_and_all_run(fresh_url: str) -> None:
    begin, problems = threading.Barrier(4), []

    def start() -> None:
        begin.wait(10)
        try:
            desk = Desk(fresh_url).start()
            desk.accept()
            desk.close()
        except Exception as error:
            problems.append(error)

    starters = [threading.Thread(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(60)
    assert problems == []
    assert Sql(fresh_url).run("SELECT count(*) FROM executions")[0][0] == 4
