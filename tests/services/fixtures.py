"""Pytest fixtures for the real services; load them by pytest_plugins = ["tests.services.fixtures"]."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.services.absent import or_absent
from tests.services.build import built, collector_slot, jaeger_slot
from tests.services.collector import Collector
from tests.services.jaeger import Jaeger
from tests.services.postgres import Postgres
from tests.services.postgres_programs import postgres_programs
from tests.services.sink import Sink


class StartCollector(Protocol):
    """Starts a Collector of the test's own, to stop and to kill, in front of a trace backend."""

    def __call__(self, *, traces_to: str, exact: bool = True) -> Collector: ...


@pytest.fixture(scope="session")
def collector_program() -> Path:
    """The built Collector, or the reason why there is none."""
    with or_absent():
        return built(collector_slot())


@pytest.fixture(scope="session")
def jaeger_program() -> Path:
    """The built Jaeger, or the reason why there is none."""
    with or_absent():
        return built(jaeger_slot())


@pytest.fixture(scope="session")
def jaeger(jaeger_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """One Jaeger for the whole run; tests tell their traces apart by ids."""
    with Jaeger(jaeger_program, tmp_path_factory.mktemp("jaeger")) as running:
        yield running


@pytest.fixture(scope="session")
def collector(
    collector_program: Path, jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """One Collector for the whole run, with the project's configuration, in front of that Jaeger."""
    folder = tmp_path_factory.mktemp("collector")
    with Collector(collector_program, folder, traces_to=jaeger.otlp_grpc) as running:
        yield running


@pytest.fixture
def start_collector(collector_program: Path, tmp_path: Path) -> Iterator[StartCollector]:
    """Collectors of the test's own; they end with the test."""
    with ExitStack() as stack:

        def start(*, traces_to: str, exact: bool = True) -> Collector:
            folder = tmp_path / "collector"
            return stack.enter_context(Collector(collector_program, folder, traces_to=traces_to, exact=exact))

        yield start


@pytest.fixture
def own_jaeger(jaeger_program: Path, tmp_path: Path) -> Iterator[Jaeger]:
    """A Jaeger of the test's own, not started yet: its addresses are known already."""
    jaeger = Jaeger(jaeger_program, tmp_path / "jaeger")
    yield jaeger
    jaeger.stop()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An OTLP receiver that listens, answers OK, and can be told otherwise."""
    with Sink() as listening:
        yield listening


@pytest.fixture(scope="session")
def postgres_schema() -> Callable[[str], None]:
    """Puts the schema into the template database by its URL; override it with the migrations."""
    return lambda _url: None


@pytest.fixture(scope="session")
def postgres(postgres_schema: Callable[[str], None]) -> Iterator[Postgres]:
    """One PostgreSQL for the whole run, its template migrated."""
    with or_absent():
        programs = postgres_programs()
    with Postgres(programs) as running:
        running.prepare_template(postgres_schema)
        yield running


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of a database that nobody has used."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)
