"""The one thread and event loop of a process on which everything that talks to a sidecar runs."""

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from opentelemetry import context as otel

T = TypeVar("T")


class ForkedProcessError(RuntimeError):
    """A connection to the sidecar was used after a fork; gRPC does not survive one."""


class IoThread:
    """A daemon thread with an event loop: user code hands coroutines over and waits on its own side."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="sidecar-io", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine over there."""
        self.check(work)
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def block(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine over there while this thread waits."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a blocking call from the sidecar's own I/O thread would never end")
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def bridge(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine over there while this task waits; cancelling the task cancels it too."""
        if asyncio.get_running_loop() is self.loop:
            return await work
        return await asyncio.wrap_future(self.submit(work))

    async def stream(self, source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """Yield here what a generator yields over there."""
        try:
            while found := await self.bridge(_advance(source)):
                yield found[0]
        finally:
            await self.bridge(_end(source))

    def iterate(self, source: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """Yield here, blocking, what a generator yields over there."""
        try:
            while found := self.block(_advance(source)):
                yield found[0]
        finally:
            self.submit(_end(source))

    def post(self, callback: Callable[..., object], *args: object) -> None:
        """Call something over there soon; safe from any thread and from signal handlers."""
        self.loop.call_soon_threadsafe(callback, *args)

    def check(self, work: Coroutine[Any, Any, T]) -> None:
        """Refuse to work in a child of the process that opened the thread."""
        if os.getpid() != self.pid:
            work.close()
            raise ForkedProcessError(
                f"process {self.pid} had connected to a sidecar before it forked: connect after the fork"
            )

    def close(self) -> None:
        """End every task and the loop, so that nothing runs while the interpreter goes down."""
        if os.getpid() == self.pid and self._thread.is_alive():
            self.submit(_cancel_tasks()).result(2)
            self.post(self.loop.stop)
            self._thread.join(2)


async def _advance(source: AsyncGenerator[T, None]) -> tuple[T] | None:
    try:
        return (await anext(source),)
    except StopAsyncIteration:
        return None


async def _end(source: AsyncGenerator[T, None]) -> None:
    with suppress(RuntimeError):  # a cancelled step is still on its way out, and ends the generator itself
        await source.aclose()


async def _cancel_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.wait(others, timeout=1) if others else None


def quiet() -> contextvars.Context:
    """Return a context in which instrumentation libraries keep silent: for what serves many at once."""
    ctx = contextvars.Context()
    ctx.run(otel.attach, otel.set_value(otel._SUPPRESS_INSTRUMENTATION_KEY, True, otel.Context()))
    return ctx


class _Process:
    """Holds the thread of this process."""

    lock = threading.Lock()
    thread: IoThread | None = None


def io_thread() -> IoThread:
    """Return the I/O thread of this process, started on first use."""
    with _Process.lock:
        if _Process.thread is None:
            _Process.thread = IoThread()
            atexit.register(_Process.thread.close)
        return _Process.thread
