"""Free loopback ports, plain GET requests, and waiting for a condition with a deadline."""

import random
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

HOST = "127.0.0.1"
# Below the kernel's ephemeral range, so no outgoing connection takes the port of a stopped service.
RESERVABLE = range(15_000, 32_000)


class NotInTimeError(AssertionError):
    """A condition that was waited for did not come true before its deadline."""


def free_port() -> int:
    """A port nothing listens on, which stays ours to bind again after a stop."""
    for port in random.SystemRandom().sample(RESERVABLE, 200):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError("no free loopback port")


def address(port: int) -> str:
    return f"{HOST}:{port}"


def fetch(port: int, path: str, timeout: float = 10.0) -> bytes | None:
    """The body of a successful GET; nothing if the server is away or says no."""
    connection = HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == HTTPStatus.OK else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def await_condition(holds: Callable[[], bool], what: str, timeout: float, every: float = 0.05) -> None:
    """Poll until the condition holds; say what was missing if it never does."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise NotInTimeError(f"not within {timeout:g} s: {what}")
        time.sleep(every)
