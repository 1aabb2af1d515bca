"""`sidecar version`: of the command, and of what durability rests on."""

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import typer
from rich.text import Text

from sidecar.cli.documents import Document
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import shared

DISTRIBUTION = "execution-sidecar"


def version(context: typer.Context) -> ExitCode:
    """Show the version of this command, of Python and of SQLite."""
    document = versions()
    fixed = "has" if document["sqlite_wal_reset_fix"] else "lacks"
    shared(context).output.answer(
        document,
        Text(f"{DISTRIBUTION} {document['version']}"),
        Text(f"Python {document['python']}"),
        Text(f"SQLite {document['sqlite']} ({fixed} the WAL-reset fix of 3.51.3, 3.50.7 and 3.44.6)"),
    )
    return ExitCode.OK


def versions() -> Document:
    """Return the versions as a document."""
    return {
        "version": _own(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlite_wal_reset_fix": has_wal_reset_fix(sqlite3.sqlite_version_info),
    }


def has_wal_reset_fix(release: tuple[int, ...]) -> bool:
    """Say whether an SQLite release cannot corrupt the file by a checkpoint that races a commit.

    Source: https://sqlite.org/wal.html (the WAL-reset bug).
    """
    fixed = ((3, 44, 6), (3, 45, 0)), ((3, 50, 7), (3, 51, 0))
    return release >= (3, 51, 3) or any(first <= release < end for first, end in fixed)


def _own() -> str:
    try:
        return version_of(DISTRIBUTION)
    except PackageNotFoundError:
        return "not installed"
