"""What the OTLP sink received: every request by its bytes, and waiting until enough has come."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.services.answers import Answer, takes
from tests.services.loopback import NotInTimeError
from tests.services.wire import SpanCopy, spans_in

TRACES, LOGS, METRICS = "TraceService", "LogsService", "MetricsService"


@dataclass(frozen=True)
class Request:
    """One request as received: its bytes and its metadata."""

    service: str
    payload: bytes
    metadata: dict[str, str | bytes]
    received_at: float

    @property
    def spans(self) -> list[SpanCopy]:
        return list(spans_in(self.payload)) if self.service == TRACES else []


@dataclass(frozen=True)
class Answered:
    """A request and what it was told."""

    request: Request
    answer: Answer


class Received:
    """Requests in order of arrival; a test waits for them, never sleeps."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answered: list[Answered] = []

    @property
    def answered(self) -> list[Answered]:
        """Every request that arrived, taken or not, with its answer."""
        with self._changed:
            return list(self._answered)

    @property
    def requests(self) -> list[Request]:
        """Every request that arrived, taken or not."""
        return [each.request for each in self.answered]

    @property
    def taken(self) -> list[Request]:
        """The requests that are with the receiver, even if their answer was lost."""
        return [each.request for each in self.answered if takes(each.answer)]

    @property
    def copies(self) -> list[SpanCopy]:
        """Every copy of every span that was taken."""
        return [copy for request in self.taken for copy in request.spans]

    def by_span_id(self) -> dict[str, list[SpanCopy]]:
        """The copies of each span that was taken, under its hex id."""
        found: dict[str, list[SpanCopy]] = defaultdict(list)
        for copy in self.copies:
            found[copy.span_id].append(copy)
        return dict(found)

    def logs(self) -> list[LogRecord]:
        """Every log record that was taken."""
        requests = map(ExportLogsServiceRequest.FromString, self._payloads(LOGS))
        groups = [group for request in requests for group in request.resource_logs]
        return [log for group in groups for scope in group.scope_logs for log in scope.log_records]

    def metrics(self) -> list[Metric]:
        """Every metric that was taken, once for each time that it was sent."""
        requests = map(ExportMetricsServiceRequest.FromString, self._payloads(METRICS))
        groups = [group for request in requests for group in request.resource_metrics]
        return [one for group in groups for scope in group.scope_metrics for one in scope.metrics]

    def wait_for(self, spans: int, timeout: float = 10.0) -> list[SpanCopy]:
        """Wait until so many different spans were taken; every copy of every span."""
        self.wait_until(lambda: len(self.by_span_id()) >= spans, f"{spans} spans", timeout)
        return self.copies

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> list[Request]:
        """Wait until so many requests arrived, whatever they were told."""
        self.wait_until(lambda: len(self.requests) >= count, f"{count} requests", timeout)
        return self.requests

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """Wait for a condition, which is looked at again with each arrival."""
        with self._changed:
            if not self._changed.wait_for(holds, timeout):
                arrived = f"{len(self.requests)} requests, {len(self.by_span_id())} spans taken"
                raise NotInTimeError(f"not within {timeout:g} s: {what}; the sink has {arrived}")

    def clear(self) -> None:
        """Forget what was received so far."""
        with self._changed:
            self._answered.clear()

    def _record(self, request: Request, answer: Answer) -> None:
        with self._changed:
            self._answered.append(Answered(request, answer))
            self._changed.notify_all()

    def _payloads(self, service: str) -> list[bytes]:
        return [request.payload for request in self.taken if request.service == service]
