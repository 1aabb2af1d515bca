"""One page over HTTP: the way in to its handler, and every way out as JSON that nobody keeps."""

from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sidecar.core.ports import Clock
from sidecar.core.refusals import RefusalError, StoreUnavailableError, refused_by
from sidecar.triggers.answers import Answer, Links, Mistake, MistakeError, mistake, not_allowed, refusal
from sidecar.triggers.guard import Guard
from sidecar.triggers.headers import Headers
from sidecar.triggers.requests import too_large, within

MAX_HEADERS = 256
MAX_HEAD_BYTES = 32_768
"""Of address and headers; legal baggage alone has 8,192."""

Handler = Callable[[Request], Awaitable[Answer]]

_log = structlog.get_logger("sidecar")


class Page:
    """An ASGI application of one path. Without `methods` its handler looks at the method itself."""

    def __init__(
        self, handler: Handler, clock: Clock, *, methods: Sequence[str] = (), guard: Guard | None = None
    ) -> None:
        self._handler = handler
        self._clock = clock
        self._methods = (*methods, "HEAD") if "GET" in methods else tuple(methods)
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever comes."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return
        await self._response(answer)(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._checked(request)
        except MistakeError as error:
            return error.answer
        except (RefusalError, StoreUnavailableError) as error:
            return refusal(refused_by(error), Links())
        except ClientDisconnect:
            raise
        except Exception as error:
            _log.error("http.failed", method=request.method, exc_info=error)
            return refusal(refused_by(error), Links())

    async def _checked(self, request: Request) -> Answer:
        headers = headers_of(request)
        if len(headers.pairs) > MAX_HEADERS or _head_bytes(request.scope) > MAX_HEAD_BYTES:
            message = f"at most {MAX_HEADERS} headers are taken, and {MAX_HEAD_BYTES} bytes with the address"
            return mistake(Mistake.HEAD_TOO_LARGE, message)
        if headers.every("transfer-encoding") and headers.every("content-length"):
            # Two lengths: a proxy in front may have read the other one. RFC 9112, 6.1.
            message = "a request has a Content-Length or a Transfer-Encoding, not both"
            return mistake(Mistake.BAD_REQUEST, message, headers=(("connection", "close"),))
        if self._guard is not None:
            await self._guard.check(headers)
        if self._methods and request.method not in self._methods:
            return not_allowed(request.method, self._methods)
        return await self._handler(request)

    def _response(self, answer: Answer) -> Response:
        headers = {
            "date": formatdate(self._clock.now() / 1e9, usegmt=True),
            "content-type": answer.content_type,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **dict(answer.headers),
        }
        return Response(answer.body, answer.status, headers)


def headers_of(request: Request) -> Headers:
    """Return all headers of a request, repeated ones apart."""
    return Headers.from_wire(request.scope["headers"])


def _head_bytes(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])


async def body_of(request: Request, limit: int) -> bytes:
    """Return the body of a request.

    Raises:
        RefusalError: with PAYLOAD_TOO_LARGE as soon as it is longer than `limit` bytes.
    """
    within(headers_of(request), limit)
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise too_large(limit)
        body += chunk
    return bytes(body)
