"""What can go wrong for a caller: one class per kind, with the reason and record that came along."""

from collections.abc import Mapping
from typing import Final

import grpc

from sidecar.client.records import Execution


class SidecarError(Exception):
    """The sidecar refused, or could not be asked. `reason` is stable; the message is for people."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        execution: Execution | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.execution = execution
        self.retry_after = retry_after


class InvalidArgumentError(SidecarError):
    """A field is malformed or too large; the message names it."""


class NotFoundError(SidecarError):
    """No such execution in this namespace."""


class ConflictError(SidecarError):
    """The execution id or idempotency key was used for other work."""


class AlreadyFinalizedError(SidecarError):
    """The execution has its outcome; it is in `execution`."""


class LeaseLostError(SidecarError):
    """The lease passed on; the current state is in `execution`."""


class PermissionDeniedError(SidecarError):
    """The caller is unknown, or may not do this."""


class ExhaustedError(SidecarError):
    """A limit or quota is used up."""


class UnavailableError(SidecarError):
    """The sidecar, or its store, could not be reached; the same call may be repeated."""


class TimedOutError(UnavailableError, TimeoutError):
    """The caller's time was up first; what was sent may have been done, repeating it is safe."""


class OutcomeError(Exception):
    """An execution ended without a result; the record is in `execution`."""

    def __init__(self, message: str, execution: Execution) -> None:
        super().__init__(message)
        self.execution = execution


class ExecutionFailedError(OutcomeError):
    """It failed; `type`, `message` and `stack` are as the worker or the core put them."""

    def __init__(self, execution: Execution) -> None:
        error = execution.error
        self.type = error.type if error else ""
        self.message = error.message if error else ""
        self.stack = error.stack if error else ""
        super().__init__(f"{self.type}: {self.message}" if self.message else self.type, execution)


class ExecutionCancelledError(OutcomeError):
    """It was cancelled."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(execution.cancel_reason or "cancelled", execution)


class OutputMissingError(OutcomeError):
    """It succeeded, and its output could not be kept."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"the output was not kept: {execution.minimal or 'over the limits'}", execution)


BY_REASON: Final[Mapping[str, type[SidecarError]]] = {
    "ALREADY_FINALIZED": AlreadyFinalizedError,
    "LEASE_LOST": LeaseLostError,
    "EXECUTION_ID_CONFLICT": ConflictError,
    "IDEMPOTENCY_CONFLICT": ConflictError,
}

BY_CODE: Final[Mapping[grpc.StatusCode, type[SidecarError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.UNAUTHENTICATED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.CANCELLED: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOutError,
}
