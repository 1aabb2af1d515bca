"""What a handle asks of the client that gave it out, as two small protocols."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Protocol

from sidecar.client.calls import Cancellation
from sidecar.client.records import Execution


class Asking(Protocol):
    """The calls on one execution of an async client."""

    async def get(self, execution_id: str) -> Execution:
        """Read one execution."""

    def wait(
        self, execution_id: str, timeout: timedelta | float | None = None
    ) -> Coroutine[Any, Any, Execution]:
        """Wait for an execution's end."""

    async def cancel(
        self, execution_id: str, reason: str = "", grace: timedelta | None = None
    ) -> Cancellation:
        """Ask for a cancellation."""

    def watch(self, execution_id: str) -> AsyncIterator[Execution]:
        """Yield the record as it stands, then each change."""


class BlockingAsking(Protocol):
    """The same calls of a blocking client."""

    def get(self, execution_id: str) -> Execution:
        """Read one execution."""

    def wait(self, execution_id: str, timeout: timedelta | float | None = None) -> Execution:
        """Wait for an execution's end."""

    def cancel(self, execution_id: str, reason: str = "", grace: timedelta | None = None) -> Cancellation:
        """Ask for a cancellation."""

    def watch(self, execution_id: str) -> Iterator[Execution]:
        """Yield the record as it stands, then each change."""
