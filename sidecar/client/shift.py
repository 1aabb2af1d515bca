"""One run of a worker: from its first hello to its last word."""

import asyncio
import logging
from concurrent.futures import Future
from typing import Final

from sidecar.client.channel import Connection
from sidecar.client.io_thread import quiet
from sidecar.client.keeper import Keeper
from sidecar.client.stream import Stream
from sidecar.conventions import names
from sidecar.v1 import worker_service_pb2 as work

CLOSE_SECONDS: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


class Shift:
    """Begins when it is made. `over` is done when the stream has ended for good, with its error if any."""

    def __init__(self, connection: Connection, hello: work.Hello, keeper: Keeper) -> None:
        self._connection = connection
        self._keeper = keeper
        self._stream = Stream(connection, hello, keeper)
        self.over: Future[None] = quiet().run(connection.io.submit, self._stream.run())

    async def welcomed(self) -> None:
        """Wait until a sidecar has answered for the first time."""
        await self._connection.io.bridge(self._welcomed())

    async def end(self, grace: float) -> None:
        """Finish what runs and has its answer coming, within the grace, then leave."""
        await self._connection.io.bridge(self._end(grace))

    async def _welcomed(self) -> None:
        await self._stream.welcomed.wait()

    async def _end(self, grace: float) -> None:
        self._keeper.withdraw()
        if not await self._idle_within(grace):
            self._keeper.interrupt_all(names.TYPE_WORKER_SHUTDOWN)
            await self._idle_within(CLOSE_SECONDS)
        self._stream.close()
        last_words = asyncio.wait_for(
            asyncio.wrap_future(self.over), CLOSE_SECONDS if self._stream.connected else 0
        )
        await asyncio.gather(last_words, return_exceptions=True)
        for execution_id in self._keeper.close():
            _LOG.error("%s: left without an answer of the sidecar; its lease will expire", execution_id)
        await self._connection.close()

    async def _idle_within(self, limit: float) -> bool:
        try:
            async with asyncio.timeout(limit):
                await self._keeper.roster.idle.wait()
        except TimeoutError:
            return False
        return True
