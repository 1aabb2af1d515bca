"""Telling: a sidecar is brought up to date with one outside execution, however much of it it knows."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from sidecar.client.channel import Connection
from sidecar.client.errors import LeaseLostError, NotFoundError, SidecarError
from sidecar.client.expecting import Expectations
from sidecar.client.external import External, is_anothers, may_be_told_later
from sidecar.client.spooled import Spooled, now
from sidecar.v1 import worker_service_pb2 as work


@dataclass(frozen=True, slots=True)
class Told:
    """What a sidecar was told. `lease` is held as long as there was no settlement to tell."""

    what: Spooled
    lease: work.Lease | None = None


class Teller:
    """Lives on the I/O thread. Telling the same again is safe: every command has a natural key.

    `keep` is called, on another thread, before an execution is taken that the file does not name yet;
    `note` when the schedule could not be made sure of.
    """

    def __init__(
        self,
        connection: Connection,
        within: float,
        *,
        keep: Callable[[Spooled], None] = lambda _: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._external = External(connection, within)
        self._expectations = Expectations(connection, within)
        self._keep = keep
        self._note = note

    async def tell(self, what: Spooled, *, late: bool) -> Told:
        """Have it registered, begun and, if it has ended, settled; `late` says how long ago each was.

        Raises:
            AlreadyFinalizedError: the sidecar has its outcome; the record is in `execution`.
            SidecarError: the refusal, or that the sidecar was away.
        """
        if what.settlement is not None and what.settlement.HasField("lease"):
            with suppress(LeaseLostError, NotFoundError):
                await self._external.settle(what.settlement)
                return Told(what)
        occurrence = await self._occurrence(what)
        if occurrence is not None:
            try:
                return await self._go_on(occurrence, late=late)
            except SidecarError as error:
                if not (is_anothers(error, what.begin.worker_id) or isinstance(error, NotFoundError)):
                    raise
            what = await self._named(replace(what, expected=None).beginning(what.register.item.execution_id))
        answer = await self._external.register(what.registration(now() if late else None))
        registered = answer.execution.correlation.execution_id
        if registered != what.execution_id:  # its idempotency key stands for an earlier one
            what = await self._named(what.beginning(registered))
        return await self._go_on(what, late=late)

    async def _go_on(self, what: Spooled, *, late: bool) -> Told:
        lease = await self._external.begin(what.beginning_now(now() if late else None))
        if what.settlement is None:
            return Told(what, lease)
        settlement = work.Settlement()
        settlement.CopyFrom(what.settlement)
        settlement.lease.CopyFrom(lease.lease)
        await self._external.settle(settlement)
        return Told(what)

    async def _occurrence(self, what: Spooled) -> Spooled | None:
        """Return the same as the occurrence of its schedule, None if it is none."""
        if what.is_occurrence or what.expected is None:
            return what if what.is_occurrence else None
        namespace, expected = what.begin.namespace, what.expected
        try:
            await self._expectations.ensure(namespace, expected)
            found = await self._expectations.due(namespace, expected, what.begun_at, what.register.item)
        except SidecarError as error:
            if may_be_told_later(error):
                raise
            self._note(f"schedule {expected.schedule_id!r} is not expected: {error}")
            return None
        return None if found is None else await self._named(what.beginning(found))

    async def _named(self, what: Spooled) -> Spooled:
        await asyncio.to_thread(self._keep, what)
        return what
