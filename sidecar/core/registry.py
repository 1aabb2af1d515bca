"""The registry: keeps the catalog of this process as the store has it."""

from collections.abc import Callable
from typing import Protocol

from sidecar.core.catalog import Catalog, catalog
from sidecar.core.definitions import Stored

Listener = Callable[[Catalog], None]


class Source(Protocol):
    """The part of `core.ports.Reader` that a registry needs."""

    async def definitions(self, known: int) -> tuple[int, list[Stored] | None]:
        """Return the registry's revision, and everything that is defined if it is not the known one."""


class Registry:
    """Holds the current catalog; reading it costs nothing, and what was read never changes."""

    def __init__(self, reader: Source, strict: frozenset[str] = frozenset()) -> None:
        self._reader = reader
        self._strict = strict
        self._revision = -1
        self._listeners: list[Listener] = []
        self.catalog = catalog((), strict)

    def on_change(self, listener: Listener) -> None:
        """Have each new catalog told to `listener`, on the event loop."""
        self._listeners.append(listener)

    async def refresh(self) -> None:
        """Read the catalog anew if anything that is defined has changed.

        Raises:
            StoreUnavailableError: if the store cannot be read; the catalog stays as it is.
        """
        revision, entries = await self._reader.definitions(self._revision)
        if entries is None or revision <= self._revision:
            return  # Nothing is new, or another look that began later was faster.
        self._revision = revision
        self.catalog = catalog(entries, self._strict)
        for listener in self._listeners:
            listener(self.catalog)
