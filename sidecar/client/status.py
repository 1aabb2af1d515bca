"""From gRPC statuses and refusals to the client's errors.

Source: https://google.aip.dev/193 (ErrorInfo, RetryInfo), `grpc-status-details-bin`.
"""

from typing import Final

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from sidecar.client import records
from sidecar.client.errors import BY_CODE, BY_REASON, SidecarError
from sidecar.v1 import execution_pb2 as pb

DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_TRANSIENT: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
)


def error_of(failed: grpc.aio.AioRpcError) -> SidecarError:
    """Return what a failed call means, with the details that it carried."""
    code = failed.code()
    info, retry, current = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), pb.CurrentExecution()
    for detail in _details(failed).details:
        for wanted in (info, retry, current):
            detail.Unpack(wanted)
    return _kind(info.reason, code)(
        failed.details() or code.name,
        code=code,
        reason=info.reason,
        metadata=info.metadata,
        execution=records.execution(current.execution) if current.HasField("execution") else None,
        retry_after=_seconds(retry, "retry_delay"),
    )


def error_of_refusal(refusal: pb.Refusal) -> SidecarError:
    """Return what the refusal of one among many means: the same as of a call of one."""
    code = _CODES.get(refusal.code, grpc.StatusCode.UNKNOWN)
    return _kind(refusal.reason, code)(
        refusal.message,
        code=code,
        reason=refusal.reason,
        metadata=refusal.metadata,
        execution=records.execution(refusal.execution) if refusal.HasField("execution") else None,
        retry_after=_seconds(refusal, "retry_after"),
    )


def is_transient(error: SidecarError) -> bool:
    """True when the same call may succeed later: nothing was refused for what it is, or settled."""
    if error.execution is not None and error.execution.is_terminal:
        return False
    return error.code in _TRANSIENT or error.retry_after is not None


def is_fault(error: SidecarError) -> bool:
    """True when the sidecar failed over the call: its own fault, and maybe a passing one."""
    return error.code is grpc.StatusCode.INTERNAL


def _kind(reason: str, code: grpc.StatusCode) -> type[SidecarError]:
    return BY_REASON.get(reason) or BY_CODE.get(code, SidecarError)


def _seconds(message: Message, field: str) -> float | None:
    if not message.HasField(field):
        return None
    delay: Duration = getattr(message, field)
    return delay.ToTimedelta().total_seconds()


def _details(failed: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in failed.trailing_metadata() or ():
        if key == DETAILS and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()
