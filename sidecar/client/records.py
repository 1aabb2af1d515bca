"""What the sidecar knows of an execution, as plain frozen records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.client import content
from sidecar.v1 import execution_pb2 as pb


class State(StrEnum):
    """Where an execution stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Named(Protocol):
    """An enum of the API."""

    def items(self) -> Sequence[tuple[str, int]]:
        """Return its names and numbers."""


TERMINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Correlation:
    """The identity made once, where the work entered; empty where a field does not apply."""

    namespace: str
    execution_id: str
    request_id: str
    workflow_id: str
    parent_execution_id: str = ""
    root_execution_id: str = ""
    source: str = "workflow"
    trigger_type: str = "api"
    webhook_id: str = ""
    path: str = ""
    provider: str = ""
    schedule_id: str = ""
    scheduled_for: datetime | None = None
    external_id: str = ""
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why work failed: `error.type`, the message and the stack, as the worker or the core put it."""

    type: str
    message: str = ""
    stack: str = ""


@dataclass(frozen=True, slots=True)
class Markers:
    """The last steps that were reported."""

    last_started: str = ""
    last_started_at: datetime | None = None
    last_completed: str = ""
    last_completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as its row stood when it was read."""

    correlation: Correlation
    state: State
    version: int
    queue: str
    attempts: int = 0
    segment_index: int = 0
    accepted_at: datetime | None = None
    run_at: datetime | None = None
    started_at: datetime | None = None
    finalized_at: datetime | None = None
    cancel_requested: bool = False
    cancel_reason: str = ""
    output: bytes = b""
    output_content_type: str = ""
    output_missing: bool = False
    error: Failure | None = None
    finalization_path: str = ""
    minimal: str = ""
    steps: Markers = Markers()
    trace_id: str = ""
    sampled: bool = False
    worker_id: str = ""
    idempotency_key: str = ""
    retry_of: str = ""
    concurrency_key: str = ""
    dispatch: str = "managed"

    @property
    def execution_id(self) -> str:
        """Its id."""
        return self.correlation.execution_id

    @property
    def request_id(self) -> str:
        """The request that caused it."""
        return self.correlation.request_id

    @property
    def is_terminal(self) -> bool:
        """True once it has its outcome."""
        return self.state in TERMINAL

    def value(self) -> object:
        """Return the decoded output."""
        return content.decode(self.output, self.output_content_type)


def execution(message: pb.Execution) -> Execution:
    """Return the record of a message."""
    return Execution(
        correlation=correlation(message.correlation),
        state=State(word(pb.ExecutionState, message.state, "EXECUTION_STATE_")),
        version=message.version,
        queue=message.queue,
        attempts=message.attempts,
        segment_index=message.segment_index,
        accepted_at=instant(message, "accepted_at"),
        run_at=instant(message, "run_at"),
        started_at=instant(message, "started_at"),
        finalized_at=instant(message, "finalized_at"),
        cancel_requested=message.cancel_requested,
        cancel_reason=message.cancel_reason,
        output=message.output,
        output_content_type=message.output_content_type,
        output_missing=message.output_missing,
        error=_failure(message),
        finalization_path=word(pb.FinalizationPath, message.finalization_path, "FINALIZATION_PATH_"),
        minimal=message.minimal,
        steps=_markers(message.steps),
        trace_id=message.trace_id,
        sampled=message.sampled,
        worker_id=message.worker_id,
        idempotency_key=message.idempotency_key,
        retry_of=message.retry_of,
        concurrency_key=message.concurrency_key,
        dispatch=word(pb.Dispatch, message.dispatch, "DISPATCH_"),
    )


def correlation(message: pb.Correlation) -> Correlation:
    """Return the correlation of a message."""
    return Correlation(
        namespace=message.namespace,
        execution_id=message.execution_id,
        request_id=message.request_id,
        workflow_id=message.workflow_id,
        parent_execution_id=message.parent_execution_id,
        root_execution_id=message.root_execution_id,
        source=word(pb.Source, message.source, "SOURCE_"),
        trigger_type=message.trigger_type,
        webhook_id=message.webhook_id,
        path=message.path,
        provider=message.provider,
        schedule_id=message.schedule_id,
        scheduled_for=instant(message, "scheduled_for"),
        external_id=message.external_id,
        fallback=message.fallback,
    )


def instant(message: Message, field: str) -> datetime | None:
    """Return a timestamp field in UTC, None when absent."""
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return value.ToDatetime(tzinfo=UTC)


def word(kind: Named, value: int, prefix: str) -> str:
    """Return the plain word of an enum's value, empty if it is unspecified or from a later version."""
    names = {number: name for name, number in kind.items()}
    found = names.get(value, "").removeprefix(prefix).lower()
    return "" if found == "unspecified" else found


def _failure(message: pb.Execution) -> Failure | None:
    if not message.HasField("error"):
        return None
    return Failure(message.error.type, message.error.message, message.error.stack)


def _markers(message: pb.StepMarkers) -> Markers:
    return Markers(
        message.last_started,
        instant(message, "last_started_at"),
        message.last_completed,
        instant(message, "last_completed_at"),
    )
