"""Opens a store: the database taken and up to date, its committer ready to start, its reader ready."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from sidecar.core.folio import Chance, Limits
from sidecar.core.ports import ChangeListener, Clock, Encoder, Meter
from sidecar.store.claiming import Claimer
from sidecar.store.committer import Committer
from sidecar.store.engine import Dialect, UnusableStoreError
from sidecar.store.inbox import Inbox
from sidecar.store.journal import Journal
from sidecar.store.loading import Loader
from sidecar.store.postgres import Postgres
from sidecar.store.reader import StoreReader
from sidecar.store.schema import bring_up_to_date
from sidecar.store.scribe import Scribe
from sidecar.store.sqlite import Sqlite


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Bounds of a store: how much may wait, how long it may be away, how many read at once."""

    max_waiting: int = 10_000
    max_waiting_bytes: int = 64 * 1024 * 1024
    max_commit_bytes: int = 8 * 1024 * 1024
    patience_seconds: float = 5.0
    readers: int = 2


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. `start` begins to commit; `close` commits what was handed in and lets go."""

    ledger: Committer
    reader: StoreReader
    notices: tuple[str, ...]
    shared: bool
    """Whether other sidecars may use the same database."""
    dialect: Dialect

    def start(self, loop: asyncio.AbstractEventLoop, listener: ChangeListener) -> None:
        """Begin to commit; answers and changes are told on `loop`."""
        self.ledger.start(loop, listener)

    def close(self) -> None:
        """Drain the committer, then close readers, writer and lock, in this order."""
        self.ledger.close()
        self.reader.close()
        self.dialect.close()


def open_store(
    url: str,
    *,
    clock: Clock,
    limits: Limits,
    chance: Chance,
    encoder: Encoder,
    meter: Meter,
    settings: StoreSettings = StoreSettings(),
    on_error: Callable[[Exception], None] = lambda _: None,
) -> Store:
    """Open the store at `url` and bring its schema up to date.

    Raises:
        UnusableStoreError: if it cannot be used as it is; the message says why and what to do.
    """
    dialect = _dialect(url, clock, settings.readers)
    try:
        bring_up_to_date(dialect)
        scribe = Scribe(dialect, encoder, limits, chance)
        slow = limits.lease_ttl.total_seconds() / 3
        journal = Journal(dialect, scribe, clock, settings.patience_seconds, slow)
        inbox = Inbox(settings.max_waiting, settings.max_waiting_bytes)
        ledger = Committer(journal, inbox, clock, meter, settings.max_commit_bytes, on_error)
        reader = StoreReader(dialect, Claimer(dialect, Loader(dialect)), settings.readers)
    except BaseException:
        dialect.close()
        raise
    return Store(ledger, reader, dialect.notices, isinstance(dialect, Postgres), dialect)


def _dialect(url: str, clock: Clock, readers: int) -> Dialect:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise UnusableStoreError(f"the store's URL cannot be read: {error}") from error
    if address.drivername == "sqlite" and address.database:
        return Sqlite(Path(address.database), clock, readers)
    if address.drivername in ("postgresql", "postgresql+psycopg"):
        return Postgres(url, readers)
    raise UnusableStoreError(
        f"no store for {address.drivername!r}: use sqlite:///path/to/file or postgresql://user@host/database"
    )
