"""Both stores, one suite: each test gets an empty database and a running store on it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar import failpoints
from tests.services.postgres import Postgres
from tests.store.workbench import Desk, Sql

NewUrl = Callable[[], str]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"
    Desk(f"sqlite:///{path}").start().close()
    return path


@pytest.fixture(scope="session")
def new_sqlite(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> NewUrl:
    """Makes empty SQLite stores."""

    def make() -> str:
        return f"sqlite:///{shutil.copy(migrated_file, tmp_path_factory.mktemp('store') / 'store.db')}"

    return make


@pytest.fixture(scope="session")
def new_postgres(postgres: Postgres) -> NewUrl:
    """Makes empty databases; they go with their server."""
    return postgres.create_database


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest) -> NewUrl:
    """Both stores, one suite."""
    found: NewUrl = request.getfixturevalue(f"new_{request.param}")
    return found


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """Return the URL of an empty store of either kind."""
    return new_url()


@pytest.fixture
def open_desk() -> Iterator[Callable[..., Desk]]:
    """Desks of the test's own; they are closed at its end."""
    desks: list[Desk] = []

    def open_one(url: str, **settings: Any) -> Desk:
        desks.append(Desk(url, **settings).start())
        return desks[-1]

    yield open_one
    failpoints.disarm()
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(url: str, open_desk: Callable[..., Desk]) -> Desk:
    return open_desk(url)


@pytest.fixture
def sql(desk: Desk) -> Sql:
    return Sql(desk.url)


@pytest.fixture(scope="session")
def postgres_schema() -> Callable[[str], None]:
    """Have new databases come with the schema."""
    return lambda url: Desk(url).start().close()


@pytest.fixture
def sql_of() -> Callable[[str], Sql]:
    """Connections past the store, by URL."""
    return Sql
