"""The worker: takes executions from a sidecar, runs their handlers, and says how they ended."""

import asyncio
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Final, Self, TypeVar

import grpc

from sidecar.client.channel import DEFAULT_NAMESPACE, Connection
from sidecar.client.keeper import Keeper
from sidecar.client.options import seconds
from sidecar.client.resource import resource, sdk
from sidecar.client.shift import Shift
from sidecar.client.workflows import Handler, Workflow, workflow
from sidecar.v1 import worker_service_pb2 as work

MAX_CONCURRENCY: Final = 5_000
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

H = TypeVar("H", bound=Handler)


class Worker:
    """A process's worker. Async handlers run on the loop that starts it, others on `concurrency` threads.

    `resource` adds to the OpenTelemetry resource; `grace` is how long running handlers have at the end.
    `worker_id` is made at the start, so that forked children have each their own.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        queues: Sequence[str] = ("default",),
        concurrency: int = 10,
        resource: Mapping[str, str] | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        credentials: grpc.ChannelCredentials | None = None,
        grace: timedelta | float = 30.0,
    ) -> None:
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"concurrency: must be between 1 and {MAX_CONCURRENCY} (got {concurrency})")
        self.worker_id = ""
        self._connection = Connection(target, credentials)
        self._namespace = namespace
        self._queues = list(queues)
        self._concurrency = concurrency
        self._resource = dict(resource or {})
        self._grace = seconds(grace)
        self._workflows: dict[str, Workflow] = {}
        self._shift: Shift | None = None
        self._stopping: Future[None] = Future()

    def workflow(self, name: str | None = None) -> Callable[[H], H]:
        """Make a function the handler of a workflow, of its own name by default."""

        def register(function: H) -> H:
            known = workflow(name or function.__name__, function)
            if known.name in self._workflows:
                raise ValueError(f"workflow {known.name!r} has a handler already")
            self._workflows[known.name] = known
            return function

        return register

    def run(self) -> None:
        """Work until `stop`, SIGTERM or SIGINT, then finish what runs; a second signal ends at once."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """Have `run` finish what runs and return; from any thread."""
        self._connection.io.post(self._stop)

    async def connected(self) -> None:
        """Wait until a sidecar has welcomed the worker."""
        await self._working().welcomed()

    async def __aenter__(self) -> Self:
        """Begin to work; async handlers run on this loop."""
        if self._shift is not None:
            raise RuntimeError("this worker has been started before")
        if not self._workflows:
            raise ValueError("a worker needs at least one workflow")
        self.worker_id = str(uuid.uuid4())
        loop = asyncio.get_running_loop()
        keeper = Keeper(self._connection.io, self._workflows, self._concurrency, loop)
        self._shift = Shift(self._connection, self._hello(), keeper)
        self._shift.over.add_done_callback(lambda _: self._stop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Take no more, finish what runs, and leave."""
        shift = self._working()
        await shift.end(self._grace)
        if not shift.over.cancelled():
            shift.over.result()

    async def _run(self) -> None:
        with self._signals():
            async with self:
                await asyncio.wrap_future(self._stopping)

    def _stop(self) -> None:
        if not self._stopping.done():
            self._stopping.set_result(None)

    def _working(self) -> Shift:
        if self._shift is None:
            raise RuntimeError("this worker has not been started")
        return self._shift

    def _hello(self) -> work.Hello:
        return work.Hello(
            namespace=self._namespace,
            worker_id=self.worker_id,
            queues=self._queues,
            workflows=list(self._workflows),
            resource=resource(self.worker_id, self._resource),
            sdk=sdk(),
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in _SIGNALS}

        def restore() -> None:
            for number, handler in former.items():
                signal.signal(number, handler)

        def drain(_number: int, _frame: FrameType | None) -> None:
            restore()
            self.stop()

        for number in _SIGNALS:
            signal.signal(number, drain)
        try:
            yield
        finally:
            restore()
