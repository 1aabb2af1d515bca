"""Claiming: the oldest ready executions of some queues and workflows, locked and leased."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice, product

from sqlalchemy import Connection, Integer, bindparam, literal_column, select, text

from sidecar.core.commands import Claim, Claimed
from sidecar.core.fold import claim
from sidecar.core.folio import Folio
from sidecar.core.model import Key
from sidecar.store.columns import QUEUED
from sidecar.store.engine import Dialect
from sidecar.store.loading import AsRead, Loader
from sidecar.store.prepared import Prepared
from sidecar.store.tables import executions

MAX_ROWS = 1_000
"""How many executions are leased at most in one go; who asked for more asks again."""

_LANE = ("namespace", "queue", "workflow_id")


@dataclass(frozen=True, slots=True)
class Lanes:
    """What claims have to have in common to be served by one look at the queue."""

    namespace: str
    queues: tuple[str, ...]
    workflows: tuple[str, ...]

    def each(self) -> Iterator[tuple[str, str, str]]:
        """Yield every lane."""
        return ((self.namespace, q, w) for q, w in product(self.queues, self.workflows))


class Claimer:
    """Finds candidates by the index of what is ready, and shares them out."""

    def __init__(self, dialect: Dialect, loader: Loader) -> None:
        self._loader = loader
        c = executions.c
        lane = [c[name] == bindparam(name) for name in _LANE]
        managed = text("dispatch = 'managed'")
        ready = (
            select(c.run_at, c.execution_id)
            .where(text(QUEUED), *lane, c.run_at <= bindparam("now"), managed)
            .order_by(c.run_at, c.execution_id)
            .limit(bindparam("most", type_=Integer))
            .with_for_update(skip_locked=True)
        )
        later = select(c.run_at).where(text(QUEUED), *lane, c.run_at > bindparam("now"), managed)
        self._ready = Prepared(dialect, ready, [*_LANE, "now", "most"])
        self._later = Prepared(
            dialect, later.order_by(c.run_at).limit(literal_column("1", Integer)), [*_LANE, "now"]
        )

    def serve(
        self, connection: Connection, folio: Folio, lanes: Lanes, claims: Sequence[Claim]
    ) -> tuple[list[Claimed], AsRead]:
        """Lease what is ready to the claims in turn."""
        most = min(sum(claim.limit for claim in claims), MAX_ROWS)
        keys = self._ready_keys(connection, folio.now, lanes, most)
        as_read = AsRead()
        if keys:
            self._loader.take(connection, folio, keys, as_read, payload=True)
        later = self.next_run_at(connection, folio.now, lanes) if len(keys) < most else None
        waiting = iter([folio.executions[key] for key in keys if key in folio.executions])
        answers = [claim(folio, c, tuple(islice(waiting, c.limit))) for c in claims]
        return [replace(a, exhausted=len(keys) < most, next_run_at=later) for a in answers], as_read

    def _ready_keys(self, connection: Connection, now: int, lanes: Lanes, most: int) -> list[Key]:
        if most <= 0:
            return []
        found = (self._ready.rows(connection, *lane, now, most) for lane in lanes.each())
        oldest = merge(*(((row[0], row[1]) for row in rows) for rows in found))
        return [(lanes.namespace, execution_id) for _, execution_id in islice(oldest, most)]

    def next_run_at(self, connection: Connection, now: int, lanes: Lanes) -> int | None:
        """Return when the next execution of these lanes becomes ready, None if none waits."""
        times: Iterable[int | None] = (self._later.value(connection, *lane, now) for lane in lanes.each())
        return min((at for at in times if at is not None), default=None)
