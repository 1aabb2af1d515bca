"""What an answer to an OTLP request means for the rows that were in it.

Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response; the deviations, which keep rows where
the specification drops them, are deliberate: a fault of configuration is no fault of the data.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

DETAILS = "grpc-status-details-bin"

_LATER = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_BLOCKED = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
    }
)
_TLS_FAULTS = ("SSL_ERROR_SSL", "verification check failed", "security handshaker")
_CLOSED_EARLY = "failed to connect to all addresses; last error: UNAVAILABLE"
_HINT = "; does the collector expect TLS, or a client certificate?"


@dataclass(frozen=True, slots=True)
class Taken:
    """The collector has the request; it may have rejected some of it, not saying which."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """The same request may succeed later; `after` is how long the collector asks to be left alone."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request, or something in it, will never be taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """No request will be taken until somebody changes the configuration, here or there."""

    reason: str


Answer = Taken | Later | Refused | Blocked


def of_success(signal: str, body: bytes) -> Taken:
    """Return what an OK says. A response that cannot be read is an OK all the same."""
    try:
        if signal == "logs":
            logs = ExportLogsServiceResponse.FromString(body).partial_success
            return Taken(max(0, logs.rejected_log_records), logs.error_message)
        spans = ExportTraceServiceResponse.FromString(body).partial_success
        return Taken(max(0, spans.rejected_spans), spans.error_message)
    except DecodeError:
        return Taken(message="the collector's response is not OTLP")


def of_error(code: grpc.StatusCode, text: str, details: bytes) -> Later | Refused | Blocked:
    """Return what a status means; `details` are the bytes of `grpc-status-details-bin`, or empty."""
    reason = f"{code.name}: {text}"
    after = retry_delay(details)
    if code is grpc.StatusCode.UNAVAILABLE and any(fault in text for fault in _TLS_FAULTS):
        return Blocked(f"TLS: {text}")
    if code in _BLOCKED:
        return Blocked(reason)
    if code in _LATER or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and after is not None):
        return Later(reason + _HINT if _CLOSED_EARLY in text else reason, after)
    return Refused(reason)


def retry_delay(details: bytes) -> timedelta | None:
    """Return the delay of the RetryInfo in a serialized `google.rpc.Status`, None without one."""
    try:
        return _first_delay(Status.FromString(details).details)
    except (DecodeError, OverflowError):
        return None


def _first_delay(details: Iterable[Any]) -> timedelta | None:
    for detail in details:
        info = RetryInfo()
        if detail.Unpack(info):
            return max(timedelta(0), info.retry_delay.ToTimedelta())
    return None
