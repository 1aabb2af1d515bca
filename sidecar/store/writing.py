"""Writing: one guarded statement for each table; a row count that does not fit is a lost race."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, bindparam, text, update

from sidecar.core.folio import Folio, StepKey
from sidecar.core.model import Attempt, Key, Resource
from sidecar.store.columns import Columns
from sidecar.store.engine import Dialect
from sidecar.store.executions import (
    ACCEPTANCE,
    ANCHOR,
    CORRELATION,
    LEASED,
    OUTCOME,
    PROGRESS,
    STANDING,
    TERMS,
)
from sidecar.store.loading import AsRead
from sidecar.store.prepared import Prepared, Values, insertion
from sidecar.store.tables import attempts, events, executions, idempotency_keys, resources, steps
from sidecar.store.values import (
    accepted,
    attempt_values,
    event_values,
    inserted,
    is_fresh,
    key_values,
    outcome,
    progress,
    resource_values,
    step_end_values,
    step_values,
)

K = TypeVar("K", Key, StepKey)
V = TypeVar("V")

_IDENTITY: Columns = (*CORRELATION, *ANCHOR, *TERMS, *ACCEPTANCE)
_FRESH = (*(c.name for c in _IDENTITY), "run_at", "state_since", "version", "due_at", "payload")
_COUNTS = ("segment_index", "attempts", "deliveries_lost", "fence", "open_steps", "steps")
_TIMINGS = ("queued_ns", "running_ns", "paused_ns", "retry_wait_ns")
_FRESH_ALWAYS = {"state": text("'QUEUED'"), **{name: text("0") for name in (*_COUNTS, *_TIMINGS)}}
_GUARD = ("namespace", "execution_id", "version", "state", "fence")
_STEP = ("namespace", "execution_id", "fence", "sequence")
_STEP_END: Columns = (steps.c.ended_at, steps.c.error_type, steps.c.outbox_id)


class LostRaceError(Exception):
    """A row was no longer as it was read: somebody else changed it first."""

    def __init__(self, table: str, expected: int, found: int) -> None:
        super().__init__(f"{found} of {expected} rows of {table} were still as they were read")


class Writer:
    """Writes what a folio has collected."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        going_on = (*STANDING, *LEASED, *PROGRESS)
        self._create = self._insert(executions)
        self._accept = self._insert(executions, *_FRESH)
        self._go_on = self._update(executions, going_on, _GUARD)
        self._settle = self._update(executions, (*going_on, *OUTCOME), _GUARD)
        self._new_attempts = self._insert(attempts)
        self._new_steps = self._insert(steps)
        self._end_steps = self._update(steps, _STEP_END, _STEP)
        self._events = self._insert(events)
        self._resources = self._insert(resources)
        self._keys = self._take_keys()

    def _insert(self, table: Table, *only: str) -> Prepared:
        names = only or [c.name for c in table.c if c.name != "id"]
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        if only:
            values.update(_FRESH_ALWAYS)
        statement = insertion(self._dialect, table).values(values).on_conflict_do_nothing()
        return Prepared(self._dialect, statement, names)

    def _update(self, table: Table, columns: Columns, guard: Sequence[str]) -> Prepared:
        changes: dict[str, Any] = {column.name: bindparam(column.name) for column in columns}
        expected = [table.c[name] == bindparam(f"was_{name}") for name in guard]
        order = [*changes, *(f"was_{name}" for name in guard)]
        return Prepared(self._dialect, update(table).values(changes).where(*expected), order)

    def _take_keys(self) -> Prepared:
        names = [c.name for c in idempotency_keys.c]
        new = insertion(self._dialect, idempotency_keys).values({name: bindparam(name) for name in names})
        taken = {name: new.excluded[name] for name in names[2:]}
        free = idempotency_keys.c.execution_id == bindparam("former")
        statement = new.on_conflict_do_update(index_elements=names[:2], set_=taken, where=free)
        return Prepared(self._dialect, statement, [*names, "former"])

    def write(self, connection: Connection, folio: Folio, as_read: AsRead) -> None:
        """Write a folio, each table in the order of its keys: rivals meet in one order, and none deadlocks.

        Raises:
            LostRaceError: if a row is no longer as it was read; nothing may be committed then.
        """
        self._write_executions(connection, folio, as_read)
        new = [attempt_values(key, attempt) for key, attempt in sorted(folio.new_attempts, key=_by_fence)]
        _all(connection, self._new_attempts, "attempts", new)
        begun = [step_values(key, step) for (key, _, _), step in _sorted(folio.new_steps)]
        _all(connection, self._new_steps, "steps", begun)
        ended = [step_end_values(key, step) for (key, _, _), step in _sorted(folio.changed_steps)]
        _all(connection, self._end_steps, "steps", ended)
        new_keys = sorted(folio.new_keys, key=lambda k: (k.namespace, k.key))
        taken = [key_values(k, as_read.holders.get((k.namespace, k.key), "")) for k in new_keys]
        _all(connection, self._keys, "idempotency_keys", taken)
        # An event that says the same as one that is there is kept once: their number stays bounded.
        self._events.write(connection, sorted(map(event_values, folio.events)))

    def _write_executions(self, connection: Connection, folio: Folio, as_read: AsRead) -> None:
        created = [execution for _, execution in _sorted(folio.created)]
        _all(connection, self._accept, "executions", [accepted(e) for e in created if is_fresh(e)])
        _all(connection, self._create, "executions", [inserted(e) for e in created if not is_fresh(e)])
        going_on: list[Values] = []
        settled: list[Values] = []
        for key, execution in _sorted(folio.changed):
            expected = (*key, *as_read.guards[key])
            if execution.is_terminal:
                settled.append((*progress(execution), *outcome(execution), *expected))
            else:
                going_on.append((*progress(execution), *expected))
        _all(connection, self._go_on, "executions", going_on)
        _all(connection, self._settle, "executions", settled)

    def declare(self, connection: Connection, declared: Iterable[Resource]) -> None:
        """Keep workers' resources; one that is there already stays as it is."""
        known = {resource.resource_id: resource for resource in declared}
        self._resources.write(connection, [resource_values(known[r]) for r in sorted(known)])


def _sorted(records: Mapping[K, V]) -> list[tuple[K, V]]:
    return [(key, records[key]) for key in sorted(records)]


def _by_fence(item: tuple[Key, Attempt]) -> tuple[Key, int]:
    return item[0], item[1].fence


def _all(connection: Connection, statement: Prepared, table: str, rows: Sequence[Values]) -> None:
    found = statement.write(connection, rows)
    if found != len(rows):
        raise LostRaceError(table, len(rows), found)
