"""One page: whatever its handler does, the answer is JSON, and a fault of our own stays our own."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message
from structlog.testing import capture_logs

from sidecar.ambient import SystemClock
from sidecar.core.refusals import OverloadedError, Reason, RefusalError, Refused, StoreUnavailableError
from sidecar.triggers.answers import Answer, Mistake, MistakeError, document, mistake
from sidecar.triggers.http_page import Handler, Page, body_of


def ask(handler: Handler) -> httpx.Response:
    """Have a page answer one request."""
    app = Page(handler, SystemClock(), methods=["GET", "POST"])

    async def call() -> httpx.Response:
        # A fault that left the page would come out here.
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/x")

    return asyncio.run(call())


def raising(error: Exception) -> Handler:
    async def handler(_request: Request) -> Answer:
        raise error

    return handler


def test_a_fault_of_our_own_is_logged_and_tells_nothing() -> None:
    with capture_logs() as logs:
        answer = ask(raising(KeyError("the password is 1234")))
    assert (answer.status_code, answer.json()["error"]["reason"]) == (500, "INTERNAL")
    assert "1234" not in answer.text
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("http.failed", "error")
    assert isinstance(line["exc_info"], KeyError)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (RefusalError(Refused(Reason.INVALID_ARGUMENT, "words")), 400, "INVALID_ARGUMENT"),
        (StoreUnavailableError("away"), 503, "STORE_UNAVAILABLE"),
        (OverloadedError("full"), 503, "OVERLOADED"),
        (MistakeError(mistake(Mistake.UNAUTHENTICATED, "words")), 401, "UNAUTHENTICATED"),
    ],
)
def test_an_expected_error_is_an_answer_and_no_log_line(error: Exception, status: int, reason: str) -> None:
    with capture_logs() as logs:
        answer = ask(raising(error))
    assert (answer.status_code, answer.json()["error"]["reason"]) == (status, reason)
    assert answer.headers["cache-control"] == "no-store"
    assert logs == []


def test_a_body_is_read_to_its_limit_and_no_further() -> None:
    """WEB-1: of a body without a length nothing is asked for once it is too long."""
    given = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"a" * 10

    async def handler(request: Request) -> Answer:
        return document(200, {"size": len(await body_of(request, 55))})

    app = Page(handler, SystemClock())
    sent: list[int] = []

    async def call() -> None:
        source = chunks()

        async def receive() -> Message:
            return {"type": "http.request", "body": await anext(source), "more_body": True}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.append(message["status"])

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/x",
            "raw_path": b"/x",
            "query_string": b"",
            "headers": [],
        }
        await app(scope, receive, send)

    asyncio.run(call())
    assert sent == [413]
    assert given == 6
