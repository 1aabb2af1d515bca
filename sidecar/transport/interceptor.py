"""Around every call: exceptions become statuses in one place, and the call is measured."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from sidecar.core.refusals import RefusalError, StoreUnavailableError, refused_by
from sidecar.transport.context import Context
from sidecar.transport.errors import status

Record = Callable[[str, str, float], None]
"""Told of each ended call: `package.Service/Method`, status code name, seconds."""

OnBug = Callable[[str, Exception], None]
"""Told of an exception that no refusal stands for."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps unary and streaming handlers alike; cancellation passes through untouched."""

    def __init__(self, record: Record, on_bug: OnBug) -> None:
        self._record = record
        self._on_bug = on_bug

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the wrapped handler."""
        handler: Any = await continuation(handler_call_details)
        method = str(handler_call_details.method).lstrip("/")
        if handler is None or not method.startswith("sidecar."):
            return handler
        wrapped = self._streaming if handler.response_streaming else self._unary
        return _replace(handler, wrapped(method, _behaviour(handler)))

    def _unary(self, method: str, call: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def wrapped(request: Any, context: Context) -> Any:
            started = time.monotonic()
            try:
                return await call(request, context)
            except Exception as error:
                await self._abort(method, context, error)
            finally:
                self._record(method, _code(context), time.monotonic() - started)

        return wrapped

    def _streaming(self, method: str, call: Callable[[Any, Context], AsyncIterator[Any]]) -> Any:
        async def wrapped(request: Any, context: Context) -> AsyncIterator[Any]:
            started = time.monotonic()
            try:
                async for response in call(request, context):
                    yield response
            except Exception as error:
                await self._abort(method, context, error)
            finally:
                self._record(method, _code(context), time.monotonic() - started)

        return wrapped

    async def _abort(self, method: str, context: Context, error: Exception) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if not isinstance(error, RefusalError | StoreUnavailableError):
            self._on_bug(method, error)
        await context.abort_with_status(status(refused_by(error)))


def _behaviour(handler: Any) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def _replace(handler: Any, behaviour: Any) -> Any:
    kind = f"{'stream' if handler.request_streaming else 'unary'}_" + (
        "stream" if handler.response_streaming else "unary"
    )
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


def _code(context: Context) -> str:
    return str(getattr(context.code(), "name", "OK"))
