"""One spooled file in the hands of one process: read, replaced whole, told and removed."""

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.client.spooled import Spooled, decoded

SET_ASIDE: Final = ".bad"
DRAFT: Final = ".tmp"


class Kept:
    """A file that this process alone has to do with, until it is released or the process ends."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def read(self) -> Spooled:
        """Return what it holds.

        Raises:
            UnreadableError: if that is none of ours.
            OSError: if it cannot be read.
        """
        return decoded(self.path.read_bytes())

    def write(self, told: Spooled) -> None:
        """Replace what it holds, all or nothing: when this returns, it outlives a power cut.

        Raises:
            OSError: if it cannot be written; the file is then as it was.
        """
        former, self._lock = self._lock, put(self.path, told.encoded())
        os.close(former)

    def remove(self) -> None:
        """Forget what has been told."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.release()

    def set_aside(self) -> Path:
        """Put what cannot be told out of the way, for people to look at; return where it is."""
        aside = self.path.with_name(self.path.name + SET_ASIDE)
        self.path.rename(aside)
        self.release()
        return aside

    def release(self) -> None:
        """Leave the file to whoever comes next."""
        os.close(self._lock)


def hold(path: Path) -> Kept | None:
    """Take a file for this process; None if another has it, or has told it by now.

    Raises:
        OSError: if it is there and cannot be opened.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return Kept(path, lock)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def put(path: Path, data: bytes) -> int:
    """Write a file whole and put it in its place; return the lock on it, which it never was without."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{DRAFT}")
    lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(lock, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(lock)
        draft.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        os.close(lock)
        with suppress(OSError):
            draft.unlink()
        raise
    return lock


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
