"""Posting: the spans that a commit ends become outbox rows, and each record gets the id of its row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam

from sidecar.core.facts import Emission, Role, SpanFacts
from sidecar.core.folio import Folio
from sidecar.core.model import Resource
from sidecar.core.ports import Encoded, Encoder
from sidecar.store.engine import Dialect
from sidecar.store.loading import Loader
from sidecar.store.prepared import Prepared, insertion
from sidecar.store.tables import outbox

MAX_SPANS = 512
MAX_BYTES = 3 * 1024 * 1024

# A record's terminal receipt is the last one given: its span's, where there is a log record too.
_KINDS: Mapping[str, frozenset[Role]] = {
    "log": frozenset({Role.SETTLEMENT_LOG}),
    "attempt": frozenset({Role.START, Role.ATTEMPT, Role.STEP}),
    "terminal": frozenset({Role.SEND, Role.TERMINAL}),
}
_FIELDS = ("signal", "kind", "state", "spans", "size", "created_at")
_ZEROS = ("lease_until", "next_try_at", "tries", "rejected")


class Poster:
    """Puts a folio's emissions into the outbox, many spans of one kind to a row."""

    def __init__(self, dialect: Dialect, encoder: Encoder, loader: Loader) -> None:
        self._encoder = encoder
        self._loader = loader
        self._known: dict[str, Resource] = {}
        names = (*_FIELDS, *_ZEROS, "body")
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        statement = insertion(dialect, outbox).values(values).returning(outbox.c.id)
        self._insert = Prepared(dialect, statement, names)

    def post(self, connection: Connection, folio: Folio) -> None:
        """Encode what was emitted, insert it, and hand out the receipts."""
        if not folio.emissions:
            return
        resources = self._resources(connection, folio)
        for kind, roles in _KINDS.items():
            mine = [emission for emission in folio.emissions if emission.role in roles]
            for start in range(0, len(mine), MAX_SPANS):
                for chunk, encoded in self._encoded(mine[start : start + MAX_SPANS], resources):
                    outbox_id = self._put(connection, kind, encoded, folio.now)
                    for emission in chunk:
                        emission.receipt(outbox_id)

    def _encoded(
        self, chunk: Sequence[Emission], resources: Mapping[str, Resource]
    ) -> Iterator[tuple[Sequence[Emission], Encoded]]:
        """Yield what fits a row with its bytes, halving what does not."""
        requests = self._encoder.encode([emission.facts for emission in chunk], resources)
        fits = len(requests) == 1 and len(requests[0].body) <= MAX_BYTES
        if fits or (len(chunk) == 1 and requests):
            yield chunk, requests[0]
        elif len(chunk) > 1:
            half = len(chunk) // 2
            yield from self._encoded(chunk[:half], resources)
            yield from self._encoded(chunk[half:], resources)
        else:
            raise ValueError(f"the encoder gave nothing for {chunk[0].facts!r}")

    def _put(self, connection: Connection, kind: str, encoded: Encoded, now: int) -> int:
        said = (encoded.signal, kind, "pending", encoded.count, len(encoded.body), now)
        return int(self._insert.value(connection, *said, *(0 for _ in _ZEROS), encoded.body))

    def _resources(self, connection: Connection, folio: Folio) -> Mapping[str, Resource]:
        """Return the resources of the workers concerned; known by digest, they never change."""
        facts = (emission.facts for emission in folio.emissions)
        named = {f.resource_id for f in facts if isinstance(f, SpanFacts) and f.resource_id is not None}
        missing = named.difference(self._known)
        if missing:
            if len(self._known) > 1_000:
                self._known.clear()
                missing = named
            self._known.update(self._loader.resources(connection, missing))
        return self._known
