"""Answers over HTTP: every refusal and mistake mapped once to a status, all in one shape of JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlencode

from sidecar.core.model import Execution, Key
from sidecar.core.refusals import Reason, Refused, retry_after

JSON = "application/json"
DEFAULT_NAMESPACE = "default"

Pairs = tuple[tuple[str, str], ...]


class Mistake(StrEnum):
    """What only a request over HTTP can have wrong: stable words beside the core's reasons."""

    BAD_REQUEST = "BAD_REQUEST"
    """It is not HTTP/1.1, or too much of it."""
    UNAUTHENTICATED = "UNAUTHENTICATED"
    """Who sent it did not prove who that is."""
    PAGE_NOT_FOUND = "PAGE_NOT_FOUND"
    """Nothing is served at this path."""
    WEBHOOK_NOT_FOUND = "WEBHOOK_NOT_FOUND"
    """No webhook has this path, or the one that has it is switched off."""
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    """The path does not take this method; `Allow` has those that it takes."""
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    """It took its sender too long to send."""
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    """The body is of a type that is not taken here."""
    MISDIRECTED = "MISDIRECTED"
    """Its `Host` is not one that this address is known by."""
    HEAD_TOO_LARGE = "HEAD_TOO_LARGE"
    """Its address and headers are more than anybody needs."""
    EXECUTION_CANCELLED = "EXECUTION_CANCELLED"
    """The execution that was waited for was cancelled."""
    EXECUTION_FAILED = "EXECUTION_FAILED"
    """The execution that was waited for failed."""


STATUSES: Mapping[Reason | Mistake, int] = {
    Reason.INVALID_ARGUMENT: 400,
    Reason.PAYLOAD_TOO_LARGE: 413,
    Reason.PAYLOAD_INVALID: 400,
    Reason.WORKFLOW_UNKNOWN: 404,
    Reason.WORKFLOW_DISABLED: 409,
    Reason.CALLER_NOT_ALLOWED: 403,
    Reason.RATE_LIMITED: 429,
    Reason.QUEUE_FULL: 429,
    Reason.CONCURRENCY_LIMIT: 429,
    Reason.CHECK_FAILED: 503,
    Reason.DEFINITION_CONFLICT: 409,
    Reason.SCHEDULE_NOT_FOUND: 404,
    Reason.LEASED_ELSEWHERE: 409,
    Reason.NOT_EXTERNAL: 409,
    Reason.EXECUTION_NOT_FOUND: 404,
    Reason.EXECUTION_ID_CONFLICT: 409,
    Reason.IDEMPOTENCY_CONFLICT: 409,
    Reason.ALREADY_FINALIZED: 409,
    Reason.LEASE_LOST: 409,
    Reason.STEP_LIMIT: 429,
    Reason.STORE_UNAVAILABLE: 503,
    Reason.OVERLOADED: 503,
    Reason.DRAINING: 503,
    Reason.INTERNAL: 500,
    Mistake.BAD_REQUEST: 400,
    Mistake.UNAUTHENTICATED: 401,
    Mistake.PAGE_NOT_FOUND: 404,
    Mistake.WEBHOOK_NOT_FOUND: 404,
    Mistake.METHOD_NOT_ALLOWED: 405,
    Mistake.REQUEST_TIMEOUT: 408,
    Mistake.UNSUPPORTED_MEDIA_TYPE: 415,
    Mistake.MISDIRECTED: 421,
    Mistake.HEAD_TOO_LARGE: 431,
    Mistake.EXECUTION_CANCELLED: 409,
    Mistake.EXECUTION_FAILED: 500,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer to a request; the server adds what every answer has."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Pairs = ()


class MistakeError(Exception):
    """A mistake on its way to the edge, with the answer that it gets there."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"answered with {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Links:
    """Where the status of executions is found: paths, or addresses below `base` where that is known."""

    base: str = ""

    def status(self, key: Key) -> str:
        """Return the address of one execution's status."""
        namespace, execution_id = key
        query = "" if namespace == DEFAULT_NAMESPACE else f"?{urlencode({'namespace': namespace})}"
        return f"{self.base.rstrip('/')}/executions/{quote(execution_id, safe='')}{query}"


def document(status: int, content: Mapping[str, object], headers: Pairs = ()) -> Answer:
    """Return a JSON object as an answer."""
    text = json.dumps(content, separators=(",", ":"))
    return Answer(status, text.encode("ascii"), headers=headers)


def mistake(
    reason: Mistake, message: str, metadata: Mapping[str, str] | None = None, headers: Pairs = ()
) -> Answer:
    """Return the answer to a request that never came as far as the core."""
    return document(STATUSES[reason], problem(reason, message, metadata), headers)


def refusal(refused: Refused, links: Links) -> Answer:
    """Return the answer that tells a refusal, and how its record is found if it left one."""
    headers = _waiting(refused)
    content = problem(refused.reason, refused.message, refused.metadata)
    if refused.execution is not None:
        headers += identity(refused.execution)
        content |= where(refused.execution, links)
    return document(STATUSES[refused.reason], content, headers)


def not_allowed(method: str, allowed: Sequence[str]) -> Answer:
    """Return the refusal of a method, naming those that are taken."""
    message = f"{method} is not taken here, only {' and '.join(allowed)}"
    return mistake(Mistake.METHOD_NOT_ALLOWED, message, headers=(("allow", ", ".join(allowed)),))


def problem(
    reason: Reason | Mistake, message: str, metadata: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return what every answer that is no success has in it."""
    return {"error": {"reason": reason.value, "message": message, "metadata": dict(metadata or {})}}


def where(execution: Execution, links: Links) -> dict[str, object]:
    """Return how an execution is found again."""
    return {
        "execution_id": execution.correlation.execution_id,
        "request_id": execution.correlation.request_id,
        "status_url": links.status(execution.key),
    }


def identity(execution: Execution) -> Pairs:
    """Return the headers that say which request it was and where it stands in its trace.

    Source: https://w3c.github.io/trace-context/#traceresponse-header
    """
    anchor = execution.anchor
    return (
        ("x-request-id", execution.correlation.request_id),
        ("traceresponse", anchor.carrier(anchor.send_span_id).traceparent),
    )


def _waiting(refused: Refused) -> Pairs:
    wait = retry_after(refused)
    return () if wait is None else (("retry-after", str(max(1, math.ceil(wait.total_seconds())))),)
