"""A real PostgreSQL with durable commits, and a fresh database for each test that asks."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psycopg

from tests.services.loopback import HOST, await_condition, free_port
from tests.services.postgres_programs import reachable_programs, server_user
from tests.services.program import Program

TEMPLATE = "sidecar_template"
LEAVE_TEMPLATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'sidecar_template'"
SETTINGS = ("fsync=on", "synchronous_commit=on", "unix_socket_directories=", "max_connections=200")


class Postgres(Program):
    """A server of our own on a loopback port; its data is deleted at the end."""

    stop_signal = signal.SIGINT

    def __init__(self, programs: Path) -> None:
        # Not pytest's folder: that one is closed to the user the server runs as.
        super().__init__(Path(tempfile.mkdtemp(prefix="sidecar-postgres-")))
        self.port = free_port()
        self.user = server_user()
        self._programs = reachable_programs(programs, self.folder)
        self._data = self.folder / "data"
        self._template = "template0"
        self._serial = itertools.count(1)

    def command(self) -> Sequence[str]:
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        listen = ("-h", HOST, "-p", str(self.port))
        return (self._program("postgres"), "-D", str(self._data), *listen, *settings)

    def environment(self) -> Mapping[str, str]:
        return {}

    def healthy(self) -> bool:
        try:
            self._execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Start the server, on a new cluster if it has none yet."""
        if not self._data.exists():
            self._initialise()
        super().start()

    def __exit__(self, *raised: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def bounce(self) -> None:
        """Stop without a checkpoint, so that the start after it is a recovery."""
        assert self._child is not None, "PostgreSQL is not running"
        self._child.send_signal(signal.SIGQUIT)
        self._child.wait(15)
        self.start()

    def kill(self) -> None:
        """SIGKILL the server and all its processes, as a lost machine would."""
        if self.running:
            # Stopped, it forks no further process between the look at them and the kill.
            os.kill(self.pid, signal.SIGSTOP)
        orphans = _children(self.pid) if self.running else []
        super().kill()
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        await_condition(lambda: not any(map(_alive, orphans)), "PostgreSQL's processes ended", 10)

    def prepare_template(self, migrate: Callable[[str], None]) -> None:
        """Make the database that fresh ones are copied from, with the schema that migrate puts in."""
        migrate(self._create(TEMPLATE, copied_from="template0"))
        # A copy needs its original without connections, and migrate may have left some pooled.
        self._execute(f"ALTER DATABASE {TEMPLATE} WITH ALLOW_CONNECTIONS false")
        self._execute(LEAVE_TEMPLATE)
        self._template = TEMPLATE

    def create_database(self) -> str:
        """The SQLAlchemy URL of a fresh copy of the template."""
        return self._create(f"test_{os.getpid()}_{next(self._serial)}", copied_from=self._template)

    def drop_database(self, url: str) -> None:
        """Drop a database by its URL, whoever is still connected."""
        self._execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _create(self, name: str, copied_from: str) -> str:
        self._execute(f"CREATE DATABASE {name} TEMPLATE {copied_from}")
        return f"postgresql+psycopg://postgres@{HOST}:{self.port}/{name}"

    def _execute(self, statement: str) -> None:
        server = f"host={HOST} port={self.port} user=postgres dbname=postgres connect_timeout=5"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _initialise(self) -> None:
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        cluster = ("-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")
        command = (self._program("initdb"), *cluster, "-E", "UTF8", "--locale=C.UTF-8")
        subprocess.run(command, cwd=self.folder, user=self.user, capture_output=True, check=True)

    def _program(self, name: str) -> str:
        return str(self._programs / name)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _alive(pid: int) -> bool:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
    return after_name.split()[0] != "Z"
