"""Concurrent enqueues of one client, gathered into messages of many; a lone one leaves at once."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio

from sidecar.client.channel import MAX_MESSAGE_BYTES, Connection
from sidecar.client.errors import InvalidArgumentError, SidecarError, TimedOutError, UnavailableError
from sidecar.client.io_thread import quiet
from sidecar.client.retrying import TRY_SECONDS, Backoff
from sidecar.client.status import error_of, error_of_refusal, is_transient
from sidecar.v1 import execution_service_pb2 as api

MAX_ITEMS = 1_000
MAX_BYTES = MAX_MESSAGE_BYTES - 64 * 1024

Answer = api.EnqueueExecutionResponse | SidecarError


@dataclass(slots=True, eq=False)
class _Waiting:
    """An item and whoever waits for its answer."""

    item: api.EnqueueItem
    size: int
    answer: asyncio.Future[Answer] = field(default_factory=asyncio.Future)
    fault: SidecarError | None = None

    def settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Coalescer:
    """Sends one message at a time; what comes in meanwhile is the next. Lives on the I/O thread."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._queue: deque[_Waiting] = deque()
        self._backoff = Backoff(most=2.0)
        self._sender: asyncio.Task[None] | None = None

    async def enqueue(self, items: Sequence[api.EnqueueItem], within: float) -> list[Answer]:
        """Have items accepted; the answers are in their order, each an acceptance or its refusal."""
        waiting = [_Waiting(item, item.ByteSize()) for item in items]
        self._queue.extend(waiting)
        self._wake()
        if not waiting:
            return []
        try:
            await asyncio.wait([each.answer for each in waiting], timeout=within)
            return [_answer(each, within) for each in waiting]
        finally:
            for each in waiting:
                each.answer.cancel()

    def _wake(self) -> None:
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_all(), context=quiet())

    async def _send_all(self) -> None:
        batch: list[_Waiting] = []
        try:
            while batch := self._next_batch():
                hint = await self._send(batch)
                if hint is not None:
                    await asyncio.sleep(self._backoff.next(hint))
                else:
                    self._backoff.reset()
        finally:
            for waiting in (*batch, *self._queue):
                waiting.settle(_closed())
            self._queue.clear()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < MAX_ITEMS:
            waiting = self._queue[0]
            if batch and size + waiting.size > MAX_BYTES:
                break
            self._queue.popleft()
            if waiting.size > MAX_BYTES:
                waiting.settle(_too_large(waiting))
            elif not waiting.answer.done():
                batch.append(waiting)
                size += waiting.size + 8
        return batch

    async def _send(self, batch: list[_Waiting]) -> float | None:
        """Send some; return how long the sidecar wants to be left alone, None if it took them all."""
        request = api.EnqueueExecutionsRequest(namespace=self._namespace, items=[w.item for w in batch])
        try:
            response = await self._connection.executions.EnqueueExecutions(request, timeout=TRY_SECONDS)
        except grpc.aio.AioRpcError as failed:
            return await self._unsent(batch, error_of(failed))
        answers = [_read(result) for result in response.results]
        again = [w for w, answer in zip(batch, answers, strict=True) if not _settled(w, answer)]
        self._queue.extendleft(reversed(again))
        return 0.0 if again else None

    async def _unsent(self, batch: list[_Waiting], error: SidecarError) -> float | None:
        if is_transient(error):
            for waiting in batch:
                waiting.fault = error
            self._queue.extendleft(reversed(batch))
            return error.retry_after or 0.0
        if len(batch) == 1:
            batch[0].settle(error)
            return None
        half = len(batch) // 2
        hints = [await self._send(batch[:half]), await self._send(batch[half:])]
        return max((hint for hint in hints if hint is not None), default=None)


def _read(result: api.EnqueueResult) -> Answer:
    return error_of_refusal(result.refused) if result.HasField("refused") else result.accepted


def _settled(waiting: _Waiting, answer: Answer) -> bool:
    if isinstance(answer, SidecarError) and is_transient(answer):
        waiting.fault = answer
        return False
    waiting.settle(answer)
    return True


def _answer(waiting: _Waiting, within: float) -> Answer:
    if waiting.answer.done():
        return waiting.answer.result()
    fault = waiting.fault or "the sidecar has not answered"
    late = TimedOutError(
        f"not known to be accepted within {within:g} s ({fault}); repeat it with the same execution id",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
        reason=waiting.fault.reason if waiting.fault else "",
        metadata={"execution_id": waiting.item.execution_id},
    )
    late.__cause__ = waiting.fault
    return late


def _closed() -> SidecarError:
    return UnavailableError("the client was closed before an answer came", code=grpc.StatusCode.UNAVAILABLE)


def _too_large(waiting: _Waiting) -> SidecarError:
    return InvalidArgumentError(
        f"item: {waiting.size} bytes are over the limit of {MAX_BYTES} of one message",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="PAYLOAD_TOO_LARGE",
        metadata={"field": "payload", "size": str(waiting.size), "limit": str(MAX_BYTES)},
    )
