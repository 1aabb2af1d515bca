"""The calls of an outside process about its execution: register, begin, keep alive, settle."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc.aio

from sidecar.client.channel import Connection
from sidecar.client.errors import SidecarError
from sidecar.client.retrying import repeat
from sidecar.client.status import error_of, is_fault, is_transient
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

T = TypeVar("T")

LEASED_ELSEWHERE: Final = "LEASED_ELSEWHERE"


class External:
    """Lives on the I/O thread. Each call is repeated for `within` seconds while the sidecar is away."""

    def __init__(self, connection: Connection, within: float) -> None:
        self._connection = connection
        self._within = within

    async def register(self, request: api.EnqueueExecutionRequest) -> api.EnqueueExecutionResponse:
        """Make it durable that an execution is to be done outside; its item says DISPATCH_EXTERNAL.

        Raises:
            SidecarError: the refusal; `UnavailableError` if it is not known to be registered.
        """
        stub = self._connection.executions
        return await asked(lambda left: stub.EnqueueExecution(request, timeout=left), self._within)

    async def begin(self, request: work.BeginRequest) -> work.Lease:
        """Take the execution's lease; a repeat by the same worker is given the same one.

        Raises:
            AlreadyFinalizedError: it has ended; the record is in `execution`.
            SidecarError: with the reason LEASED_ELSEWHERE while another worker holds it.
        """
        stub = self._connection.workers
        return (await asked(lambda left: stub.Begin(request, timeout=left), self._within)).lease

    async def heartbeat(self, ref: work.LeaseRef) -> work.HeartbeatResponse:
        """Extend the lease, and learn whether a cancellation was asked for."""
        request = work.HeartbeatRequest(lease=ref)
        stub = self._connection.workers
        return await asked(lambda left: stub.Heartbeat(request, timeout=left), self._within)

    async def settle(self, settlement: work.Settlement) -> work.SettleResponse:
        """Say how it ended; the same bytes may be said again.

        Raises:
            AlreadyFinalizedError: it had ended otherwise; the record is in `execution`.
            LeaseLostError: the lease passed on.
        """
        request = work.SettleRequest(settlement=settlement)
        stub = self._connection.workers
        return await asked(lambda left: stub.Settle(request, timeout=left), self._within)


async def asked(call: Callable[[float], Awaitable[T]], within: float) -> T:
    """Make a call until it is answered for good or the time is up; a refusal with a record is for good."""

    async def once(left: float) -> T:
        try:
            return await call(left)
        except grpc.aio.AioRpcError as failed:
            error = error_of(failed)
            if error.execution is not None and error.execution.is_terminal:
                raise error from None
            raise

    return await repeat(once, within)


def may_be_told_later(error: SidecarError) -> bool:
    """True when nothing was refused for what it is: the sidecar was away or ill, or does not know us."""
    if error.execution is not None and error.execution.is_terminal:
        return False
    return not error.reason or is_transient(error) or is_fault(error)


def is_anothers(error: SidecarError, worker_id: str) -> bool:
    """True when the execution is in other hands, or ended in none or other ones."""
    record = error.execution
    if error.reason == LEASED_ELSEWHERE:
        return True
    return error.reason == "ALREADY_FINALIZED" and record is not None and record.worker_id != worker_id
