"""Bad values for every field of every call, and the few fields for which every value is good."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

BAD_IDS = ("a b", "tab\t", "nul\x00", "é", "x" * 257, "line\n")
BAD_TEXTS = ("nul\x00", "bell\x07", "x" * 5_000)
BAD_DURATIONS = (
    Duration(seconds=-1),
    Duration(seconds=1, nanos=-1),
    Duration(nanos=1_000_000_000),
    Duration(seconds=400_000_000),
)
BAD_TIMES = (Timestamp(seconds=-1), Timestamp(seconds=253_402_300_799), Timestamp(seconds=1, nanos=-1))
BAD_SPAN_IDS = (b"short", b"\0" * 8, b"123456789")
BAD_TOKENS = (b"", b"short", b"x" * 17)


@dataclass(frozen=True)
class Bad:
    """One bad value in one field of a call; `field` is what the error must name."""

    field: str
    path: str
    value: Any

    def put(self, message: Message) -> None:
        """Put the value where it belongs."""
        *parents, last = self.path.split(".")
        for each in parents:
            name, _, index = each.partition("[")
            found: Any = getattr(message, name)
            message = found[int(index.rstrip("]"))] if index else found
        target = getattr(message, last)
        if isinstance(self.value, Message):
            target.CopyFrom(self.value)
        elif isinstance(self.value, dict):
            target.update(self.value)
        elif isinstance(self.value, list):
            del target[:]
            target.extend(self.value)
        else:
            setattr(message, last, self.value)

    def __str__(self) -> str:
        return f"{self.path}={str(self.value)[:20]!r}"


def bad(path: str, *values: Any, field: str = "") -> list[Bad]:
    return [Bad(field or path, path, value) for value in values]


def retry_cases(path: str) -> list[Bad]:
    return [
        *bad(f"{path}.max_attempts", 10_001),
        *bad(f"{path}.initial_interval", *BAD_DURATIONS),
        *bad(f"{path}.max_interval", Duration(), *BAD_DURATIONS),
        *bad(f"{path}.multiplier", 0.5, -1.0, 101.0, float("nan"), float("inf")),
        *bad(f"{path}.non_retryable", ["x"] * 65, ["a b"], [""]),
    ]


def deadline_cases(path: str) -> list[Bad]:
    names = ("in_queue", "attempt", "total")
    return [b for name in names for b in bad(f"{path}.{name}", Duration(), *BAD_DURATIONS)]


KEY = [*bad("namespace", *BAD_IDS), *bad("execution_id", "", *BAD_IDS)]

ENQUEUE = [
    *bad("namespace", *BAD_IDS),
    *bad("item.workflow_id", "", *BAD_IDS),
    *(
        b
        for name in ("queue", "execution_id", "request_id", "idempotency_key")
        for b in bad(f"item.{name}", *BAD_IDS)
    ),
    *(b for name in ("parent_execution_id", "root_execution_id") for b in bad(f"item.{name}", *BAD_IDS)),
    *(b for name in ("trigger_type", "external_id", "retry_of") for b in bad(f"item.{name}", *BAD_IDS)),
    *bad("item.content_type", *BAD_TEXTS),
    *bad("item.payload", b"x" * 1_048_577, field="payload"),
    *retry_cases("item.retry"),
    *deadline_cases("item.deadlines"),
    *bad("item.run_at", *BAD_TIMES),
    *bad("item.run_in", *BAD_DURATIONS),
    *bad("item.idempotency_key", "schedule:s:1", "webhook:1:w:d"),
    *bad("item.concurrency_key", *BAD_IDS),
    *bad("item.dispatch", 3, 99),
    *bad("item.legacy.job_type", "", "cron", "API"),
    *bad("item.accepted_ago", Duration(seconds=30 * 86_400 + 1), *BAD_DURATIONS),
]

LIST = [
    *bad("namespace", *BAD_IDS),
    *bad("states", [0], [99]),
    *bad("workflow_id", *BAD_IDS),
    *bad("execution_ids", [""], ["a b"], ["x"] * 1_001),
    *bad("page_size", -1, 1_001),
    *bad("page_token", "rubbish", "!!", "AAAA"),
    *(
        b
        for name in ("request_id", "idempotency_key", "external_id", "schedule_id", "webhook_id")
        for b in bad(name, *BAD_IDS)
    ),
    *bad("trace_id", "ab", "g" * 32, "AB" * 16, "a" * 33),
]

WAIT = [*KEY, *bad("timeout", Duration(seconds=301), *BAD_DURATIONS)]
CANCEL = [*KEY, *bad("reason", *BAD_TEXTS), *bad("grace", *BAD_DURATIONS)]


def lease_cases(path: str, name: str) -> list[Bad]:
    return [
        *bad(f"{path}.namespace", *BAD_IDS, field=f"{name}.namespace"),
        *bad(f"{path}.execution_id", "", *BAD_IDS, field=f"{name}.execution_id"),
        *bad(f"{path}.token", *BAD_TOKENS, field=f"{name}.token"),
        *bad(f"{path}.fence", 0, 2**63, field=f"{name}.fence"),
    ]


SETTLEMENT = [
    *lease_cases("lease", "settlement.lease"),
    *bad("succeeded.content_type", *BAD_TEXTS, field="settlement.succeeded.content_type"),
    *bad("failed.error.type", "", *BAD_TEXTS, field="settlement.failed.error.type"),
    *bad("cancelled.reason", *BAD_TEXTS, field="settlement.cancelled.reason"),
]
RETRY_AFTER = bad("failed.retry_after", *BAD_DURATIONS, field="settlement.failed.retry_after")

STEP = [
    *lease_cases("lease", "steps.lease"),
    *bad("sequence", 0, 1_000_001, field="steps.sequence"),
    *bad("name", "", "bell\x07", "x" * 257, field="steps.name"),
    *bad("phase", 0, 7, field="steps.phase"),
    *bad("span_id", b"", *BAD_SPAN_IDS, field="steps.span_id"),
    *bad("parent_span_id", *BAD_SPAN_IDS, field="steps.parent_span_id"),
    *bad("started_after", *BAD_DURATIONS, field="steps.started_after"),
    *bad("completed_after", *BAD_DURATIONS, field="steps.completed_after"),
    *bad("error_type", *BAD_TEXTS, field="steps.error_type"),
]

HELLO = [
    *bad("namespace", *BAD_IDS, field="hello.namespace"),
    *bad("worker_id", "", *BAD_IDS, field="hello.worker_id"),
    *bad("queues", [], ["a b"], [""], ["q"] * 257, field="hello.queues"),
    *bad("workflows", [], ["a b"], [""], ["w"] * 257, field="hello.workflows"),
    *bad("credits", 10_001, field="hello.credits"),
    *bad("sdk", *BAD_TEXTS, field="hello.sdk"),
    *bad("resource", {"service.name": "nul\x00"}, {"x" * 257: ""}, field="hello.resource"),
    *bad("held", [work.LeaseRef(execution_id="e1")], field="hello.held.token"),
]

BEGIN = [
    *KEY,
    *bad("worker_id", "", *BAD_IDS),
    *bad("sdk", *BAD_TEXTS),
    *bad("resource", {"service.name": "nul\x00"}, {"x" * 257: ""}, {f"k{n}": "" for n in range(129)}),
    *bad("begun_ago", *BAD_DURATIONS),
]
HEARTBEAT = lease_cases("lease", "lease")

ANY_VALUE_IS_GOOD: dict[type[Message], dict[str, str]] = {
    api.EnqueueItem: {"carrier": "a bad context begins a new trace and never refuses work"},
    work.Succeeded: {"output": "too large is kept as output_missing", "output_missing": "a flag"},
    work.Failed: {"final": "a flag"},
    pb.ExecutionError: {"message": "kept, cut to its bound", "stack": "kept, cut to its bound"},
}

COVERED: list[tuple[type[Message], list[Bad], str]] = [
    (api.EnqueueExecutionRequest, ENQUEUE, ""),
    (api.EnqueueItem, ENQUEUE, "item."),
    (pb.RetryPolicy, ENQUEUE, "item.retry."),
    (pb.Deadlines, ENQUEUE, "item.deadlines."),
    (api.LegacyPayload, ENQUEUE, "item.legacy."),
    (api.GetExecutionRequest, KEY, ""),
    (api.ListExecutionsRequest, LIST, ""),
    (api.WatchExecutionRequest, KEY, ""),
    (api.WaitExecutionRequest, WAIT, ""),
    (api.CancelExecutionRequest, CANCEL, ""),
    (admin.GetTraceRequest, KEY, ""),
    (admin.VerifyRequest, bad("namespace", *BAD_IDS), ""),
    (work.Settlement, SETTLEMENT, ""),
    (work.LeaseRef, SETTLEMENT, "lease."),
    (work.Succeeded, SETTLEMENT, "succeeded."),
    (work.Failed, [*SETTLEMENT, *RETRY_AFTER], "failed."),
    (pb.ExecutionError, SETTLEMENT, "failed.error."),
    (work.Cancelled, SETTLEMENT, "cancelled."),
    (work.StepReport, STEP, ""),
    (work.Hello, HELLO, ""),
    (work.BeginRequest, BEGIN, ""),
    (work.HeartbeatRequest, HEARTBEAT, ""),
]
"""Which cases cover which message's fields, and the path that they lie under."""

Call = Callable[[Any], object]
