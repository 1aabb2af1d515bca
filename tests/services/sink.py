"""An OTLP receiver of our own over gRPC, which keeps every byte and answers as it is told to."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeAlias

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.services.answers import Answer, Code, Hang, Ok, Partial, Reset, Slow
from tests.services.front import Front
from tests.services.loopback import HOST, address
from tests.services.received import LOGS, METRICS, TRACES, Received, Request

PACKAGES = {TRACES: "trace", LOGS: "logs", METRICS: "metrics"}
Decision: TypeAlias = Answer | Callable[[Request], Answer]


class Sink(Received):
    """The far side of the wire; it can be stopped and started again on the same port."""

    def __init__(self) -> None:
        super().__init__()
        self._decision: Decision = Ok()
        self._next: list[Answer] = []
        self._let_go = threading.Event()
        self._server: grpc.Server | None = None
        self._front = Front()

    @property
    def endpoint(self) -> str:
        """Host and port for OTLP over gRPC, without TLS."""
        return address(self._front.port)

    @property
    def url(self) -> str:
        """The same, as OTEL_EXPORTER_OTLP_ENDPOINT writes it."""
        return f"http://{self.endpoint}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()
        self._front.dispose()

    def start(self) -> None:
        """Listen; a second start is on the same port as the first."""
        self._let_go = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(32, thread_name_prefix="sink"))
        self._server.add_generic_rpc_handlers(tuple(map(self._handler, PACKAGES)))
        inner = self._server.add_insecure_port(f"{HOST}:0")
        self._server.start()
        self._front.open(inner)

    def stop(self) -> None:
        """Reset every connection and listen no more; what was received stays."""
        self._front.close()
        self._let_go.set()
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def answer(self, decision: Decision) -> None:
        """From now on answer so, or as a function of the request says; let waiting calls go."""
        with self._changed:
            self._decision = decision
            self._let_go.set()
            self._let_go = threading.Event()

    def answer_next(self, *answers: Answer) -> None:
        """Give these answers to the next requests, one each, before the usual one."""
        with self._changed:
            self._next.extend(answers)

    def _handler(self, service: str) -> grpc.GenericRpcHandler:
        def export(payload: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            return self._export(Request(service, payload, metadata, time.time()), context)

        name = f"opentelemetry.proto.collector.{PACKAGES[service]}.v1.{service}"
        return grpc.method_handlers_generic_handler(
            name, {"Export": grpc.unary_unary_rpc_method_handler(export)}
        )

    def _export(self, request: Request, context: grpc.ServicerContext) -> bytes:
        with self._changed:
            answer, let_go = self._decide(request), self._let_go
            self._record(request, answer)
        return self._say(answer, request, context, let_go)

    def _decide(self, request: Request) -> Answer:
        if self._next:
            return self._next.pop(0)
        return self._decision(request) if callable(self._decision) else self._decision

    def _say(
        self, answer: Answer, request: Request, context: grpc.ServicerContext, let_go: threading.Event
    ) -> bytes:
        match answer:
            case Partial(rejected, message):
                return _partial(request.service, rejected, message)
            case Slow(seconds):
                let_go.wait(seconds)
            case Hang():
                while context.is_active() and not let_go.wait(0.05):
                    pass
                context.abort(grpc.StatusCode.UNAVAILABLE, "the sink was hanging")
            case Reset():
                self._front.reset()
            case Code(status, message):
                context.set_trailing_metadata(answer.trailer())
                context.abort(status, message)
        return b""


def _partial(service: str, rejected: int, message: str) -> bytes:
    answer: ExportTraceServiceResponse | ExportLogsServiceResponse | ExportMetricsServiceResponse
    match service:
        case "TraceService":
            answer = ExportTraceServiceResponse()
            answer.partial_success.rejected_spans = rejected
        case "LogsService":
            answer = ExportLogsServiceResponse()
            answer.partial_success.rejected_log_records = rejected
        case _:
            answer = ExportMetricsServiceResponse()
            answer.partial_success.rejected_data_points = rejected
    answer.partial_success.error_message = message
    return answer.SerializeToString()
