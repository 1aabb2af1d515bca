"""The worker's stream to the sidecar: opened again for as long as the worker lives."""

import asyncio
import logging
import time
from typing import Final

import grpc.aio

from sidecar.client.channel import Connection
from sidecar.client.errors import InvalidArgumentError, SidecarError
from sidecar.client.keeper import Keeper
from sidecar.client.retrying import Backoff
from sidecar.client.status import error_of
from sidecar.v1 import worker_service_pb2 as work

STABLE_SECONDS: Final = 1.0
MIN_SILENCE_SECONDS: Final = 1.0
_LOG: Final = logging.getLogger(__name__)

Call = grpc.aio.StreamStreamCall[work.WorkRequest, work.WorkResponse]


class Stream:
    """Lives on the I/O thread. `welcomed` is set from the first answer of a sidecar on."""

    def __init__(self, connection: Connection, hello: work.Hello, keeper: Keeper) -> None:
        self.welcomed = asyncio.Event()
        self.connected = False
        self._connection = connection
        self._hello = hello
        self._keeper = keeper
        self._backoff = Backoff(most=2.0)
        self._closing = False
        self._waiting = False
        self._patience = asyncio.timeout(None)

    async def run(self) -> None:
        """Stay connected until closed.

        Raises:
            InvalidArgumentError: when the sidecar refuses the worker's own description.
        """
        while not self._closing:
            hint = None
            try:
                await self._connect()
            except grpc.aio.AioRpcError as failed:
                error = error_of(failed)
                hint = self._lost(error)
            except TimeoutError:
                _LOG.warning("the sidecar at %s is silent: connecting anew", self._connection.target)
                self._waiting = True
                await self._connection.close()
            if not self._closing:
                await self._backoff.rest(hint)

    def close(self) -> None:
        """Say what is left to say and end."""
        self._closing = True
        self._keeper.outgoing.finish()

    async def _connect(self) -> None:
        began = time.monotonic()
        call = self._connection.workers.Work()
        talking: asyncio.Task[None] | None = None
        try:
            await call.write(self._introduce())
            async with asyncio.timeout(None) as self._patience:
                while isinstance(frame := await call.read(), work.WorkResponse):
                    self._heard()
                    if frame.HasField("welcome"):
                        self._take_welcome(frame.welcome)
                        talking = asyncio.create_task(self._talk(call, frame.welcome))
                    self._keeper.take(frame)
                    if frame.draining:
                        self._keeper.outgoing.finish()
        finally:
            self.connected = False
            if talking is not None:
                talking.cancel()
            call.cancel()
            if time.monotonic() - began > STABLE_SECONDS:
                self._backoff.reset()

    def _introduce(self) -> work.WorkRequest:
        frame = work.WorkRequest(hello=self._hello, draining=self._keeper.roster.draining)
        frame.hello.credits = self._keeper.reconnecting()
        frame.hello.held.extend(self._keeper.roster.refs())
        return frame

    def _take_welcome(self, welcome: work.Welcome) -> None:
        self._keeper.welcomed(welcome)
        if self._closing:
            self._keeper.outgoing.finish()
        self.connected = True
        if self._waiting:
            _LOG.info("connected to the sidecar at %s", self._connection.target)
        self._waiting = False
        self.welcomed.set()

    async def _talk(self, call: Call, welcome: work.Welcome) -> None:
        """Write frames, with heartbeats in between, until there is no more to say."""
        beating = asyncio.create_task(self._beat(welcome.lease_ttl.ToTimedelta().total_seconds()))
        try:
            while (frame := await self._keeper.outgoing.frame()) is not None:
                await call.write(frame)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            _LOG.debug("the stream ended while a frame was written; its reader says why")
        finally:
            beating.cancel()

    async def _beat(self, ttl: float) -> None:
        while True:
            if refs := self._keeper.roster.refs():
                self._keeper.outgoing.beat(refs)
                self._expect_within(max(ttl / 2, MIN_SILENCE_SECONDS))
            await asyncio.sleep(ttl / 3)

    def _expect_within(self, limit: float) -> None:
        """Give the stream up if no frame comes: its heartbeats are not heard, or not answered."""
        if self._patience.when() is None:
            self._patience.reschedule(asyncio.get_running_loop().time() + limit)

    def _heard(self) -> None:
        if not self._patience.expired():
            self._patience.reschedule(None)

    def _lost(self, error: SidecarError) -> float | None:
        if isinstance(error, InvalidArgumentError) and not self.welcomed.is_set():
            raise error
        if self.connected or not self._waiting:
            _LOG.warning("waiting for a sidecar at %s: %s", self._connection.target, error)
        self._waiting = True
        return error.retry_after
