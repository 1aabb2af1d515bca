"""The spool: a folder of fsynced files, one for each execution whose sidecar could not be told of it yet."""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sidecar.client.kept import DRAFT, SET_ASIDE, Kept, hold, put
from sidecar.client.spooled import OLDEST, Spooled, UnreadableError, decoded

VARIABLE: Final = "SIDECAR_SPOOL"
KEPT: Final = ".json"
_STALE_DRAFT: Final = timedelta(hours=1)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


class SpoolError(Exception):
    """The spool could not keep something; the text says what and what to do."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a spool holds, what is set aside included, and how long it is of use."""

    files: int = 1_000
    bytes: int = 64 * 1024 * 1024
    age: timedelta = OLDEST


DEFAULT_BOUNDS: Final = Bounds()


def default_folder(environment: Mapping[str, str]) -> Path:
    """Return where the spool is if nobody says otherwise: of the user's own state.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/

    Raises:
        SpoolError: if the user has no home.
    """
    if given := environment.get(VARIABLE):
        return Path(given)
    state = environment.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    return (Path(state) if state.startswith("/") else _of_home()) / "execution-sidecar" / "spool"


def _of_home() -> Path:
    try:
        return Path("~/.local/state").expanduser()
    except RuntimeError as error:
        raise SpoolError(f"there is no home directory for a spool; name one with {VARIABLE}") from error


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it was seen, without waiting for whoever holds it."""

    path: Path
    size: int
    changed_at: datetime
    held: bool
    told: Spooled | None
    problem: str = ""


class Spool:
    """One folder; any number of processes may use it at once."""

    def __init__(self, folder: Path, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self.folder = folder
        self.bounds = bounds

    def add(self, told: Spooled) -> Kept:
        """Keep a new one, held by this process.

        Raises:
            SpoolError: if the spool is full, or cannot be written.
        """
        data = told.encoded()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_beyond_bounds(len(data))
            name = f"{_UNSAFE.sub('_', told.execution_id)[:64]}-{secrets.token_hex(8)}{KEPT}"
            path = self.folder / name
            return Kept(path, put(path, data))
        except OSError as error:
            raise SpoolError(
                f"the spool {self.folder} cannot be written: {error.strerror or error}"
            ) from error

    def waiting(self) -> list[Path]:
        """Return the files that are to be told, oldest first."""
        found = [(info.st_mtime_ns, path) for path, info in self._files() if path.name.endswith(KEPT)]
        return [path for _, path in sorted(found)]

    def look(self) -> list[Found]:
        """Return all that is there, set aside or not, oldest first."""
        found = [self._found(path, info) for path, info in self._files() if not path.name.endswith(DRAFT)]
        return sorted(found, key=lambda each: (each.changed_at, each.path.name))

    def sweep(self) -> None:
        """Remove drafts of processes that died before what they wrote was kept."""
        for path, info in self._files():
            if path.name.endswith(DRAFT) and datetime.now(UTC) - _time(info) > _STALE_DRAFT:
                with suppress(OSError):
                    path.unlink()

    def _found(self, path: Path, info: os.stat_result) -> Found:
        try:
            kept = hold(path)
            if kept is not None:
                kept.release()
        except OSError as error:
            return Found(path, info.st_size, _time(info), False, None, error.strerror or str(error))
        try:
            told, problem = decoded(path.read_bytes()), ""
        except UnreadableError as error:
            told, problem = None, str(error)
        except OSError as error:
            told, problem = None, error.strerror or str(error)
        return Found(path, info.st_size, _time(info), kept is None, told, problem)

    def _refuse_beyond_bounds(self, size: int) -> None:
        sizes = [info.st_size for _, info in self._files()]
        bounds = self.bounds
        if len(sizes) < bounds.files and sum(sizes) + size <= bounds.bytes:
            return
        raise SpoolError(
            f"the spool {self.folder} is full: {len(sizes)} files of {sum(sizes)} bytes, the bounds are "
            f"{bounds.files} files and {bounds.bytes} bytes; deliver them with `sidecar spool flush`, or "
            "remove what is of no use"
        )

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            entries = list(os.scandir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name.endswith((KEPT, SET_ASIDE, DRAFT)) and not entry.is_symlink():
                with suppress(FileNotFoundError):
                    yield Path(entry.path), entry.stat()


def _time(info: os.stat_result) -> datetime:
    return datetime.fromtimestamp(info.st_mtime, UTC)
