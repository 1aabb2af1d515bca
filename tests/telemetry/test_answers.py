"""The pure classification of answers, code by code, and how long to stand back."""

from datetime import timedelta

import grpc
import pytest
from google.rpc.code_pb2 import Code as RpcCode
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from sidecar.telemetry.answers import Blocked, Later, Refused, Taken, of_error, of_success, retry_delay
from sidecar.telemetry.backoff import Backoff
from tests.services.answers import Code

LATER = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED", "OUT_OF_RANGE", "DATA_LOSS"}
BLOCKED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"}


def details(retry_after: float) -> bytes:
    ((_, raw),) = Code(grpc.StatusCode.UNAVAILABLE, retry_after=retry_after).trailer()
    return raw


@pytest.mark.parametrize(
    "code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK], ids=lambda c: c.name
)
def test_every_code_has_its_meaning(code: grpc.StatusCode) -> None:
    kind = Later if code.name in LATER else Blocked if code.name in BLOCKED else Refused
    answer = of_error(code, "text", b"")
    assert type(answer) is kind
    assert answer.reason == f"{code.name}: text"


def test_exhausted_may_pass_only_with_a_delay() -> None:
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(of_error(exhausted, "", b""), Refused)
    assert of_error(exhausted, "", details(2.5)) == Later("RESOURCE_EXHAUSTED: ", timedelta(seconds=2.5))


@pytest.mark.parametrize(
    "text",
    [
        "last error: Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED",
        "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed.",
        "ipv4:127.0.0.1:1: Failed to create security handshaker.",
    ],
)
def test_tls_failures_are_faults_of_configuration(text: str) -> None:
    assert of_error(grpc.StatusCode.UNAVAILABLE, text, b"") == Blocked(f"TLS: {text}")


def test_a_connection_that_is_closed_at_once_gets_a_hint() -> None:
    text = "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed"
    answer = of_error(grpc.StatusCode.UNAVAILABLE, text, b"")
    assert isinstance(answer, Later)
    assert answer.reason.endswith("does the collector expect TLS, or a client certificate?")


@given(st.binary())
def test_any_details_and_any_response_are_read_without_an_error(raw: bytes) -> None:
    delay = retry_delay(raw)
    assert delay is None or delay >= timedelta(0)
    assert of_success("traces", raw).rejected >= 0
    assert of_success("logs", raw).rejected >= 0


def test_details_without_a_delay_give_none() -> None:
    assert retry_delay(Status(code=RpcCode.UNAVAILABLE).SerializeToString()) is None
    assert retry_delay(details(0.0)) == timedelta(0)


def test_partial_success_is_read() -> None:
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="old")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    assert of_success("traces", body) == Taken(3, "old")
    assert of_success("traces", b"") == of_success("logs", b"") == Taken()


def test_backoff_doubles_to_its_ceiling_with_jitter_and_begins_anew() -> None:
    fractions = iter([0.0, 1.0, 0.0, 1.0, 0.5, 0.0])
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=3), lambda: next(fractions))
    assert [backoff.next().total_seconds() for _ in range(5)] == [0.5, 2.0, 1.5, 3.0, 2.25]
    backoff.reset()
    assert backoff.next() == timedelta(seconds=0.5)


def test_a_wish_is_granted_within_reason() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=3), lambda: 0.5)
    assert backoff.next(timedelta(seconds=10)) == timedelta(seconds=10.5)
    assert backoff.next(timedelta(0)) == timedelta(seconds=1.5)
    assert backoff.next(timedelta(days=400)) == timedelta(minutes=15.75)


def test_backoff_never_overflows() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=3), lambda: 0.0, tries=10**9)
    assert backoff.next() == timedelta(seconds=1.5)
