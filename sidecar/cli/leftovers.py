"""Leftovers of former runs are told beside a run whose sidecar is there, within bounded time."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Final

from sidecar.client.channel import Connection
from sidecar.client.flushing import Flush
from sidecar.client.spool import Spool

FLUSH_SECONDS: Final = 30.0


class Leftovers:
    """One pass over the spool, on a thread of its own."""

    def __init__(self, spool: Spool, connection: Connection, note: Callable[[str], None]) -> None:
        self._flush = Flush(spool, connection)
        self._note = note
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Tell them while the command runs."""
        self._thread.start()

    def finish(self, within: float) -> None:
        """Wait for the rest, so many seconds at most; what is left then is told by the next run."""
        if self._thread.ident is not None:
            self._thread.join(within)
            self._flush.stop()

    def _run(self) -> None:
        try:
            flushed = self._flush.run(FLUSH_SECONDS)
        except CancelledError:  # the process ends
            return
        except OSError as error:
            self._note(f"the spool cannot be read: {error.strerror or error}")
            return
        for path, reason in flushed.set_aside:
            self._note(f"{path} was set aside: {reason}")
