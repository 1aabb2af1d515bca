"""A scripted sidecar on the client's own I/O loop: records what it hears, says what a test has it say."""

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from sidecar.client.io_thread import io_thread
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

M = TypeVar("M")
Context = grpc.aio.ServicerContext[Any, Any]
WAIT = 10.0
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PROCESS_SPAN_ID = "b7ad6b7169203331"


class Conversation:
    """One stream of a worker, as the sidecar sees it; every method may be called from any thread."""

    def __init__(self) -> None:
        self.hello = work.Hello()
        self.first = work.WorkRequest()
        self.peer = ""
        self._heard: queue.SimpleQueue[work.WorkRequest] = queue.SimpleQueue()
        self._past: list[work.WorkRequest] = []
        self._settlements: list[work.Settlement] = []
        self._say: asyncio.Queue[work.WorkResponse | None] = asyncio.Queue()

    def say(self, frame: work.WorkResponse) -> None:
        io_thread().post(self._say.put_nowait, frame)

    def cut(self) -> None:
        """Break the stream off."""
        io_thread().post(self._say.put_nowait, None)

    def welcome(
        self, *, ttl: float = 30.0, limit: int = 1_000, lost: list[work.LeaseRef] | None = None
    ) -> None:
        frame = work.WorkResponse(welcome=work.Welcome(max_output_bytes=limit, lost=lost))
        frame.welcome.lease_ttl.CopyFrom(Duration(nanos=int(ttl * 1e9) % 10**9, seconds=int(ttl)))
        self.say(frame)

    def deliver(self, *leases: work.Lease) -> None:
        self.say(work.WorkResponse(leases=leases))

    def settle(self, settlement: work.Settlement) -> None:
        settled = pb.Execution(state=pb.EXECUTION_STATE_SUCCEEDED)
        self.say(work.WorkResponse(settled=[work.SettlementResult(lease=settlement.lease, settled=settled)]))

    def refuse(self, settlement: work.Settlement, code: grpc.StatusCode, reason: str) -> None:
        refused = pb.Refusal(code=code.value[0], reason=reason, message=reason.lower())
        self.say(work.WorkResponse(settled=[work.SettlementResult(lease=settlement.lease, refused=refused)]))

    def refuse_lease(self, ref: work.LeaseRef, code: grpc.StatusCode, reason: str) -> None:
        """Refuse a heartbeat, a step or a release."""
        refused = pb.Refusal(code=code.value[0], reason=reason, message=reason.lower())
        self.say(work.WorkResponse(refused=[work.LeaseRefusal(lease=ref, refused=refused)]))

    def expect(self, pick: Callable[[work.WorkRequest], M | None]) -> M:
        """Wait for the first frame from which something can be picked."""
        while True:
            frame = self._heard.get(timeout=WAIT)
            self._past.append(frame)
            found = pick(frame)
            if found is not None:
                return found

    def settlement(self) -> work.Settlement:
        """Wait for the next settlement."""
        while not self._settlements:
            self._settlements.extend(self.expect(lambda f: list(f.settlements) or None))
        return self._settlements.pop(0)

    def steps(self) -> list[work.StepReport]:
        """Every step report heard so far."""
        return [step for frame in self._past for step in frame.steps]

    def hear(self, frame: work.WorkRequest) -> None:
        self._heard.put(frame)

    async def next(self) -> work.WorkResponse | None:
        return await self._say.get()


@dataclass
class FakeSidecar:
    """Accepts what it is told to; `enqueued` holds every message, `gate` can keep its answers back."""

    target: str = ""
    enqueued: list[api.EnqueueExecutionsRequest] = field(default_factory=list)
    faults: list[grpc.StatusCode] = field(default_factory=list)
    refusals: dict[str, pb.Refusal] = field(default_factory=dict)
    conversations: queue.SimpleQueue[Conversation] = field(default_factory=queue.SimpleQueue)
    waits: list[api.WaitExecutionResponse] = field(default_factory=list)
    watches: list[list[pb.Execution]] = field(default_factory=list)
    pages: dict[str, api.ListExecutionsResponse] = field(default_factory=dict)
    abort: tuple[grpc.StatusCode, str, bytes] | None = None
    hello_refused: bool = False
    existing: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    left: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)
    arrived: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)
    _server: grpc.aio.Server | None = None

    def start(self) -> "FakeSidecar":
        self.gate.set()
        io_thread().block(self._start())
        return self

    def stop(self) -> None:
        io_thread().block(self._stop())

    def conversation(self) -> Conversation:
        """Wait for a worker's next stream, its hello heard."""
        return self.conversations.get(timeout=WAIT)

    async def _start(self) -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers([self._executions(), self._workers()])
        self.target = f"127.0.0.1:{server.add_insecure_port(self.target or '127.0.0.1:0')}"
        await server.start()
        self._server = server

    async def _stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    def _executions(self) -> grpc.GenericRpcHandler:
        methods = {
            "EnqueueExecutions": _unary(self._enqueue, api.EnqueueExecutionsRequest),
            "GetExecution": _unary(self._get, api.GetExecutionRequest),
            "ListExecutions": _unary(self._list, api.ListExecutionsRequest),
            "WaitExecution": _unary(self._wait, api.WaitExecutionRequest),
            "WatchExecution": grpc.unary_stream_rpc_method_handler(
                self._watch, api.WatchExecutionRequest.FromString, _serialize
            ),
        }
        return grpc.method_handlers_generic_handler("sidecar.v1.ExecutionService", methods)

    def _workers(self) -> grpc.GenericRpcHandler:
        handler = grpc.stream_stream_rpc_method_handler(self._work, work.WorkRequest.FromString, _serialize)
        return grpc.method_handlers_generic_handler("sidecar.v1.WorkerService", {"Work": handler})

    async def _enqueue(self, request: api.EnqueueExecutionsRequest, context: Context) -> Message:
        self.enqueued.append(request)
        self.arrived.put(None)
        await self.gate.wait()
        if self.faults:
            await context.abort(self.faults.pop(0), "staged")
        return api.EnqueueExecutionsResponse(results=[self._accept(item) for item in request.items])

    def _accept(self, item: api.EnqueueItem) -> api.EnqueueResult:
        if item.workflow_id in self.refusals:
            return api.EnqueueResult(refused=self.refusals[item.workflow_id])
        correlation = pb.Correlation(
            execution_id=item.execution_id, request_id=item.request_id, workflow_id=item.workflow_id
        )
        execution = pb.Execution(
            correlation=correlation, state=pb.EXECUTION_STATE_QUEUED, trace_id=TRACE_ID, version=1
        )
        return api.EnqueueResult(
            accepted=api.EnqueueExecutionResponse(execution=execution, existing=self.existing)
        )

    async def _get(self, request: api.GetExecutionRequest, context: Context) -> Message:
        if self.abort is not None:
            code, message, details = self.abort
            await context.abort(code, message, (("grpc-status-details-bin", details),))
        correlation = pb.Correlation(execution_id=request.execution_id)
        execution = pb.Execution(correlation=correlation, state=pb.EXECUTION_STATE_QUEUED)
        return api.GetExecutionResponse(execution=execution)

    async def _list(self, request: api.ListExecutionsRequest, _context: Context) -> Message:
        return self.pages[request.page_token]

    async def _watch(self, _request: Message, context: Context) -> AsyncIterator[Message]:
        try:
            for execution in self.watches.pop(0):
                yield api.WatchExecutionResponse(execution=execution)
            if self.watches:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "staged")
            await asyncio.Event().wait()
        finally:
            self.left.put(None)

    async def _wait(self, _request: Message, context: Context) -> Message:
        if self.faults:
            await context.abort(self.faults.pop(0), "staged")
        return self.waits.pop(0)

    async def _work(
        self, requests: AsyncIterator[work.WorkRequest], context: Context
    ) -> AsyncIterator[work.WorkResponse]:
        if self.hello_refused:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "staged")
        conversation = Conversation()
        conversation.first = await anext(aiter(requests))
        conversation.hello, conversation.peer = conversation.first.hello, context.peer()
        self.conversations.put(conversation)
        listening = asyncio.create_task(_listen(requests, conversation))
        try:
            while (frame := await conversation.next()) is not None:
                yield frame
        finally:
            listening.cancel()


def _unary(
    behaviour: Callable[..., Awaitable[Message]], request: type[Message]
) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.unary_unary_rpc_method_handler(behaviour, request.FromString, _serialize)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


async def _listen(frames: AsyncIterator[work.WorkRequest], conversation: Conversation) -> None:
    async for frame in frames:
        conversation.hear(frame)
    conversation.cut()


def ref(execution_id: str) -> work.LeaseRef:
    """The proof of the lease of an execution."""
    token = execution_id.encode().ljust(16)[:16]
    return work.LeaseRef(namespace="default", execution_id=execution_id, token=token, fence=1)


def lease(
    execution_id: str,
    workflow: str = "work",
    payload: bytes = b"",
    content_type: str = "",
    *,
    deadline: float | None = None,
    carrier: pb.Carrier | None = None,
) -> work.Lease:
    """A delivery of an execution, under a fixed process span."""
    message = work.Lease(
        lease=work.LeaseRef(
            namespace="default",
            execution_id=execution_id,
            token=execution_id.encode().ljust(16)[:16],
            fence=1,
        ),
        correlation=pb.Correlation(
            namespace="default",
            execution_id=execution_id,
            request_id=f"request-of-{execution_id}",
            workflow_id=workflow,
            root_execution_id="the-root",
        ),
        attempt=1,
        max_attempts=1,
        payload=payload,
        content_type=content_type,
        carrier=carrier or pb.Carrier(traceparent=f"00-{TRACE_ID}-{PROCESS_SPAN_ID}-01"),
    )
    if deadline is not None:
        message.deadline.FromNanoseconds(int(deadline * 1e9))
    return message


def resolved(future: "Future[M]") -> M:
    """Wait for a future, with a limit."""
    return future.result(WAIT)
