"""What every test may use: stores to run on, sidecars as processes, and the API spoken raw."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.processes import SidecarProcess
from tests.services.postgres import Postgres
from tests.wire import Wire

pytest_plugins = ["tests.services.fixtures"]

# No test asserts a time: how long an example takes says something about the machine only.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

STORES = ("sqlite", "postgres")

NewStore = Callable[[Path], str | None]
"""Makes an empty store and returns its URL; None is a SQLite file in the sidecar's own folder."""


@pytest.fixture(scope="session", params=STORES)
def new_store(request: pytest.FixtureRequest) -> NewStore:
    """Both stores, one suite."""
    if request.param == "sqlite":
        return lambda _folder: None
    postgres: Postgres = request.getfixturevalue("postgres")
    return lambda _folder: postgres.create_database()


@pytest.fixture(scope="session")
def sidecar(new_store: NewStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """One running sidecar for all tests of a store; each test has a namespace of its own."""
    folder = tmp_path_factory.mktemp("sidecar")
    with SidecarProcess(folder, new_store(folder)) as running:
        yield running


@pytest.fixture
def wire(sidecar: SidecarProcess) -> Iterator[Wire]:
    """The raw API of the shared sidecar, in a fresh namespace."""
    wire = Wire(sidecar.target, f"ns-{uuid.uuid4()}")
    yield wire
    wire.close()


StartSidecar = Callable[..., SidecarProcess]


@pytest.fixture
def start_sidecar(new_store: NewStore, tmp_path: Path) -> Iterator[StartSidecar]:
    """Sidecars of the test's own, to kill and to stop, on either store; not started yet."""
    made: list[SidecarProcess] = []

    def make(**settings: str) -> SidecarProcess:
        folder = tmp_path / f"sidecar-{len(made)}"
        folder.mkdir()
        process = SidecarProcess(folder, new_store(folder), **settings)
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()
