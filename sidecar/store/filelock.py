"""The lock beside a SQLite file: one sidecar holds it, a second one is told so."""

import fcntl
import os
from pathlib import Path

from sidecar.store.engine import UnusableStoreError


class FileLock:
    """An exclusive lock on `<file>.lock`, held until released or until the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            UnusableStoreError: if somebody holds it, or the folder cannot be written.
        """
        beside = path.with_name(f"{path.name}.lock")
        try:
            self._handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnusableStoreError(f"{beside} cannot be written: {error}") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._handle, 32, 0).decode(errors="replace") or "unknown"
            os.close(self._handle)
            raise UnusableStoreError(
                f"{path} is in use by another sidecar (process {holder}); one file has one sidecar. "
                "Stop the other, give this one its own file, or use PostgreSQL for several"
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let go of the file."""
        os.close(self._handle)
