"""The same client for code that blocks."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Self, Unpack

import grpc

from sidecar.client.calls import Calls, Cancellation, Filter, ListOptions
from sidecar.client.channel import DEFAULT_NAMESPACE, Connection
from sidecar.client.coalescer import Answer, Coalescer
from sidecar.client.enqueueing import Batch, Enqueue, EnqueueOptions, batch, mark
from sidecar.client.errors import SidecarError
from sidecar.client.handles import SyncHandle, ids_of
from sidecar.client.options import seconds
from sidecar.client.records import Execution
from sidecar.client.registry import SyncRegistry
from sidecar.client.schedules import SyncSchedules
from sidecar.client.tracing import Trace, Verification

Answers = list[SyncHandle | SidecarError]


class SyncClient:
    """A caller's connection to a sidecar, opened with its first call; see `Client`."""

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

    @classmethod
    def sharing(cls, connection: Connection, calls: Calls, coalescer: Coalescer, timeout: float) -> Self:
        """Return a client over what another one has."""
        client = cls.__new__(cls)
        client._connection, client._timeout = connection, timeout
        client._calls, client._coalescer = calls, coalescer
        return client

    def enqueue(
        self,
        workflow: str,
        payload: object = None,
        *,
        timeout: timedelta | float | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> SyncHandle:
        """Have one execution accepted. When this returns it is durable; `options` are as of `Enqueue`.

        Raises:
            SidecarError: the refusal; `TimedOutError` when the sidecar was away for too long.
        """
        [answer] = self.enqueue_many([Enqueue(workflow, payload, **options)], timeout=timeout)
        if isinstance(answer, SidecarError):
            raise answer
        mark([answer])
        return answer

    def enqueue_many(self, work: Iterable[Enqueue], *, timeout: timedelta | float | None = None) -> Answers:
        """Have many accepted, each on its own: in order, a handle or the error of that one."""
        sent = batch(work)
        limit = self._timeout if timeout is None else seconds(timeout)
        answers = self._connection.io.block(self._coalescer.enqueue(sent.items, limit))
        return [self._handle(answer, sent) for answer in answers]

    @property
    def registry(self) -> SyncRegistry:
        """What is defined in this namespace: workflows, queues, webhooks and schedules."""
        return SyncRegistry(self._connection.io, self._calls.registry)

    @property
    def schedules(self) -> SyncSchedules:
        """How this namespace's schedules stand, to pause, resume and fire them."""
        return SyncSchedules(self._connection.io, self._calls.schedules)

    def handle(self, execution_id: str) -> SyncHandle:
        """Return a handle on an execution whose id is known."""
        return SyncHandle(execution_id, client=self)

    def get(self, execution_id: str) -> Execution:
        """Read one execution."""
        return self._connection.io.block(self._calls.get(execution_id))

    def list(self, **options: Unpack[ListOptions]) -> Iterator[Execution]:
        """Yield executions newest first, without outputs, page after page; `options` are as of `Filter`."""
        wanted = Filter(**options)
        for page in self._connection.io.iterate(self._calls.pages(wanted)):
            yield from page

    def wait(self, execution_id: str, timeout: timedelta | float | None = None) -> Execution:
        """Wait for an execution's end; TimeoutError when the time is up first."""
        limit = None if timeout is None else seconds(timeout)
        return self._connection.io.block(self._calls.wait(execution_id, limit))

    def watch(self, execution_id: str) -> Iterator[Execution]:
        """Yield the record as it stands, then each change, to the end."""
        return self._connection.io.iterate(self._calls.watch(execution_id))

    def cancel(self, execution_id: str, reason: str = "", grace: timedelta | None = None) -> Cancellation:
        """Ask for a cancellation. Repeating it is a success; a settled execution refuses it."""
        return self._connection.io.block(self._calls.cancel(execution_id, reason, grace))

    def trace(self, execution_id: str) -> Trace:
        """Read every span of an execution, as the rows tell them."""
        return self._connection.io.block(self._calls.trace(execution_id))

    def verify(self, namespace: str | None = None) -> Verification:
        """Have the invariants checked over the store; in all namespaces if `namespace` is empty."""
        return self._connection.io.block(self._calls.verify(namespace))

    def close(self) -> None:
        """Close the connection."""
        self._connection.io.block(self._connection.close())

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def _handle(self, answer: Answer, sent: Batch) -> SyncHandle | SidecarError:
        if isinstance(answer, SidecarError):
            return answer
        return SyncHandle(*ids_of(answer, sent.minted), client=self)
