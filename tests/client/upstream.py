"""Another service that handlers call, which keeps the headers that arrive."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.client.fake import WAIT


class Upstream:
    """Another service: keeps the headers of each path that is asked for, every value of every name."""

    def __init__(self) -> None:
        self.arrived: dict[str, dict[str, list[str]]] = {}
        arrived = self.arrived

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                arrived[self.path] = {name.lower(): self.headers.get_all(name) or [] for name in self.headers}
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def get(self, path: str, headers: dict[str, str]) -> None:
        """Call it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.server_port, timeout=WAIT)
        connection.request("GET", path, headers=headers)
        assert connection.getresponse().read() == b""
        connection.close()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
