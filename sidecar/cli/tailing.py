"""The end of what a command writes to standard error, kept while all of it passes through."""

import os
import threading
from collections import deque
from contextlib import suppress
from typing import Final

MAX_LINES: Final = 1_000
_MAX_BYTES: Final = 6_000
_CHUNK: Final = 65_536
_PATIENCE_SECONDS: Final = 1.0


class Tail:
    """The last `lines` lines, and no more than fit an error's message."""

    def __init__(self, lines: int, onto: int) -> None:
        """Pass everything on to the file descriptor `onto`."""
        self._lines = lines
        self._onto = onto
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._from, self.writer = os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def begin(self) -> None:
        """Read from now on; the command has the other end of the pipe."""
        os.close(self.writer)
        self._thread.start()

    def text(self) -> str:
        """Return what was kept; who else still holds the pipe is not waited for."""
        self._thread.join(_PATIENCE_SECONDS)
        lines = b"".join(list(self._kept)).splitlines()[-self._lines :]
        return b"\n".join(lines)[-_MAX_BYTES:].decode(errors="replace")

    def _pass_on(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self._from, _CHUNK):
                self._keep(chunk[-_MAX_BYTES:])
                _write_all(self._onto, chunk)

    def _keep(self, chunk: bytes) -> None:
        self._kept.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._kept[0]) >= _MAX_BYTES:
            self._size -= len(self._kept.popleft())


def _write_all(onto: int, data: bytes) -> None:
    """Write; who does not want to read it any more does not keep the rest from being read."""
    with suppress(OSError):
        while data:
            data = data[os.write(onto, data) :]
