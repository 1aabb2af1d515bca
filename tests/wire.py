"""The API spoken raw, as a client in any language would: no code of our own client is in the way."""

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2
from grpc_status import rpc_status

from sidecar.v1 import admin_service_pb2_grpc as admin_stubs
from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import execution_service_pb2_grpc as api_stubs
from sidecar.v1 import registry_service_pb2 as registry
from sidecar.v1 import registry_service_pb2_grpc as registry_stubs
from sidecar.v1 import schedule_service_pb2_grpc as schedule_stubs
from sidecar.v1 import worker_service_pb2 as work
from sidecar.v1 import worker_service_pb2_grpc as work_stubs

T = TypeVar("T")
M = TypeVar("M", bound=Message)
PATIENCE = 20.0


class Wire:
    """All stubs on one channel, and the namespace that a test has for itself."""

    def __init__(self, target: str, namespace: str) -> None:
        self.target = target
        self.namespace = namespace
        self.channel = grpc.insecure_channel(target)
        self.executions = api_stubs.ExecutionServiceStub(self.channel)
        self.workers = work_stubs.WorkerServiceStub(self.channel)
        self.admin = admin_stubs.AdminServiceStub(self.channel)
        self.registry = registry_stubs.RegistryServiceStub(self.channel)
        self.schedules = schedule_stubs.ScheduleServiceStub(self.channel)

    def item(self, **fields: Any) -> api.EnqueueItem:
        """Return work with an id of its own, unless it is given."""
        defaults: dict[str, Any] = {"workflow_id": "audit", "execution_id": str(uuid.uuid4())}
        return api.EnqueueItem(**{**defaults, **fields})

    def enqueue(self, **fields: Any) -> api.EnqueueExecutionResponse:
        """Have one execution accepted."""
        request = api.EnqueueExecutionRequest(namespace=self.namespace, item=self.item(**fields))
        return self.executions.EnqueueExecution(request, timeout=PATIENCE)

    def enqueue_many(self, *items: dict[str, Any]) -> list[api.EnqueueResult]:
        """Have many accepted by one call."""
        request = api.EnqueueExecutionsRequest(namespace=self.namespace)
        request.items.extend(self.item(**each) for each in items)
        return list(self.executions.EnqueueExecutions(request, timeout=PATIENCE).results)

    def get(self, execution_id: str) -> pb.Execution:
        """Read one record."""
        request = api.GetExecutionRequest(namespace=self.namespace, execution_id=execution_id)
        return self.executions.GetExecution(request, timeout=PATIENCE).execution

    def wait(self, execution_id: str, seconds: int = 15) -> pb.Execution:
        """Wait for the end."""
        request = api.WaitExecutionRequest(
            namespace=self.namespace, execution_id=execution_id, timeout=Duration(seconds=seconds)
        )
        answer = self.executions.WaitExecution(request, timeout=PATIENCE)
        assert answer.finalized, f"{execution_id} is {pb.ExecutionState.Name(answer.execution.state)} still"
        return answer.execution

    def define(
        self, *definitions: defs.Workflow | defs.Queue | defs.Webhook | defs.Schedule, prune: bool = False
    ) -> list[registry.DefinitionResult]:
        """Make definitions stand as given."""
        request = registry.ApplyDefinitionsRequest(namespace=self.namespace, prune=prune)
        for each in definitions:
            kind = type(each).__name__.lower()
            getattr(request.definitions.add(), kind).CopyFrom(each)
        return list(self.registry.ApplyDefinitions(request, timeout=PATIENCE).results)

    def found(self, **ids: Any) -> list[pb.Execution]:
        """List executions, newest first."""
        request = api.ListExecutionsRequest(namespace=self.namespace, **ids)
        return list(self.executions.ListExecutions(request, timeout=PATIENCE).executions)

    def cancel(self, execution_id: str, grace: float | None = None) -> api.CancelExecutionResponse:
        """Ask for a cancellation."""
        request = api.CancelExecutionRequest(execution_id=execution_id, reason="test")
        request.namespace = self.namespace
        if grace is not None:
            request.grace.FromNanoseconds(int(grace * 1e9))
        return self.executions.CancelExecution(request, timeout=PATIENCE)

    def worker(self, **hello: Any) -> "RawWorker":
        """Return a worker's stream that is not open yet."""
        return RawWorker(self, **hello)

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()


@dataclass
class Heard:
    """Everything that a worker was told on its stream."""

    welcomes: list[work.Welcome] = field(default_factory=list)
    leases: list[work.Lease] = field(default_factory=list)
    renewals: list[work.Renewal] = field(default_factory=list)
    cancels: list[work.CancelSignal] = field(default_factory=list)
    settled: list[work.SettlementResult] = field(default_factory=list)
    refused: list[work.LeaseRefusal] = field(default_factory=list)
    draining: bool = False
    ended: grpc.RpcError | bool | None = None

    def take(self, frame: work.WorkResponse) -> None:
        if frame.HasField("welcome"):
            self.welcomes.append(frame.welcome)
        self.leases += frame.leases
        self.renewals += frame.renewals
        self.cancels += frame.cancels
        self.settled += frame.settled
        self.refused += frame.refused
        self.draining = self.draining or frame.draining


class RawWorker:
    """One worker's stream; what it is told is awaited, never slept for."""

    def __init__(self, wire: Wire, **hello: Any) -> None:
        self.wire = wire
        defaults: dict[str, Any] = {
            "namespace": wire.namespace,
            "worker_id": f"worker-{uuid.uuid4()}",
            "queues": ["default"],
            "workflows": ["audit"],
            "credits": 1,
            "resource": {"service.name": "raw-worker"},
        }
        self.hello = work.Hello(**{**defaults, **hello})
        self.heard = Heard()
        self._news = threading.Condition()
        self._frames: queue.Queue[work.WorkRequest | None] = queue.Queue()
        self._call: Any = None
        self._deaf = False

    def __enter__(self) -> "RawWorker":
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def connect(self, *held: work.LeaseRef) -> None:
        """Open the stream, saying which leases are held, and wait for the welcome."""
        self.open(*held)
        self.until(lambda heard: heard.welcomes, "the welcome")

    def open(self, *held: work.LeaseRef) -> None:
        """Open the stream, whatever comes of it."""
        self.heard = Heard()
        self._frames = queue.Queue()
        hello = work.Hello()
        hello.CopyFrom(self.hello)
        hello.held.extend(held)
        self.send(hello=hello)
        self._call = self.wire.workers.Work(self._outgoing(self._frames))
        if not self._deaf:
            threading.Thread(target=self._listen, args=(self._call, self.heard), daemon=True).start()

    def read_no_more(self) -> None:
        """Have the stream opened next never be read from."""
        self._deaf = True

    def disconnect(self) -> None:
        """Break the stream off, as a lost connection would."""
        if self._call is not None:
            self._call.cancel()
            self._frames.put(None)
            self._call = None

    def send(self, **fields: Any) -> None:
        """Send one frame."""
        self._frames.put(work.WorkRequest(**fields))

    def lease(self, number: int = 1) -> work.Lease:
        """Return the n-th lease of this stream."""
        self.until(lambda heard: len(heard.leases) >= number, f"lease {number}")
        return self.heard.leases[number - 1]

    def settle(self, lease: work.Lease, **outcome: Any) -> work.SettlementResult:
        """Settle a lease and return the answer."""
        before = len(self.heard.settled)
        self.send(settlements=[settlement(lease.lease, **outcome)])
        self.until(lambda heard: len(heard.settled) > before, "the answer to a settlement")
        return self.heard.settled[before]

    def until(self, holds: Callable[[Heard], object], what: str, timeout: float = PATIENCE) -> None:
        """Wait until something was heard."""
        deadline = time.monotonic() + timeout
        with self._news:
            while not holds(self.heard):
                left = deadline - time.monotonic()
                assert left > 0, f"not within {timeout:g} s: {what}; heard {self.heard}"
                self._news.wait(left)

    def _outgoing(self, frames: "queue.Queue[work.WorkRequest | None]") -> Iterator[work.WorkRequest]:
        while (frame := frames.get()) is not None:
            yield frame

    def _listen(self, call: Any, heard: Heard) -> None:
        try:
            for frame in call:
                with self._news:
                    heard.take(frame)
                    self._news.notify_all()
            ended: grpc.RpcError | bool = True
        except grpc.RpcError as error:
            ended = error
        with self._news:
            heard.ended = ended
            self._news.notify_all()


def settlement(ref: work.LeaseRef, **outcome: Any) -> work.Settlement:
    """Return a settlement; a success with no output unless said otherwise."""
    return work.Settlement(lease=ref, **(outcome or {"succeeded": work.Succeeded()}))


def failed(error_type: str, message: str = "", **fields: Any) -> work.Failed:
    """Return a failure's report."""
    return work.Failed(error=pb.ExecutionError(type=error_type, message=message), **fields)


@dataclass
class Refusal:
    """How a call was refused."""

    metadata: dict[str, str] = field(default_factory=dict)
    retry_after: float = 0.0
    message: str = ""


@contextmanager
def refused(reason: str, code: int) -> Iterator[Refusal]:
    """Expect a call to be refused with this reason and `google.rpc.Code`."""
    told = Refusal()
    try:
        yield told
    except grpc.RpcError as error:
        call: Any = error
        info = detail(error, error_details_pb2.ErrorInfo)
        assert (info.reason, call.code().value[0]) == (reason, code), call.details()
        told.metadata, told.message = dict(info.metadata), call.details()
        if code in (code_pb2.RESOURCE_EXHAUSTED, code_pb2.UNAVAILABLE):
            told.retry_after = detail(error, error_details_pb2.RetryInfo).retry_delay.ToNanoseconds() / 1e9
    else:
        raise AssertionError(f"not refused with {reason}")


def reason_of(error: grpc.RpcError) -> str:
    """Return the stable reason of a refusal."""
    return detail(error, error_details_pb2.ErrorInfo).reason


def detail(error: grpc.RpcError, kind: type[M]) -> M:
    """Return one detail of a status."""
    call: Any = error
    status = rpc_status.from_call(call)
    assert status is not None, f"no details in {error}"
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            return message
    raise AssertionError(f"no {kind.__name__} in {status}")
