"""The Python client and worker; knows the API and the conventions, nothing of the server."""

from sidecar.client.calls import Cancellation
from sidecar.client.client import Client
from sidecar.client.correlation import CorrelationSpanProcessor
from sidecar.client.enqueueing import Enqueue, EnqueueOptions
from sidecar.client.errors import (
    AlreadyFinalizedError,
    ConflictError,
    ExecutionCancelledError,
    ExecutionFailedError,
    ExhaustedError,
    InvalidArgumentError,
    LeaseLostError,
    NotFoundError,
    OutcomeError,
    OutputMissingError,
    PermissionDeniedError,
    SidecarError,
    TimedOutError,
    UnavailableError,
)
from sidecar.client.handles import Handle, SyncHandle
from sidecar.client.io_thread import ForkedProcessError
from sidecar.client.options import Deadlines, RetryPolicy
from sidecar.client.records import Correlation, Execution, Failure, Markers, State
from sidecar.client.registry import Change, Kind, Registry, StoredDefinition, SyncRegistry
from sidecar.client.run import Run, current_run, headers
from sidecar.client.schedules import Schedules, SyncSchedules
from sidecar.client.step import Step
from sidecar.client.sync import SyncClient
from sidecar.client.timetables import Fired, NewSchedule, Ran, ScheduleStatus
from sidecar.client.tracing import Account, Span, Trace, Verification, Violation
from sidecar.client.verdicts import FinalError, HandlerError, RetryError, RunCancelledError
from sidecar.client.worker import Worker

__all__ = [
    "Account",
    "AlreadyFinalizedError",
    "Cancellation",
    "Change",
    "Client",
    "ConflictError",
    "Correlation",
    "CorrelationSpanProcessor",
    "Deadlines",
    "Enqueue",
    "EnqueueOptions",
    "Execution",
    "ExecutionCancelledError",
    "ExecutionFailedError",
    "ExhaustedError",
    "Failure",
    "FinalError",
    "Fired",
    "ForkedProcessError",
    "Handle",
    "HandlerError",
    "InvalidArgumentError",
    "Kind",
    "LeaseLostError",
    "Markers",
    "NewSchedule",
    "NotFoundError",
    "OutcomeError",
    "OutputMissingError",
    "PermissionDeniedError",
    "Ran",
    "Registry",
    "RetryError",
    "RetryPolicy",
    "Run",
    "RunCancelledError",
    "ScheduleStatus",
    "Schedules",
    "SidecarError",
    "Span",
    "State",
    "Step",
    "StoredDefinition",
    "SyncClient",
    "SyncHandle",
    "SyncRegistry",
    "SyncSchedules",
    "TimedOutError",
    "Trace",
    "UnavailableError",
    "Verification",
    "Violation",
    "Worker",
    "current_run",
    "headers",
]
