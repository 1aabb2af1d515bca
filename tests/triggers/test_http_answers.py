"""Refusals over HTTP: every reason has one status, which fits its gRPC code (ADM-2)."""

import json
from datetime import timedelta

import pytest
from google.rpc import code_pb2

from sidecar.core.refusals import Reason, Refused, retry_after
from sidecar.transport.errors import CODES
from sidecar.triggers.answers import STATUSES, Links, Mistake, mistake, not_allowed, refusal

OF_CODES: dict[int, int] = {
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.FAILED_PRECONDITION: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.INTERNAL: 500,
}


def test_every_reason_and_mistake_has_a_status() -> None:
    assert set(STATUSES) == {*Reason, *Mistake}
    assert not {reason.value for reason in Reason} & {mistake.value for mistake in Mistake}


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_says_the_same_over_http_as_over_grpc(reason: Reason) -> None:
    """ADM-2."""
    expected = 413 if reason is Reason.PAYLOAD_TOO_LARGE else OF_CODES[CODES[reason]]
    answer = refusal(Refused(reason, "words", {"field": "payload"}), Links())
    assert answer.status == STATUSES[reason] == expected
    assert json.loads(answer.body) == {
        "error": {"reason": reason.value, "message": "words", "metadata": {"field": "payload"}}
    }


@pytest.mark.parametrize("reason", Reason)
def test_what_may_be_repeated_later_says_when(reason: Reason) -> None:
    """ADM-2: 429 and 503 come with Retry-After wherever waiting helps."""
    headers = dict(refusal(Refused(reason, "words"), Links()).headers)
    assert ("retry-after" in headers) == (retry_after(Refused(reason, "words")) is not None)
    assert ("retry-after" in headers) == (STATUSES[reason] in (429, 503) and reason is not Reason.STEP_LIMIT)


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        (timedelta(microseconds=1), "1"),
        (timedelta(seconds=1), "1"),
        (timedelta(seconds=1, microseconds=1), "2"),
        (timedelta(minutes=2), "120"),
    ],
)
def test_the_time_to_wait_is_in_whole_seconds_rounded_up(wait: timedelta, told: str) -> None:
    answer = refusal(Refused(Reason.RATE_LIMITED, "words", retry_after=wait), Links())
    assert dict(answer.headers)["retry-after"] == told


def test_a_method_that_is_not_taken_is_answered_with_those_that_are() -> None:
    answer = not_allowed("PUT", ("GET", "POST"))
    assert (answer.status, answer.headers) == (405, (("allow", "GET, POST"),))


def test_no_message_can_break_the_answer() -> None:
    """A lone surrogate, quotes and control characters are JSON like any other text."""
    message = 'a "\x00\ud800\n'
    assert json.loads(mistake(Mistake.BAD_REQUEST, message).body)["error"]["message"] == message


@pytest.mark.parametrize(
    ("base", "key", "address"),
    [
        ("", ("default", "e1"), "/executions/e1"),
        ("", ("n&s", "e1"), "/executions/e1?namespace=n%26s"),
        (
            "https://x.example/side/",
            ("default", "a/b?c#d%"),
            "https://x.example/side/executions/a%2Fb%3Fc%23d%25",
        ),
    ],
)
def test_a_status_address_leads_to_exactly_one_execution(
    base: str, key: tuple[str, str], address: str
) -> None:
    assert Links(base).status(key) == address
