"""Refusals and faults, mapped once to gRPC status with `google.rpc` details.

Source: https://google.aip.dev/193 (ErrorInfo, RetryInfo).
"""

from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from sidecar.core.refusals import Reason, Refused, retry_after
from sidecar.transport import responses
from sidecar.v1 import execution_pb2 as pb

DOMAIN = "sidecar"
MAX_DETAIL_BYTES = 4_096

CODES: dict[Reason, int] = {
    Reason.INVALID_ARGUMENT: code_pb2.INVALID_ARGUMENT,
    Reason.PAYLOAD_TOO_LARGE: code_pb2.INVALID_ARGUMENT,
    Reason.PAYLOAD_INVALID: code_pb2.INVALID_ARGUMENT,
    Reason.WORKFLOW_UNKNOWN: code_pb2.NOT_FOUND,
    Reason.WORKFLOW_DISABLED: code_pb2.FAILED_PRECONDITION,
    Reason.CALLER_NOT_ALLOWED: code_pb2.PERMISSION_DENIED,
    Reason.RATE_LIMITED: code_pb2.RESOURCE_EXHAUSTED,
    Reason.QUEUE_FULL: code_pb2.RESOURCE_EXHAUSTED,
    Reason.CONCURRENCY_LIMIT: code_pb2.RESOURCE_EXHAUSTED,
    Reason.CHECK_FAILED: code_pb2.UNAVAILABLE,
    Reason.DEFINITION_CONFLICT: code_pb2.ALREADY_EXISTS,
    Reason.SCHEDULE_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.LEASED_ELSEWHERE: code_pb2.FAILED_PRECONDITION,
    Reason.NOT_EXTERNAL: code_pb2.FAILED_PRECONDITION,
    Reason.EXECUTION_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.EXECUTION_ID_CONFLICT: code_pb2.ALREADY_EXISTS,
    Reason.IDEMPOTENCY_CONFLICT: code_pb2.ALREADY_EXISTS,
    Reason.ALREADY_FINALIZED: code_pb2.FAILED_PRECONDITION,
    Reason.LEASE_LOST: code_pb2.FAILED_PRECONDITION,
    Reason.STEP_LIMIT: code_pb2.RESOURCE_EXHAUSTED,
    Reason.STORE_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.OVERLOADED: code_pb2.UNAVAILABLE,
    Reason.DRAINING: code_pb2.UNAVAILABLE,
    Reason.INTERNAL: code_pb2.INTERNAL,
}


def status(refused: Refused) -> grpc.Status:
    """Return the status to abort a call with."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=refused.reason.value, domain=DOMAIN, metadata=dict(refused.metadata)
        )
    ]
    if (wait := retry_after(refused)) is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=_duration(wait)))
    if "field" in refused.metadata:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=refused.metadata["field"], description=refused.message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if refused.execution is not None:
        current = pb.CurrentExecution(execution=responses.brief(refused.execution))
        # Details travel in trailing metadata, which clients may refuse past 8 KiB.
        if current.ByteSize() <= MAX_DETAIL_BYTES:
            details.append(current)
    packed = [_pack(detail) for detail in details]
    code = CODES[refused.reason]
    wire: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code, message=refused.message, details=packed)
    )
    return wire


def _duration(value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    message = Duration()
    message.FromTimedelta(value)
    return message


def _pack(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def refusal(refused: Refused) -> pb.Refusal:
    """Return the refusal of one item among many."""
    return pb.Refusal(
        code=CODES[refused.reason],
        reason=refused.reason.value,
        message=refused.message,
        metadata=dict(refused.metadata),
        execution=responses.brief(refused.execution) if refused.execution else None,
        retry_after=_duration(retry_after(refused)),
    )
