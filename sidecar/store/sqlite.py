"""SQLite: one process holds the file, one connection writes and checkpoints, readers only read."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, column, create_engine, event, func, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeEngine

from sidecar.core.ports import Clock
from sidecar.store.engine import Listing, Opening, UnusableStoreError
from sidecar.store.filelock import FileLock

_BUSY_SECONDS = 5.0
_TICKETS = 2**31 - 1
_COMMON = ("PRAGMA foreign_keys=ON", "PRAGMA synchronous=FULL", "PRAGMA fullfsync=ON")
_WRITER = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA journal_size_limit=67108864",
    *_COMMON,
)
_READER = (*_COMMON, "PRAGMA query_only=ON", "PRAGMA wal_autocheckpoint=0")
_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


class Sqlite:
    """One SQLite file, held by this process until `close`."""

    def __init__(self, path: Path, clock: Clock, readers: int) -> None:
        """Take the file, making it if it does not exist.

        Raises:
            UnusableStoreError: if another process holds it, or it is not a sound database.
        """
        self._lock = FileLock(path)
        self._clock = clock
        self._anchor = clock.now(), clock.monotonic()
        try:
            unclean = _prepare(path)
            self.writer = _engine(path, _WRITER, "BEGIN IMMEDIATE", 1)
            self.readers = _engine(path, _READER, "BEGIN", readers + 1)
            self._ticket = _open(self.writer, path, unclean)
        except BaseException:
            self._lock.release()
            raise

    @property
    def notices(self) -> tuple[str, ...]:
        """What an operator should know about this SQLite."""
        return () if _is_fixed(sqlite3.sqlite_version_info) else (_old(sqlite3.sqlite_version),)

    def begin(self, connection: Connection) -> Opening:
        """Count the commit up in the file's header, where its outcome can be read back."""
        self._ticket = self._ticket % _TICKETS + 1
        connection.exec_driver_sql(f"PRAGMA user_version={self._ticket}")
        return Opening(self._now(), str(self._ticket))

    def lease_now(self, connection: Connection) -> int:  # noqa: ARG002
        """Return wall time that was read once, plus what has passed on the monotonic clock."""
        return self._now()

    def _now(self) -> int:
        wall, monotonic = self._anchor
        return wall + int((self._clock.monotonic() - monotonic) * 1e9)

    def landed(self, ticket: str) -> bool | None:
        """Return whether the file's header says that this commit is in it."""
        with self.readers.connect() as connection:
            return _user_version(connection) == int(ticket)

    def listing(self, parameter: str, columns: Mapping[str, type[TypeEngine[Any]]]) -> Listing:
        """Read the parameter with `json_each`."""
        rows = func.json_each(bindparam(parameter)).table_valued(column("value"), name=parameter)
        fields = {name: func.json_extract(rows.c.value, text(f"'$[{i}]'")) for i, name in enumerate(columns)}
        return Listing(rows, fields)

    def one_at_a_time(self, connection: Connection) -> None:
        """Do nothing: the file's lock has seen to it."""

    def take_turns(self, connection: Connection, names: Sequence[str]) -> None:
        """Do nothing: there is one writer."""

    def close(self) -> None:
        """Close the readers, then the writer, which thereby checkpoints, then let go of the file."""
        self.readers.dispose()
        self.writer.dispose()
        self._lock.release()


def _prepare(path: Path) -> bool:
    """Make the file if need be, for its owner's eyes only; return whether it was left in the middle."""
    if path.exists() and path.stat().st_size == 0:
        raise UnusableStoreError(
            f"{path} is empty: it was cut off or never begun. Restore a backup, or delete it to begin anew"
        )
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise UnusableStoreError(f"{path} cannot be written: {error}") from error
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _open(writer: Engine, path: Path, unclean: bool) -> int:
    """Return the last commit's number, after a check of the file if it was left in the middle."""
    try:
        with writer.connect() as connection:
            if unclean:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
                if found != "ok":
                    raise UnusableStoreError(f"{path} is damaged: {found}. Restore a backup")
            return _user_version(connection)
    except (sqlite3.Error, DBAPIError) as error:
        raise UnusableStoreError(f"{path} cannot be opened: {error}") from error


def _user_version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _engine(path: Path, pragmas: tuple[str, ...], begin: str, size: int) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        for pragma in pragmas:
            connection.execute(pragma)
        return connection

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=size, max_overflow=0, pool_timeout=10
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine.execution_options(preserve_rowcount=True)


def _is_fixed(version: tuple[int, int, int]) -> bool:
    return version >= _FIXED[0] or any(version[:2] == f[:2] and version >= f for f in _FIXED[1:])


def _old(version: str) -> str:
    return (
        f"SQLite {version} has the WAL-reset fault that 3.51.3, 3.50.7 and 3.44.6 repair; it cannot strike "
        "here, as exactly one connection writes and checkpoints: let no other program write to the file"
    )
