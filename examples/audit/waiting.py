"""Waiting until something is so, for a bounded time."""

import time
from collections.abc import Callable

from examples.audit.processes import DemoError

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so.

    Raises:
        DemoError: when it takes too long.
    """
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > ends_at:
            raise DemoError(f"it took too long until {what}")
        time.sleep(POLL_SECONDS)
