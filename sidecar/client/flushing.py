"""Flushing: what processes that are gone could not tell a sidecar is told now."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.client.channel import Connection
from sidecar.client.errors import AlreadyFinalizedError, SidecarError, UnavailableError
from sidecar.client.external import LEASED_ELSEWHERE, may_be_told_later
from sidecar.client.kept import Kept, hold
from sidecar.client.spool import Spool
from sidecar.client.spooled import NewerVersionError, Spooled, UnreadableError, now
from sidecar.client.telling import Teller


@dataclass(slots=True)
class Flushed:
    """What became of the files: executions told, and names with why they were left or set aside.

    `stopped_by` says that the sidecar was away, or ill: then it was no use to go on.
    """

    delivered: list[str] = field(default_factory=list)
    left: list[tuple[Path, str]] = field(default_factory=list)
    set_aside: list[tuple[Path, str]] = field(default_factory=list)
    stopped_by: SidecarError | None = None


class Flush:
    """One pass over a spool for one sidecar; others may make theirs at the same time.

    A sidecar that does not answer within `patience` seconds is taken to be away. Files that were meant
    for another target are left, unless `everyones` has them told here too.
    """

    def __init__(
        self, spool: Spool, connection: Connection, *, patience: float = 5.0, everyones: bool = False
    ) -> None:
        self._spool = spool
        self._connection = connection
        self._patience = patience
        self._everyones = everyones
        self._flushed = Flushed()
        self._stopped = False

    def stop(self) -> None:
        """Begin with no further file."""
        self._stopped = True

    def run(self, within: float) -> Flushed:
        """Tell what can be told within so many seconds, oldest first; it blocks."""
        ends_at = time.monotonic() + within
        self._spool.sweep()
        for path in self._spool.waiting():
            left = ends_at - time.monotonic()
            if left <= 0 or self._stopped or self._flushed.stopped_by is not None:
                self._flushed.left.append((path, "it was not its turn yet"))
                continue
            try:
                kept = hold(path)
                if kept is not None:
                    self._deliver(kept, min(left, self._patience))
            except OSError as error:
                self._flushed.left.append((path, error.strerror or str(error)))
        return self._flushed

    def _deliver(self, kept: Kept, within: float) -> None:
        """Tell one file, and let go of it whatever happens."""
        try:
            what = kept.read()
            if (reason := self._unfit(what)) is not None:
                return self._leave(kept, reason)
            if now() - what.registered_at > self._spool.bounds.age:
                return self._set_aside(kept, f"it is older than {self._spool.bounds.age.days} days")
            return self._tell(kept, what, within)
        except NewerVersionError as error:
            return self._leave(kept, str(error))
        except UnreadableError as error:
            return self._set_aside(kept, str(error))
        except BaseException:
            kept.release()
            raise

    def _unfit(self, what: Spooled) -> str | None:
        if self._everyones or what.target == self._connection.target:
            return None
        return f"it is for the sidecar at {what.target}"

    def _tell(self, kept: Kept, what: Spooled, within: float) -> None:
        teller = Teller(self._connection, within, keep=kept.write)
        try:
            what = self._connection.io.block(teller.tell(what, late=True)).what
        except AlreadyFinalizedError:
            pass
        except UnavailableError as error:
            self._flushed.stopped_by = error
            return self._leave(kept, str(error))
        except SidecarError as error:
            if may_be_told_later(error) or error.reason == LEASED_ELSEWHERE:
                return self._leave(kept, str(error))
            return self._set_aside(kept, str(error))
        self._flushed.delivered.append(what.execution_id)
        return kept.remove()

    def _leave(self, kept: Kept, reason: str) -> None:
        self._flushed.left.append((kept.path, reason))
        kept.release()

    def _set_aside(self, kept: Kept, reason: str) -> None:
        self._flushed.set_aside.append((kept.set_aside(), reason))
