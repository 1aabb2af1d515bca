"""The async client: its calls cross over to the I/O thread, so any event loop may use it."""

from collections.abc import AsyncIterator, Coroutine, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, Unpack

import grpc

from sidecar.client.calls import Calls, Cancellation, Filter, ListOptions
from sidecar.client.channel import DEFAULT_NAMESPACE, Connection
from sidecar.client.coalescer import Answer, Coalescer
from sidecar.client.enqueueing import Batch, Enqueue, EnqueueOptions, batch, mark
from sidecar.client.errors import SidecarError
from sidecar.client.handles import Handle, ids_of
from sidecar.client.options import seconds
from sidecar.client.records import Execution
from sidecar.client.registry import Registry
from sidecar.client.schedules import Schedules
from sidecar.client.sync import SyncClient
from sidecar.client.tracing import Trace, Verification

Answers = list[Handle | SidecarError]


class Client:
    """A caller's connection to a sidecar, opened with its first call.

    `timeout` is how long a call is repeated while the sidecar is away.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        credentials: grpc.ChannelCredentials | None = None,
        timeout: timedelta | float = 30.0,
    ) -> None:
        self._connection = Connection(target, credentials)
        self._timeout = seconds(timeout)
        self._calls = Calls(self._connection, namespace, self._timeout)
        self._coalescer = Coalescer(self._connection, namespace)
        self.sync = SyncClient.sharing(self._connection, self._calls, self._coalescer, self._timeout)

    def enqueue(
        self,
        workflow: str,
        payload: object = None,
        *,
        timeout: timedelta | float | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> Coroutine[Any, Any, Handle]:
        """Have one execution accepted. When this returns it is durable; `options` are as of `Enqueue`.

        Raises:
            SidecarError: the refusal; `TimedOutError` when the sidecar was away for too long.
        """
        return self._one(self.enqueue_many([Enqueue(workflow, payload, **options)], timeout=timeout))

    def enqueue_many(
        self, work: Iterable[Enqueue], *, timeout: timedelta | float | None = None
    ) -> Coroutine[Any, Any, Answers]:
        """Have many accepted, each on its own: in order, a handle or the error of that one."""
        return self._accepted(batch(work), self._timeout if timeout is None else seconds(timeout))

    @property
    def registry(self) -> Registry:
        """What is defined in this namespace: workflows, queues, webhooks and schedules."""
        return Registry(self._connection.io, self._calls.registry)

    @property
    def schedules(self) -> Schedules:
        """How this namespace's schedules stand, to pause, resume and fire them."""
        return Schedules(self._connection.io, self._calls.schedules)

    def handle(self, execution_id: str) -> Handle:
        """Return a handle on an execution whose id is known."""
        return Handle(execution_id, client=self)

    async def get(self, execution_id: str) -> Execution:
        """Read one execution."""
        return await self._connection.io.bridge(self._calls.get(execution_id))

    async def list(self, **options: Unpack[ListOptions]) -> AsyncIterator[Execution]:
        """Yield executions newest first, without outputs, page after page; `options` are as of `Filter`."""
        wanted = Filter(**options)
        async for page in self._connection.io.stream(self._calls.pages(wanted)):
            for each in page:
                yield each

    def wait(
        self, execution_id: str, timeout: timedelta | float | None = None
    ) -> Coroutine[Any, Any, Execution]:
        """Wait for an execution's end; TimeoutError when the time is up first."""
        limit = None if timeout is None else seconds(timeout)
        return self._connection.io.bridge(self._calls.wait(execution_id, limit))

    def watch(self, execution_id: str) -> AsyncIterator[Execution]:
        """Yield the record as it stands, then each change, to the end."""
        return self._connection.io.stream(self._calls.watch(execution_id))

    async def cancel(
        self, execution_id: str, reason: str = "", grace: timedelta | None = None
    ) -> Cancellation:
        """Ask for a cancellation. Repeating it is a success; a settled execution refuses it."""
        return await self._connection.io.bridge(self._calls.cancel(execution_id, reason, grace))

    async def trace(self, execution_id: str) -> Trace:
        """Read every span of an execution, as the rows tell them."""
        return await self._connection.io.bridge(self._calls.trace(execution_id))

    async def verify(self, namespace: str | None = None) -> Verification:
        """Have the invariants checked over the store; in all namespaces if `namespace` is empty."""
        return await self._connection.io.bridge(self._calls.verify(namespace))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.io.bridge(self._connection.close())

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def _one(self, many: Coroutine[Any, Any, Answers]) -> Handle:
        [answer] = await many
        if isinstance(answer, SidecarError):
            raise answer
        mark([answer])
        return answer

    async def _accepted(self, sent: Batch, within: float) -> Answers:
        answers = await self._connection.io.bridge(self._coalescer.enqueue(sent.items, within))
        return [self._handle(answer, sent) for answer in answers]

    def _handle(self, answer: Answer, sent: Batch) -> Handle | SidecarError:
        if isinstance(answer, SidecarError):
            return answer
        return Handle(*ids_of(answer, sent.minted), client=self)
