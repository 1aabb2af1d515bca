"""The process's clock and randomness: the only places where either is asked for."""

import os
import random
import time

from uuid_utils import uuid7

_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds that never go back and, where the system can tell, count its sleep as well."""
        return time.clock_gettime(_STEADY)


class RandomIds:
    """Identities from the operating system's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def execution_id(self) -> str:
        """Return a new UUIDv7 in text form."""
        return str(uuid7())

    def trace_id(self) -> str:
        """Return sixteen random bytes as hex, not all zero."""
        return _nonzero(16)

    def span_id(self) -> str:
        """Return eight random bytes as hex, not all zero."""
        return _nonzero(8)

    def token(self) -> bytes:
        """Return sixteen unguessable bytes."""
        return os.urandom(16)

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._random.random()


def _nonzero(size: int) -> str:
    while not any(value := os.urandom(size)):
        continue
    return value.hex()
