"""HTTP spoken byte by byte, as a broken or hostile sender would."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from tests.services.loopback import HOST

PATIENCE = 20.0


@dataclass(frozen=True)
class Heard:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        """The stable reason of a refusal."""
        assert self.headers["content-type"] == "application/json"
        document: dict[str, Any] = json.loads(self.body)
        return str(document["error"]["reason"])


class Connection:
    """One connection, which sends what it is told to and nothing else."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), PATIENCE)

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self.socket.sendall(data)

    def answer(self, method: str = "POST") -> Heard:
        """Read one answer; to HEAD it has no body."""
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Heard(response.status, headers, response.read())

    def interim(self) -> bytes:
        """Read what comes before an answer."""
        return self.socket.recv(1_024)

    def until_closed(self) -> bytes:
        """Read until the other side ends it, in whatever way."""
        found = bytearray()
        try:
            while chunk := self.socket.recv(65_536):
                found += chunk
        except ConnectionError:
            pass
        return bytes(found)


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    """Yield a connection, closed afterwards."""
    connection = Connection(port)
    try:
        yield connection
    finally:
        connection.socket.close()


def request(path: str, *headers: bytes, method: str = "POST", body: bytes | None = b"{}") -> bytes:
    """Return the bytes of a request; without a body it tells no length either."""
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"Host: localhost", *headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body or b""])


def asked(port: int, data: bytes, method: str = "POST") -> Heard:
    """Send bytes on a connection of their own and return the answer."""
    with connected(port) as connection:
        connection.send(data)
        return connection.answer(method)
