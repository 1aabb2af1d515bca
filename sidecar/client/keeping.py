"""Keeping one execution's commands on disk while its process goes on, from the I/O thread and others."""

import threading

from sidecar.client.kept import Kept
from sidecar.client.spool import Spool, SpoolError
from sidecar.client.spooled import Spooled


class Keeping:
    """At most one file. Whoever calls first is first; an earlier state never replaces the end."""

    def __init__(self, spool: Spool) -> None:
        self.folder = spool.folder
        self._spool = spool
        self._kept: Kept | None = None
        self._ended = False
        self._lock = threading.Lock()

    @property
    def is_kept(self) -> bool:
        """True while there is a file."""
        return self._kept is not None

    def keep(self, what: Spooled) -> None:
        """Have it on disk.

        Raises:
            SpoolError: if the spool is full, or cannot be written.
        """
        with self._lock:
            self._ended = self._ended or what.settlement is not None
            if self._kept is None:
                self._kept = self._spool.add(what)
            else:
                self._write(self._kept, what)

    def update(self, what: Spooled) -> None:
        """Have the file, if there is one, say what is known now.

        Raises:
            SpoolError: if it cannot be written.
        """
        with self._lock:
            if self._kept is not None and (what.settlement is not None or not self._ended):
                self._write(self._kept, what)

    def release(self) -> None:
        """Leave the file to whoever tells it later."""
        with self._lock:
            kept, self._kept = self._kept, None
            if kept is not None:
                kept.release()

    def remove(self) -> None:
        """Forget what has been told."""
        with self._lock:
            kept, self._kept = self._kept, None
            if kept is not None:
                kept.remove()

    def set_aside(self) -> None:
        """Leave the file for people to look at."""
        with self._lock:
            kept, self._kept = self._kept, None
            if kept is not None:
                kept.set_aside()

    def _write(self, kept: Kept, what: Spooled) -> None:
        try:
            kept.write(what)
        except OSError as error:
            raise SpoolError(f"{kept.path} cannot be written: {error.strerror or error}") from error
