"""Claiming: the oldest ready executions of some queues and workflows, locked and leased."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sidecar.core.commands import Claim, Claimed
from sidecar.core.fold import claim
from sidecar.core.folio import Folio
from sidecar.core.model import Key
from sidecar.store.counting import Counter
from sidecar.store.engine import Dialect
from sidecar.store.lanes import NOTHING, Lanes, Queue
from sidecar.store.loading import AsRead, Loader
from sidecar.store.prepared import AnyRow
from sidecar.store.room import Room

MAX_ROWS = 1_000
"""How many executions are leased at most in one go; who asked for more asks again."""
CLAIM_BYTES = 3 * 1024 * 1024
"""How many bytes of payloads one claim is given, but always one execution."""
COMMIT_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Allowance:
    """How many bytes of payloads the claims of one commit may still have loaded."""

    left: int = COMMIT_BYTES

    def share(self, rows: Sequence[AnyRow], limit: int) -> int:
        """Return how many of these rows a claim is given, and count their bytes."""
        given = size = 0
        for _, _, weight in rows[:limit]:
            if size + weight > min(CLAIM_BYTES, self.left) and (given or self.left < COMMIT_BYTES):
                break
            given, size = given + 1, size + weight
        self.left -= size
        return given


class Claimer:
    """Finds candidates by the index of what is ready, and shares them out."""

    def __init__(self, dialect: Dialect, loader: Loader) -> None:
        self._loader = loader
        self._queue = Queue(dialect)
        self._counter = Counter(dialect)

    def serve(
        self,
        connection: Connection,
        folio: Folio,
        lanes: Lanes,
        claims: Sequence[Claim],
        allowance: Allowance,
    ) -> tuple[list[Claimed], AsRead]:
        """Lease what is ready to the claims in turn."""
        most = min(sum(claim.limit for claim in claims), MAX_ROWS)
        held = NOTHING
        capped = [claim.catalog for claim in claims if claim.catalog.is_capped]
        if capped:
            self._counter.count_running(connection, folio, lanes.namespace)
            room = Room(capped[-1], lanes, folio.usage.running)
            most, held = room.most(most), room.held()
        rows = self._queue.ready(connection, folio.now, lanes, most, held)
        shares = _shares(rows, claims, allowance, lanes.namespace)
        keys = [key for share in shares for key in share]
        as_read = AsRead()
        if keys:
            self._loader.take(connection, folio, keys, as_read, payload=True)
        exhausted = len(keys) == len(rows) and (len(rows) < most or not most)
        later = self.next_run_at(connection, folio.now, lanes) if exhausted else None
        answers = [
            claim(folio, c, [folio.executions[key] for key in share if key in folio.executions])
            for c, share in zip(claims, shares, strict=True)
        ]
        return [replace(a, exhausted=exhausted, next_run_at=later) for a in answers], as_read

    def next_run_at(self, connection: Connection, now: int, lanes: Lanes) -> int | None:
        """Return when the next execution of these lanes becomes ready, None if none waits."""
        return self._queue.next_run_at(connection, now, lanes)


def _shares(
    rows: Sequence[AnyRow], claims: Sequence[Claim], allowance: Allowance, namespace: str
) -> list[list[Key]]:
    shares: list[list[Key]] = []
    at = 0
    for each in claims:
        given = allowance.share(rows[at:], each.limit)
        shares.append([(namespace, row[1]) for row in rows[at : at + given]])
        at += given
    return shares
