"""The HTTP server within the sidecar's own event loop: ordered start, and an orderly end."""

import asyncio
import socket
from datetime import timedelta

from starlette.types import ASGIApp
from uvicorn import Config, Server

from sidecar.triggers.http_connection import connection_class
from sidecar.triggers.http_page import MAX_HEAD_BYTES

KEEP_ALIVE_SECONDS = 15
BACKLOG = 256


class HttpServer:
    """Serves from `start` until `stop`; `port` is known once started. Signals are left to the process."""

    def __init__(self, app: ASGIApp, patience: timedelta, max_connections: int) -> None:
        """`patience` is how long a sender may take for a whole request."""
        config = Config(
            app,
            http=connection_class(patience.total_seconds(), max_connections),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # What strangers send wrong is answered, not logged.
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            backlog=BACKLOG,
        )
        config.load()
        self._server = Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._socket: socket.socket | None = None
        self.port = 0

    async def start(self, address: str) -> None:
        """Bind `host:port` and serve.

        Raises:
            OSError: if the address cannot be bound.
        """
        try:
            self._socket = await _bound(address)
        except OSError as error:
            raise OSError(f"cannot listen on {address} (SIDECAR_HTTP_LISTEN): {error}") from error
        self.port = self._socket.getsockname()[1]
        await self._server.startup([self._socket])

    async def stop(self, grace: float) -> None:
        """Take no more requests, and give those under way `grace` seconds to be answered."""
        if self._socket is None:
            return
        try:
            async with asyncio.timeout(grace):
                await self._server.shutdown([self._socket])
        except TimeoutError:
            state = self._server.server_state
            for connection in list(state.connections):
                connection.transport.abort()
            for task in list(state.tasks):
                task.cancel()


async def _bound(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    found = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, where = found[0]
    return socket.create_server(where[:2], family=family, backlog=BACKLOG)
