"""The connection to a sidecar: one channel, opened on the I/O thread when it is first used."""

import os
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

from sidecar.client.io_thread import IoThread, io_thread
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from sidecar.v1.execution_service_pb2_grpc import ExecutionServiceStub
from sidecar.v1.registry_service_pb2_grpc import RegistryServiceStub
from sidecar.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from sidecar.v1.worker_service_pb2_grpc import WorkerServiceStub

if TYPE_CHECKING:
    from sidecar.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from sidecar.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub
    from sidecar.v1.registry_service_pb2_grpc import RegistryServiceAsyncStub
    from sidecar.v1.schedule_service_pb2_grpc import ScheduleServiceAsyncStub
    from sidecar.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub

TARGET_VARIABLE: Final = "SIDECAR_TARGET"
DEFAULT_TARGET: Final = "127.0.0.1:50551"
DEFAULT_NAMESPACE: Final = "default"
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024

OPTIONS: Final = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    # Above the 10 s between pings that a sidecar allows.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A channel that is opened anew must not be given the silent connection of another.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def target_of(target: str | None) -> str:
    """Return the address to talk to: the argument, else `SIDECAR_TARGET`, else the default."""
    return target or os.environ.get(TARGET_VARIABLE) or DEFAULT_TARGET


class Connection:
    """A channel and its stubs; the stubs may be used on the I/O thread only."""

    def __init__(self, target: str | None = None, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.target = target_of(target)
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None

    @property
    def io(self) -> IoThread:
        """The thread on which the stubs live."""
        return io_thread()

    @property
    def executions(self) -> "ExecutionServiceAsyncStub":
        """The calls of callers."""
        return ExecutionServiceStub(self._opened())

    @property
    def admin(self) -> "AdminServiceAsyncStub":
        """The calls of operators."""
        return AdminServiceStub(self._opened())

    @property
    def workers(self) -> "WorkerServiceAsyncStub":
        """The calls of workers."""
        return WorkerServiceStub(self._opened())

    @property
    def registry(self) -> "RegistryServiceAsyncStub":
        """The calls that define things."""
        return RegistryServiceStub(self._opened())

    @property
    def schedules(self) -> "ScheduleServiceAsyncStub":
        """The calls about schedules as they stand."""
        return ScheduleServiceStub(self._opened())

    async def close(self) -> None:
        """Close the channel; the next use opens another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def _opened(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = self._open()
        return self._channel

    def _open(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.target, options=OPTIONS)
        return grpc.aio.secure_channel(self.target, self._credentials, options=OPTIONS)
