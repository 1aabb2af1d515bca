"""What looks like a secret does not reach a trace backend in a status description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidecar.core.facts import SpanFacts
from sidecar.telemetry.encoding import OtlpEncoder
from sidecar.telemetry.redaction import redacted
from tests.telemetry.samples import OWN, span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("401 with Authorization: Bearer abcdefgh.ijkl", "401 with Authorization: *** ***"),
        ("cannot reach postgresql://app:hunter2@db/x", "cannot reach postgresql://app:***@db/x"),
        ("password=hunter2; retry", "password=***; retry"),
        ('{"api_key": "k-123", "user": "u"}', '{"api_key": "***", "user": "u"}'),
        ("GET /x?token=abc&page=2", "GET /x?token=***&page=2"),
        ("bad eyJhbGciOiJIUzI1.eyJzdWIi.c2ln here", "bad *** here"),
        ("key AKIAABCDEFGHIJKLMNOP denied", "key *** denied"),
        ("whsec_c2VjcmV0 is wrong", "*** is wrong"),
        ("the token expired at 10:30", "the token expired at 10:30"),
        ("KeyError: 'name'", "KeyError: 'name'"),
    ],
)
def test_secrets_are_hidden_and_the_rest_is_kept(text: str, shown: str) -> None:
    assert redacted(text, 1_000) == shown


@given(st.text(), st.integers(0, 50))
def test_the_result_is_bounded(text: str, limit: int) -> None:
    assert len(redacted(text, limit)) <= limit


def test_a_status_description_is_redacted_and_bounded() -> None:
    facts = span(error_type="boom")
    fields = {name: getattr(facts, name) for name in SpanFacts.__slots__}
    leaking = SpanFacts(**{**fields, "error_message": "password=hunter2 " + "x" * 9_000})
    (request,) = OtlpEncoder(OWN).encode([leaking], {})
    message = ExportTraceServiceRequest.FromString(request.body)
    description = message.resource_spans[0].scope_spans[0].spans[0].status.message
    assert description.startswith("password=*** xxx")
    assert len(description) == 1_024
