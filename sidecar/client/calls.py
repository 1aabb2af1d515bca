"""The calls of the API as coroutines for the I/O thread: repeated while the sidecar is away."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

import grpc.aio

from sidecar.client import records, tracing
from sidecar.client.channel import Connection
from sidecar.client.errors import SidecarError
from sidecar.client.options import duration
from sidecar.client.records import Execution, State
from sidecar.client.registry import RegistryCalls
from sidecar.client.retrying import TRY_SECONDS, Backoff, repeat
from sidecar.client.schedules import ScheduleCalls
from sidecar.client.status import error_of, is_transient
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of a cancel: settled at once, or the worker is being asked."""

    execution: Execution
    settled: bool
    worker_told: bool


class ListOptions(TypedDict, total=False):
    """Which executions to list; see `Filter`."""

    states: Sequence[State]
    workflow: str
    execution_ids: Sequence[str]
    request_id: str
    trace_id: str
    idempotency_key: str
    external_id: str
    schedule_id: str
    webhook_id: str
    page_size: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which executions to list: those that fit every field that is not empty."""

    states: Sequence[State] = ()
    workflow: str = ""
    execution_ids: Sequence[str] = ()
    request_id: str = ""
    trace_id: str = ""
    idempotency_key: str = ""
    external_id: str = ""
    schedule_id: str = ""
    webhook_id: str = ""
    page_size: int = 0


class Calls:
    """Every unary call and the watch, for one namespace."""

    def __init__(self, connection: Connection, namespace: str, timeout: float) -> None:
        self._connection = connection
        self._namespace = namespace
        self._timeout = timeout

    @property
    def schedules(self) -> ScheduleCalls:
        """The calls about schedules as they stand."""
        return ScheduleCalls(self._connection, self._namespace, self._timeout)

    @property
    def registry(self) -> RegistryCalls:
        """The calls on what is defined."""
        return RegistryCalls(self._connection, self._namespace, self._timeout)

    async def get(self, execution_id: str) -> Execution:
        """Read one execution."""
        request = api.GetExecutionRequest(namespace=self._namespace, execution_id=execution_id)
        stub = self._connection.executions
        response = await repeat(lambda left: stub.GetExecution(request, timeout=left), self._timeout)
        return records.execution(response.execution)

    async def pages(self, wanted: Filter) -> AsyncGenerator[list[Execution], None]:
        """Yield pages of executions, newest first."""
        request = api.ListExecutionsRequest(
            namespace=self._namespace,
            states=[pb.ExecutionState.Value(f"EXECUTION_STATE_{State(s).name}") for s in wanted.states],
            workflow_id=wanted.workflow,
            execution_ids=wanted.execution_ids,
            page_size=wanted.page_size,
            request_id=wanted.request_id,
            trace_id=wanted.trace_id,
            idempotency_key=wanted.idempotency_key,
            external_id=wanted.external_id,
            schedule_id=wanted.schedule_id,
            webhook_id=wanted.webhook_id,
        )
        stub = self._connection.executions
        while True:
            response = await repeat(lambda left: stub.ListExecutions(request, timeout=left), self._timeout)
            yield [records.execution(each) for each in response.executions]
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def cancel(self, execution_id: str, reason: str, grace: timedelta | None) -> Cancellation:
        """Ask for a cancellation."""
        request = api.CancelExecutionRequest(
            namespace=self._namespace, execution_id=execution_id, reason=reason, grace=duration(grace)
        )
        stub = self._connection.executions
        response = await repeat(lambda left: stub.CancelExecution(request, timeout=left), self._timeout)
        return Cancellation(records.execution(response.execution), response.settled, response.worker_told)

    async def wait(self, execution_id: str, within: float | None) -> Execution:
        """Wait for the end, also while the sidecar is away.

        Raises:
            TimeoutError: when the time is up first.
        """
        loop = self._connection.io.loop
        ends_at = None if within is None else loop.time() + within
        while True:
            left = WAIT_SECONDS if ends_at is None else min(WAIT_SECONDS, max(ends_at - loop.time(), 0.001))
            response = await self._wait_once(execution_id, left, bounded=ends_at is not None)
            current = records.execution(response.execution)
            if response.finalized:
                return current
            if ends_at is not None and loop.time() >= ends_at:
                raise TimeoutError(f"execution {execution_id} is still {current.state}")

    async def _wait_once(self, execution_id: str, left: float, *, bounded: bool) -> api.WaitExecutionResponse:
        request = api.WaitExecutionRequest(
            namespace=self._namespace, execution_id=execution_id, timeout=duration(left)
        )
        stub = self._connection.executions
        return await repeat(
            lambda _: stub.WaitExecution(request, timeout=left + TRY_SECONDS),
            left + self._timeout if bounded else None,
        )

    async def watch(self, execution_id: str) -> AsyncGenerator[Execution, None]:
        """Yield the record as it stands, then each change, to the end, across lost connections."""
        request = api.WatchExecutionRequest(namespace=self._namespace, execution_id=execution_id)
        backoff, seen = Backoff(), -1
        while True:
            hint = None
            call = self._connection.executions.WatchExecution(request)
            try:
                async for response in call:
                    backoff.reset()
                    if response.execution.version > seen:
                        seen = response.execution.version
                        yield (current := records.execution(response.execution))
                        if current.is_terminal:
                            return
            except grpc.aio.AioRpcError as failed:
                hint = _transient(failed).retry_after
            finally:
                call.cancel()
            await backoff.rest(hint)

    async def trace(self, execution_id: str) -> tracing.Trace:
        """Read the spans of an execution, as the rows tell them."""
        request = admin.GetTraceRequest(namespace=self._namespace, execution_id=execution_id)
        stub = self._connection.admin
        response = await repeat(lambda left: stub.GetTrace(request, timeout=left), self._timeout)
        return tracing.trace(response)

    async def verify(self, namespace: str | None) -> tracing.Verification:
        """Have the invariants checked, in one namespace or in all (empty)."""
        request = admin.VerifyRequest(namespace=self._namespace if namespace is None else namespace)
        stub = self._connection.admin
        response = await repeat(lambda left: stub.Verify(request, timeout=left), self._timeout)
        return tracing.verification(response)


def _transient(failed: grpc.aio.AioRpcError) -> SidecarError:
    error = error_of(failed)
    if not is_transient(error):
        raise error from None
    return error
