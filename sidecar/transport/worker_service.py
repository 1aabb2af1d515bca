"""WorkerService: leases out, progress and settlements in."""

import asyncio
from collections.abc import AsyncIterator

from sidecar.core.commands import Renew
from sidecar.core.dispatch import Dispatcher
from sidecar.core.folio import Limits
from sidecar.core.ports import Ledger
from sidecar.core.refusals import RefusalError, Refused
from sidecar.transport import leases, responses
from sidecar.transport.context import Context
from sidecar.transport.fields import refuse
from sidecar.transport.work_stream import OnBug, WorkStream
from sidecar.v1 import worker_service_pb2 as work
from sidecar.v1 import worker_service_pb2_grpc as stubs


class WorkerService(stubs.WorkerServiceServicer):
    """Translates, validates, calls the core."""

    def __init__(
        self, ledger: Ledger, dispatcher: Dispatcher, limits: Limits, declare: leases.Declare, on_bug: OnBug
    ) -> None:
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._on_bug = on_bug
        self._limits = limits
        self._declare = declare
        self._streams: set[WorkStream] = set()

    def drain(self) -> None:
        """Tell every connected worker that no more leases come from here."""
        for stream in self._streams:
            stream.drain()

    async def Work(
        self, request_iterator: AsyncIterator[work.WorkRequest], context: Context
    ) -> AsyncIterator[work.WorkResponse]:
        """Serve one worker for as long as it stays."""
        stream = WorkStream(self._ledger, self._dispatcher, self._on_bug)
        reader = asyncio.create_task(self._read(stream, request_iterator))
        self._streams.add(stream)
        try:
            async for frame in stream.frames(reader):
                yield frame
        finally:
            self._streams.discard(stream)
            reader.cancel()
            await asyncio.shield(stream.close())

    async def Settle(self, request: work.SettleRequest, context: Context) -> work.SettleResponse:
        """Settle one lease; the answer leaves after the commit."""
        answer = await self._ledger.submit(leases.settle(request.settlement))
        if isinstance(answer, Refused):
            raise RefusalError(answer)
        return work.SettleResponse(execution=responses.execution(answer.execution), replayed=answer.replayed)

    async def Begin(self, request: work.BeginRequest, context: Context) -> work.BeginResponse:
        """Take the lease of one named execution; the same worker may repeat it."""
        command = leases.begin(request, self._declare, self._dispatcher.catalog)
        answer = await self._ledger.submit(command)
        if isinstance(answer, Refused):
            raise RefusalError(answer)
        return work.BeginResponse(lease=responses.lease(answer))

    async def Heartbeat(self, request: work.HeartbeatRequest, context: Context) -> work.HeartbeatResponse:
        """Extend one lease, and pass on the wish to cancel."""
        answer = await self._ledger.submit(Renew(leases.lease_ref("lease", request.lease)))
        if isinstance(answer, Refused):
            raise RefusalError(answer)
        return work.HeartbeatResponse(
            renewal=responses.renewal(request.lease, answer),
            cancel=responses.cancel_signal(answer.execution, answer.grace_left),
        )

    async def _read(self, stream: WorkStream, frames: AsyncIterator[work.WorkRequest]) -> None:
        first = await anext(aiter(frames), None)
        if first is None:
            return
        if not first.HasField("hello"):
            refuse("hello", None, "must come in the first frame")
        await stream.open(first.hello, self._declare, self._welcome())
        rest = work.WorkRequest()
        rest.CopyFrom(first)
        rest.ClearField("hello")
        await stream.take(rest)
        async for frame in frames:
            await stream.take(frame)

    def _welcome(self) -> work.Welcome:
        welcome = work.Welcome(max_output_bytes=self._limits.max_output_bytes)
        welcome.lease_ttl.FromTimedelta(self._limits.lease_ttl)
        return welcome
