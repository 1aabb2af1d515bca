"""A witness tells a sidecar of one outside execution while it goes on, and keeps what it cannot tell."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

from sidecar.client.channel import Connection
from sidecar.client.errors import AlreadyFinalizedError, LeaseLostError, SidecarError
from sidecar.client.external import LEASED_ELSEWHERE, External, may_be_told_later
from sidecar.client.io_thread import quiet
from sidecar.client.keeping import Keeping
from sidecar.client.records import Execution, State
from sidecar.client.retrying import Backoff
from sidecar.client.spool import Spool, SpoolError
from sidecar.client.spooled import Spooled, now
from sidecar.client.telling import Teller, Told
from sidecar.v1 import worker_service_pb2 as work

LATER_SECONDS: Final = 5.0
_SAME: Final = {"succeeded": State.SUCCEEDED, "failed": State.FAILED, "cancelled": State.CANCELLED}


class Hearing(Protocol):
    """Who does the work; called from any thread."""

    def note(self, line: str) -> None:
        """Tell people of a problem that does not stop the work."""

    def cancel(self, reason: str, grace: timedelta) -> None:
        """Stop the work: somebody asked for it, maybe not for the first time."""


class Witness:
    """One execution's; `start` and `end` block for no longer than about `patience` seconds each."""

    def __init__(
        self, connection: Connection, what: Spooled, spool: Spool, hearing: Hearing, patience: float
    ) -> None:
        self._connection = connection
        self._what = what
        self._keeping = Keeping(spool)
        self._hearing = hearing
        self._patience = patience
        self._lease: work.Lease | None = None
        self._over = False
        self._absence_noted = False
        self._attending: asyncio.Task[None] | None = None

    @property
    def is_recorded(self) -> bool:
        """False once the sidecar has refused to know of the execution."""
        return self._lease is not None or not self._over

    def start(self, *, required: bool) -> work.Lease | None:
        """Register and begin; None if that has to be told later, or never.

        Raises:
            SidecarError: what went wrong, if an answer is `required`.
        """
        io = self._connection.io
        try:
            self._take(io.block(self._teller(self._patience).tell(self._what, late=False)))
        except SidecarError as error:
            if required:
                raise
            if may_be_told_later(error) and self._keep(self._what):
                self._note_absence(error)
            self._refuse(error)
        if not self._over:
            io.block(self._attend())
        return self._lease

    def end(self, settlement: work.Settlement) -> None:
        """Say how it ended; what cannot be said now is on disk when this returns."""
        io = self._connection.io
        io.block(self._leave())
        if not self.is_recorded:
            self._keeping.remove()
            return
        if self._lease is not None:
            settlement.lease.CopyFrom(self._lease.lease)
        self._what = self._what.ended(settlement, now())
        self._keep(self._what)
        try:
            io.block(self._teller(self._patience).tell(self._what, late=True))
        except AlreadyFinalizedError as error:
            self._keeping.remove()
            self._note_other_end(settlement, error.execution)
        except SidecarError as error:
            self._unsaid(error)
        else:
            self._keeping.remove()

    def _teller(self, within: float) -> Teller:
        return Teller(self._connection, within, keep=self._keeping.update, note=self._hearing.note)

    def _take(self, told: Told) -> None:
        self._what, self._lease = told.what, told.lease

    def _keep(self, what: Spooled) -> bool:
        """Put it on disk before it is said, as the sidecar or this process may end meanwhile."""
        try:
            self._keeping.keep(what)
        except SpoolError as error:
            self._hearing.note(f"nothing can be kept for later: {error}")
            return False
        return True

    def _note_absence(self, error: SidecarError) -> None:
        if not self._absence_noted:
            self._absence_noted = True
            target, folder = self._what.target, self._keeping.folder
            self._hearing.note(f"not told to the sidecar at {target}, kept in {folder} for later: {error}")

    def _note_other_end(self, settlement: work.Settlement, record: Execution | None) -> None:
        same = _SAME.get(settlement.WhichOneof("outcome") or "")
        if record is not None and record.state is not same and not self._over:
            self._hearing.note(f"{_ended(record)} before its command ended")

    def _unsaid(self, error: SidecarError) -> None:
        if may_be_told_later(error) or error.reason == LEASED_ELSEWHERE:
            if self._keeping.is_kept:
                self._note_absence(error)
            self._keeping.release()
            return
        self._hearing.note(f"how this run ended is not recorded: {error}")
        with suppress(OSError):
            self._keeping.set_aside()

    async def _attend(self) -> None:
        self._attending = asyncio.get_running_loop().create_task(self._go_along(), context=quiet())

    async def _leave(self) -> None:
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.wait([self._attending])

    async def _go_along(self) -> None:
        """Begin if that is still to be told, then keep the lease alive, until cancelled."""
        backoff = Backoff(first=1.0, most=15.0)
        while not self._over:
            if self._lease is None:
                await self._begin_late(backoff)
            else:
                await self._beat(self._lease)

    async def _begin_late(self, backoff: Backoff) -> None:
        try:
            self._take(await self._teller(LATER_SECONDS).tell(self._what, late=True))
            backoff.reset()
        except SpoolError as error:
            self._hearing.note(str(error))
            await backoff.rest()
        except SidecarError as error:
            self._refuse(error)
            await backoff.rest(error.retry_after)

    async def _beat(self, lease: work.Lease) -> None:
        third = lease.ttl.ToTimedelta().total_seconds() / 3
        await asyncio.sleep(third)
        try:
            answer = await External(self._connection, third).heartbeat(lease.lease)
        except LeaseLostError:
            self._lease = None
        except SidecarError as error:
            self._refuse(error)
        else:
            if answer.HasField("cancel"):
                self._hearing.cancel(answer.cancel.reason, answer.cancel.grace.ToTimedelta())

    def _refuse(self, error: SidecarError) -> None:
        """Act on what the sidecar said no to; its absence is no such thing."""
        if may_be_told_later(error):
            return
        self._over = True
        record = error.execution
        if self._lease is None:
            self._hearing.note(f"this run is not recorded: {error}")
        elif record is not None and record.state is State.CANCELLED:
            self._hearing.cancel(record.cancel_reason, timedelta())
        else:
            self._hearing.note(_ended(record) if record else str(error))


def _ended(record: Execution) -> str:
    why = f" ({record.error.type})" if record.error else ""
    return f"execution {record.execution_id} was settled as {record.state}{why}"
