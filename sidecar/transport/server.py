"""The gRPC server: services, health, reflection, and an orderly end."""

from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from sidecar.transport.admin_service import AdminService
from sidecar.transport.execution_service import ExecutionService
from sidecar.transport.interceptor import CallInterceptor
from sidecar.transport.registry_service import RegistryService
from sidecar.transport.schedule_service import ScheduleService
from sidecar.transport.worker_service import WorkerService
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import admin_service_pb2_grpc as admin_stubs
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import execution_service_pb2_grpc as api_stubs
from sidecar.v1 import registry_service_pb2 as registry_api
from sidecar.v1 import registry_service_pb2_grpc as registry_stubs
from sidecar.v1 import schedule_service_pb2 as schedule_api
from sidecar.v1 import schedule_service_pb2_grpc as schedule_stubs
from sidecar.v1 import worker_service_pb2 as work
from sidecar.v1 import worker_service_pb2_grpc as work_stubs

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server.max_pending_requests", 4_096),
    ("grpc.server.max_pending_requests_hard_limit", 8_192),
    ("grpc.so_reuseport", 0),
)

_SERVICES = (
    api.DESCRIPTOR.services_by_name["ExecutionService"].full_name,
    work.DESCRIPTOR.services_by_name["WorkerService"].full_name,
    admin.DESCRIPTOR.services_by_name["AdminService"].full_name,
    registry_api.DESCRIPTOR.services_by_name["RegistryService"].full_name,
    schedule_api.DESCRIPTOR.services_by_name["ScheduleService"].full_name,
)


class Server:
    """Serves from `start` until `stop`; `port` is known once started."""

    def __init__(
        self,
        executions: ExecutionService,
        workers: WorkerService,
        administration: AdminService,
        registry: RegistryService,
        schedules: ScheduleService,
        interceptor: CallInterceptor,
    ) -> None:
        self._workers = workers
        self._server = grpc.aio.server(interceptors=[interceptor], options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        api_stubs.add_ExecutionServiceServicer_to_server(executions, self._server)
        work_stubs.add_WorkerServiceServicer_to_server(workers, self._server)
        admin_stubs.add_AdminServiceServicer_to_server(administration, self._server)
        registry_stubs.add_RegistryServiceServicer_to_server(registry, self._server)
        schedule_stubs.add_ScheduleServiceServicer_to_server(schedules, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = 0

    async def start(self, address: str) -> None:
        """Bind and serve.

        Raises:
            OSError: if the address cannot be bound.
        """
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from error
        await self._server.start()
        await self.report(serving=True)

    async def report(self, *, serving: bool) -> None:
        """Tell health whether calls are welcome: overall, and for each service."""
        state = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", *_SERVICES):
            await self._health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, tell the workers, and give calls under way `grace` seconds to end."""
        await self._health.enter_graceful_shutdown()
        self._workers.drain()
        await self._server.stop(grace)
