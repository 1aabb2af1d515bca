"""A TCP front on a fixed port: it refuses, forwards, or resets, as a network in trouble would."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import TypeVar

from tests.services.loopback import HOST, free_port

Result = TypeVar("Result")
AT_ONCE = struct.pack("ii", 1, 0)


class Front:
    """Forwards to a port behind it while it is open; nobody listens while it is closed."""

    def __init__(self) -> None:
        self.port = free_port()
        self._behind = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._thread.start()

    def open(self, behind: int) -> None:
        """Listen, and forward to the port behind."""
        self._behind = behind
        self._run(self._open())

    def close(self) -> None:
        """Stop listening and reset every connection; later callers are refused."""
        self._run(self._close())

    def reset(self) -> None:
        """Reset every connection that is open now, and go on listening."""
        self._run(self._reset())

    def dispose(self) -> None:
        """End the front's thread."""
        self.close()
        self._run(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        for writer in self._writers:
            ours: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(HOST, self._behind)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, inner_writer}
        self._writers |= pair
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            self._writers -= pair

    async def _finish(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(65_536):
            writer.write(block)
            await writer.drain()
    writer.close()
