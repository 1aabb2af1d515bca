"""Whose fault an error of the database is: the database's, a rival's, or the command's own."""

import sqlite3
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sidecar.core.refusals import StoreUnavailableError


class Trouble(Enum):
    """What to do about an error that the command did not provoke."""

    AWAY = auto()
    """Nothing can be written now: wait, and try again."""
    CLASH = auto()
    """Another transaction was in the way and has won: the same again, at once."""
    HELD = auto()
    """Somebody sits on a row: only who needs that row suffers."""


class ContendedError(StoreUnavailableError):
    """Others are in the way: nothing was committed, and alone it may go well."""


_CLASHES = ("40001", "40P01")
_HELD = ("55P03", "57014")
_AWAY = ("08", "28", "3D", "53", "57P", "58", "25006", "25P03")
"""Connection, its rights, its database, resources, shutdown, the system below, read-only, idle too long."""
_AWAY_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def trouble(error: Exception) -> Trouble | None:
    """Return what kind of trouble an error speaks of, None for a command's own fault or a bug."""
    if isinstance(error, PoolTimeoutError):
        return Trouble.AWAY
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    if state in _CLASHES:
        return Trouble.CLASH
    if state in _HELD:
        return Trouble.HELD
    return Trouble.AWAY if _is_away(error, state) else None


def _is_away(error: DBAPIError, state: str | None) -> bool:
    if error.connection_invalidated:
        return True
    if state is not None:
        return state.startswith(_AWAY)
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _AWAY_SQLITE
    return isinstance(error, (OperationalError, InterfaceError))


def reason(error: Exception) -> str:
    """Return the first line of what the driver said."""
    return str(getattr(error, "orig", error)).partition("\n")[0]
