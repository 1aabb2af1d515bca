"""What an enqueue gives back: the ids of the execution, and its outcome when it has one."""

from collections.abc import AsyncIterator, Container, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sidecar.client.asking import Asking, BlockingAsking
from sidecar.client.calls import Cancellation
from sidecar.client.errors import ExecutionCancelledError, ExecutionFailedError, OutputMissingError
from sidecar.client.records import Execution, State
from sidecar.v1.execution_service_pb2 import EnqueueExecutionResponse


@dataclass(frozen=True, slots=True)
class Accepted:
    """The ids of a durable execution; `existing` says that it had been accepted before this call."""

    execution_id: str
    request_id: str = ""
    trace_id: str = ""
    existing: bool = False


@dataclass(frozen=True, slots=True)
class Handle(Accepted):
    """An execution as an async caller holds it."""

    client: Asking = field(kw_only=True, repr=False, compare=False)

    async def get(self) -> Execution:
        """Read the record as it stands."""
        return await self.client.get(self.execution_id)

    def wait(self, timeout: timedelta | float | None = None) -> Coroutine[Any, Any, Execution]:
        """Wait for the end and return the record.

        Raises:
            TimeoutError: when the time is up first.
        """
        return self.client.wait(self.execution_id, timeout)

    def result(self, timeout: timedelta | float | None = None) -> Coroutine[Any, Any, object]:
        """Wait for the end and return the decoded output.

        Raises:
            ExecutionFailedError: with the error as the worker put it.
            ExecutionCancelledError: when it was cancelled.
            OutputMissingError: when it succeeded without its output.
            TimeoutError: when the time is up first.
        """
        return _result_of(self.wait(timeout))

    async def cancel(self, reason: str = "", grace: timedelta | None = None) -> Cancellation:
        """Ask for a cancellation; a running handler has `grace` to react."""
        return await self.client.cancel(self.execution_id, reason, grace)

    def watch(self) -> AsyncIterator[Execution]:
        """Yield the record as it stands, then each change, to the end."""
        return self.client.watch(self.execution_id)


@dataclass(frozen=True, slots=True)
class SyncHandle(Accepted):
    """An execution as a blocking caller holds it; the same calls as `Handle`."""

    client: BlockingAsking = field(kw_only=True, repr=False, compare=False)

    def get(self) -> Execution:
        """Read the record as it stands."""
        return self.client.get(self.execution_id)

    def wait(self, timeout: timedelta | float | None = None) -> Execution:
        """Wait for the end and return the record; `TimeoutError` when the time is up first."""
        return self.client.wait(self.execution_id, timeout)

    def result(self, timeout: timedelta | float | None = None) -> object:
        """Wait for the end and return the decoded output, or raise as `Handle.result` does."""
        return result_of(self.wait(timeout))

    def cancel(self, reason: str = "", grace: timedelta | None = None) -> Cancellation:
        """Ask for a cancellation; a running handler has `grace` to react."""
        return self.client.cancel(self.execution_id, reason, grace)

    def watch(self) -> Iterator[Execution]:
        """Yield the record as it stands, then each change, to the end."""
        return self.client.watch(self.execution_id)


async def _result_of(waiting: Coroutine[Any, Any, Execution]) -> object:
    return result_of(await waiting)


def ids_of(answer: EnqueueExecutionResponse, minted: Container[str]) -> tuple[str, str, str, bool]:
    """Return the fields of an acceptance; an id that the call made itself cannot have existed before it."""
    found = answer.execution
    ids = found.correlation
    existing = answer.existing and ids.execution_id not in minted
    return ids.execution_id, ids.request_id, found.trace_id, existing


def result_of(execution: Execution) -> object:
    """Return the decoded output of an ended execution, or raise what it ended with."""
    if execution.state is State.FAILED:
        raise ExecutionFailedError(execution)
    if execution.state is State.CANCELLED:
        raise ExecutionCancelledError(execution)
    if execution.output_missing:
        raise OutputMissingError(execution)
    return execution.value()
