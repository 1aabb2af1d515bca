"""A request that can be read in two ways is read in none: what follows it is no request."""

import socket

from tests.processes import SidecarProcess
from tests.services.loopback import HOST
from tests.wire import PATIENCE


def test_two_lengths_are_refused_and_the_connection_is_closed(sidecar: SidecarProcess) -> None:
    """RFC 9112, 6.1: a proxy that counted by the other length would have let the second one by."""
    hidden = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Transfer-Encoding: chunked\r\nContent-Length: 47\r\n\r\n"
    with socket.create_connection((HOST, sidecar.http_port), timeout=PATIENCE) as connection:
        connection.sendall(head + b"0\r\n\r\n" + hidden)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
