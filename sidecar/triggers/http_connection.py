"""One connection over HTTP: how many there may be, how long a request may take, and errors as JSON."""

import asyncio
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sidecar.core.refusals import Reason, Refused
from sidecar.triggers.answers import Answer, Links, Mistake, mistake, refusal


def connection_class(patience: float, most: int) -> type[H11Protocol]:
    """Return the protocol of a server: at most so many connections, so many seconds for each request."""

    class Connection(BoundedConnection):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self.patience, self.most = patience, most

    return Connection


class BoundedConnection(H11Protocol):
    """uvicorn's own, which by itself waits for ever for a request that never comes to its end."""

    patience = 30.0
    most = 512
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away if there are enough."""
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > self.most:
            busy = Refused(Reason.OVERLOADED, "there are too many connections; come again later")
            self._answer_and_close(refusal(busy, Links()))
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and look whether the request is whole."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._unwatch()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._answer_and_close(mistake(Mistake.BAD_REQUEST, msg))

    def on_response_complete(self) -> None:
        """Go on with what came meanwhile, and do not keep for ever what the other side does not read."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.patience, self._drop_unread)

    def _drop_unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _watch(self) -> None:
        """Have a deadline exactly while the sender owes the rest of a request, from its first byte on."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self._give_up)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        message = f"the request took longer to send than {self.patience:g} s"
        self._answer_and_close(mistake(Mistake.REQUEST_TIMEOUT, message))

    def _answer_and_close(self, answer: Answer) -> None:
        """Say why the connection ends, unless an answer is under way or given."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = {
                "content-type": answer.content_type,
                "content-length": str(len(answer.body)),
                "cache-control": "no-store",
                "connection": "close",
                **dict(answer.headers),
            }
            named = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            response = h11.Response(status_code=answer.status, headers=named)
            for event in (response, h11.Data(data=answer.body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
