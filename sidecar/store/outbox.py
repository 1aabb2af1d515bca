"""The outbox's rows on their way: leased to a relay, and turned into receipts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, bindparam, null, select, text, update

from sidecar.core.parcels import ClaimParcels, Parcel, Stamp, StampParcels
from sidecar.core.retry import nanos
from sidecar.store.columns import PENDING
from sidecar.store.engine import Dialect
from sidecar.store.prepared import AnyRow, Prepared, Values, listed
from sidecar.store.tables import outbox
from sidecar.store.texts import storable

_CLEARED = ("delivered", "rejected", "dropped")
_KEPT = ("dead_lettered",)


class Parcels:
    """Leases pending rows by their columns; no transaction outlives the commit."""

    def __init__(self, dialect: Dialect) -> None:
        self._ready = _ready(dialect)
        self._bodies = _bodies(dialect)
        self._lease = _lease(dialect)
        end: dict[str, Any] = {
            name: bindparam(name) for name in ("state", "stamped_at", "rejected", "detail")
        }
        self._keep = _stamp(dialect, end)
        self._clear = _stamp(dialect, {**end, "body": null()})
        again = {"tries": outbox.c.tries + text("1"), "next_try_at": bindparam("next_try_at")}
        self._give_back = _stamp(dialect, {**again, "detail": bindparam("detail")})

    def claim(self, connection: Connection, now: int, command: ClaimParcels) -> tuple[Parcel, ...]:
        """Lease the oldest rows that are pending and nobody's, up to the bounds but at least one."""
        found = self._ready.rows(connection, command.signal, now, now, command.max_spans)
        chosen = list(_within(found, command))
        if not chosen:
            return ()
        until = now + nanos(command.lease)
        self._lease.write(connection, [(command.relay_id, until, row[0]) for row in chosen])
        found = self._bodies.rows(connection, listed((row[0],) for row in chosen))
        bodies: dict[int, bytes] = {row[0]: row[1] for row in found}
        return tuple(
            Parcel(outbox_id, signal, bodies[outbox_id], spans, tries)
            for outbox_id, signal, spans, _, tries in chosen
        )

    def stamp(self, connection: Connection, now: int, command: StampParcels) -> None:
        """Write down what became of rows that are still pending, whoever holds them.

        Raises:
            ValueError: for a state that a row cannot have.
        """
        unknown = {s.state for s in command.stamps}.difference(_CLEARED, _KEPT, ("pending",))
        if unknown:
            raise ValueError(f"an outbox row cannot be {', '.join(sorted(unknown))}")
        self._clear.write(connection, _ends(command.stamps, _CLEARED, now))
        self._keep.write(connection, _ends(command.stamps, _KEPT, now))
        again = sorted((s for s in command.stamps if s.state == "pending"), key=lambda s: s.outbox_id)
        self._give_back.write(connection, [(now, storable(s.detail), s.outbox_id) for s in again])


def _ready(dialect: Dialect) -> Prepared:
    c = outbox.c
    free = c.next_try_at <= bindparam("now"), c.lease_until <= bindparam("today")
    query = (
        select(c.id, c.signal, c.spans, c.size, c.tries)
        .where(text(PENDING), c.signal == bindparam("signal"), *free)
        .order_by(c.id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    return Prepared(dialect, query, ["signal", "now", "today", "most"])


def _bodies(dialect: Dialect) -> Prepared:
    listing = dialect.listing("names", {"id": BigInteger})
    joined = listing.rows.join(outbox, outbox.c.id == listing.columns["id"])
    return Prepared(dialect, select(outbox.c.id, outbox.c.body).select_from(joined), ["names"])


def _lease(dialect: Dialect) -> Prepared:
    names = ("lease_owner", "lease_until")
    changes: dict[str, Any] = {name: bindparam(name) for name in names}
    query = update(outbox).values(changes).where(outbox.c.id == bindparam("outbox_id"))
    return Prepared(dialect, query, [*names, "outbox_id"])


def _stamp(dialect: Dialect, changes: Mapping[str, Any]) -> Prepared:
    unleased = {"lease_owner": null(), "lease_until": text("0")}
    mine = outbox.c.id == bindparam("outbox_id")
    query = update(outbox).values({**changes, **unleased}).where(mine, text(PENDING))
    order = [c.name for c in outbox.c if c.name in changes and c.name not in ("tries", "body")]
    return Prepared(dialect, query, [*order, "outbox_id"])


def _within(rows: Iterable[AnyRow], bounds: ClaimParcels) -> Iterator[AnyRow]:
    spans = size = 0
    for row in rows:
        spans, size = spans + row[2], size + row[3]
        if (spans > bounds.max_spans or size > bounds.max_bytes) and spans != row[2]:
            return
        yield row


def _ends(stamps: Sequence[Stamp], states: Sequence[str], now: int) -> list[Values]:
    mine = sorted((s for s in stamps if s.state in states), key=lambda s: s.outbox_id)
    return [(s.state, now, s.rejected, storable(s.detail), s.outbox_id) for s in mine]
