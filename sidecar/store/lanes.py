"""Lanes: queue and workflow together. One statement looks at all of those that a worker serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from sqlalchemy import Connection, text

from sidecar.store.columns import QUEUED
from sidecar.store.engine import Dialect
from sidecar.store.prepared import AnyRow, Prepared, listed

_LANE = ("namespace", "queue", "workflow_id")


Name = tuple[str, str]
"""Of a queue or workflow, and a concurrency key."""


@dataclass(frozen=True, slots=True)
class Held:
    """What limits hold back: scopes that are full, and the keys of queues and workflows that are."""

    scopes: frozenset[str] = frozenset()
    queue_keys: tuple[Name, ...] = ()
    workflow_keys: tuple[Name, ...] = ()


NOTHING = Held()


@dataclass(frozen=True, slots=True)
class Lanes:
    """What claims have to have in common to be served by one look at the queue."""

    namespace: str
    queues: tuple[str, ...]
    workflows: tuple[str, ...]

    def listed(self, held: Held) -> str:
        """Return every lane once that is not full, as a JSON list of lists."""
        open_lanes = {
            (self.namespace, queue, workflow_id)
            for queue, workflow_id in product(self.queues, self.workflows)
            if not held.scopes & {f"queue:{queue}", f"workflow:{workflow_id}"}
        }
        return listed(sorted(open_lanes))


# Looked up in a hash of all keys that are full, so that a long head of them costs one look a row.
_UNBLOCKED = """ AND (executions.concurrency_key IS NULL OR (
    (executions.queue, executions.concurrency_key)
      NOT IN (SELECT {name}, {key} FROM {queue_keys})
    AND (executions.workflow_id, executions.concurrency_key)
      NOT IN (SELECT {name}, {key} FROM {workflow_keys})))"""

# The inner query walks the index of what is ready and stops; only what it found is sorted.
_SQLITE_READY = """\
SELECT executions_found.run_at, executions_found.execution_id, length(executions_found.payload)
FROM json_each(:lanes) AS lane CROSS JOIN executions AS executions_found
WHERE executions_found.rowid IN (
  SELECT executions.rowid FROM executions
  WHERE {lane} AND executions.run_at <= :now{unblocked}
  ORDER BY executions.run_at, executions.execution_id LIMIT :most)
ORDER BY executions_found.run_at, executions_found.execution_id LIMIT :most"""
_SQLITE_LATER = """\
SELECT min((
  SELECT executions.run_at FROM executions
  WHERE {lane} AND executions.run_at > :now
  ORDER BY executions.run_at LIMIT 1))
FROM json_each(:lanes) AS lane"""
_POSTGRES_READY = """\
SELECT executions_found.run_at, executions_found.execution_id, executions_found.size
FROM jsonb_array_elements(CAST(:lanes AS JSONB)) AS lane(value) CROSS JOIN LATERAL (
  SELECT executions.run_at, executions.execution_id, octet_length(executions.payload) AS size FROM executions
  WHERE {lane} AND executions.run_at <= :now{unblocked}
  ORDER BY executions.run_at, executions.execution_id LIMIT :most
  FOR UPDATE SKIP LOCKED) AS executions_found
ORDER BY executions_found.run_at, executions_found.execution_id LIMIT :most"""
_POSTGRES_LATER = """\
SELECT min((
  SELECT executions.run_at FROM executions
  WHERE {lane} AND executions.run_at > :now
  ORDER BY executions.run_at LIMIT 1))
FROM jsonb_array_elements(CAST(:lanes AS JSONB)) AS lane(value)"""


class Queue:
    """Looks at the index of what is ready, and of what will be."""

    def __init__(self, dialect: Dialect) -> None:
        is_postgres = dialect.writer.dialect.name == "postgresql"
        ready, later = (_POSTGRES_READY, _POSTGRES_LATER) if is_postgres else (_SQLITE_READY, _SQLITE_LATER)
        lane = _lane("lane.value ->> {}" if is_postgres else "json_extract(lane.value, '$[{}]')")
        free, held_back = ready.format(lane=lane, unblocked=""), _unblocked(is_postgres)
        self._ready = Prepared(dialect, text(free), ["lanes", "now", "most", "most"])
        capped = text(ready.format(lane=lane, unblocked=held_back))
        self._unblocked = Prepared(
            dialect, capped, ["lanes", "now", "queue_keys", "workflow_keys", "most", "most"]
        )
        self._later = Prepared(dialect, text(later.format(lane=lane)), ["now", "lanes"])

    def ready(
        self, connection: Connection, now: int, lanes: Lanes, most: int, held: Held = NOTHING
    ) -> Sequence[AnyRow]:
        """Lock what is ready and return run time, execution id and bytes of payload, oldest first."""
        if most <= 0:
            return ()
        open_lanes = lanes.listed(held)
        if not (held.queue_keys or held.workflow_keys):
            return self._ready.rows(connection, open_lanes, now, most, most)
        keys = listed(held.queue_keys), listed(held.workflow_keys)
        return self._unblocked.rows(connection, open_lanes, now, *keys, most, most)

    def next_run_at(self, connection: Connection, now: int, lanes: Lanes) -> int | None:
        """Return when the next execution of these lanes becomes ready, None if none waits."""
        found: int | None = self._later.value(connection, now, lanes.listed(NOTHING))
        return found


def _unblocked(is_postgres: bool) -> str:
    """Return the condition that no limit holds an execution back."""
    if is_postgres:
        each, part = "jsonb_array_elements(CAST(:{} AS JSONB)) AS held(value)", "held.value ->> {}"
    else:
        each, part = "json_each(:{}) AS held", "json_extract(held.value, '$[{}]')"
    return _UNBLOCKED.format(
        name=part.format(0),
        key=part.format(1),
        queue_keys=each.format("queue_keys"),
        workflow_keys=each.format("workflow_keys"),
    )


def _lane(part: str) -> str:
    same = [f"executions.{name} = {part.format(i)}" for i, name in enumerate(_LANE)]
    return " AND ".join((f"executions.{QUEUED}", *same, "executions.dispatch = 'managed'"))
