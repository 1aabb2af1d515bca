"""The questions that the reader puts to the store."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, null, select, text, tuple_

from sidecar.core.commands import Due
from sidecar.core.model import Attempt, Execution, Key, Resource, Step
from sidecar.core.ports import Gauges, ListQuery, TraceRows
from sidecar.store.columns import DUE, PENDING, QUEUED, RUNNING
from sidecar.store.rows import BARE, attempt_of, execution_of, resource_of, step_of
from sidecar.store.tables import attempts, executions, idempotency_keys, outbox, resources, steps

_c = executions.c
_k = idempotency_keys.c
_RARE_IDS = ("request_id", "trace_id", "external_id", "schedule_id", "idempotency_key")
_IDS = ("workflow_id", "request_id", "trace_id", "external_id", "schedule_id", "webhook_id")
_BARE = list(executions.c)[:BARE]
_SLIM = [*_BARE[:-1], null().label("output")]


def get(connection: Connection, key: Key) -> Execution | None:
    """Return one execution with all that it has."""
    row = connection.execute(_of(select(executions), key)).one_or_none()
    return None if row is None else execution_of(row)


def _of(query: Select[Any], key: Key) -> Select[Any]:
    return query.where(_c.namespace == key[0], _c.execution_id == key[1])


def page(connection: Connection, query: ListQuery) -> list[Execution]:
    """Return a page, newest first."""
    found = select(*_SLIM).where(_c.namespace == query.namespace, *_narrowed(query))
    # Without statistics, as SQLite is, a planner walks the list in its order though an id names a few rows.
    accepted_at = _c.accepted_at + text("0") if _names_few(query) else _c.accepted_at
    if query.before is not None:
        found = found.where(tuple_(accepted_at, _c.execution_id) < query.before)
    newest = found.order_by(accepted_at.desc(), _c.execution_id.desc()).limit(query.limit)
    return [execution_of(row) for row in connection.execute(newest)]


def _names_few(query: ListQuery) -> bool:
    return bool(query.execution_ids) or any(getattr(query, name) is not None for name in _RARE_IDS)


def _narrowed(query: ListQuery) -> Iterator[ColumnElement[bool]]:
    named = ((name, getattr(query, name)) for name in _IDS)
    yield from (_c[name] == value for name, value in named if value is not None)
    if query.states:
        yield _c.state.in_([state.value for state in query.states])
    if query.execution_ids:
        yield _c.execution_id.in_(query.execution_ids)
    if query.idempotency_key is not None:
        held = (_k.namespace == query.namespace, _k.key == query.idempotency_key)
        yield _c.execution_id.in_(select(_k.execution_id).where(*held))


def due(connection: Connection, now: int, limit: int) -> list[Due]:
    """Return what has run out, oldest first."""
    columns = (_c.namespace, _c.execution_id, _c.fence, _c.lease_expires_at, _c.due_at)
    query = select(*columns).where(text(DUE), _c.due_at <= now).order_by(_c.due_at).limit(limit)
    return [Due((row[0], row[1]), row[2], row[3], row[4]) for row in connection.execute(query)]


def held_by(connection: Connection, namespace: str, worker_id: str) -> list[Execution]:
    """Return what runs at a worker."""
    mine = (_c.namespace == namespace, _c.attempt_worker_id == worker_id)
    return [execution_of(row) for row in connection.execute(select(*_SLIM).where(text(RUNNING), *mine))]


def running(connection: Connection) -> list[Execution]:
    """Return all that runs."""
    return [execution_of(row) for row in connection.execute(select(*_SLIM).where(text(RUNNING)))]


def trace_rows(connection: Connection, key: Key) -> TraceRows | None:
    """Return the rows that the spans of one execution are rebuilt from."""
    execution = get(connection, key)
    if execution is None:
        return None
    same = [
        table.select().where(table.c.namespace == key[0], table.c.execution_id == key[1])
        for table in (attempts, steps)
    ]
    ended = tuple(attempt_of(row) for row in connection.execute(same[0].order_by(attempts.c.fence)))
    passed = tuple(
        step_of(row) for row in connection.execute(same[1].order_by(steps.c.fence, steps.c.sequence))
    )
    return TraceRows(
        execution,
        ended,
        passed,
        _resources(connection, execution, ended),
        _deliveries(connection, execution, ended, passed),
    )


def _resources(connection: Connection, execution: Execution, ended: Sequence[Attempt]) -> dict[str, Resource]:
    ids = {attempt.resource_id for attempt in ended}
    ids.update(a.resource_id for a in (execution.attempt,) if a is not None)
    ids.update(r for r in (execution.start_resource_id,) if r is not None)
    rows = connection.execute(resources.select().where(resources.c.resource_id.in_(ids)))
    return {resource.resource_id: resource for resource in map(resource_of, rows)}


def _deliveries(
    connection: Connection, execution: Execution, ended: Sequence[Attempt], passed: Sequence[Step]
) -> dict[int, str]:
    last = execution.attempt.outbox_id if execution.attempt is not None else None
    beside = [*(attempt.outbox_id for attempt in ended), *(step.outbox_id for step in passed)]
    ids = {execution.send_outbox_id, execution.terminal_outbox_id, last, *beside} - {None}
    rows = connection.execute(select(outbox.c.id, outbox.c.state).where(outbox.c.id.in_(ids)))
    return {row[0]: row[1] for row in rows}


def gauges(connection: Connection) -> Gauges:
    """Return how much waits, and since when."""
    count = func.count()
    waiting = connection.execute(
        select(_c.queue, _c.state, count).where(text(QUEUED)).group_by(_c.queue, _c.state)
    )
    levels = {(row[0], row[1]): row[2] for row in waiting}
    active = connection.execute(
        select(_c.queue, _c.state, count).where(text(RUNNING)).group_by(_c.queue, _c.state)
    )
    levels.update({(row[0], row[1]): row[2] for row in active})
    oldest = connection.execute(select(func.min(_c.run_at)).where(text(QUEUED))).scalar()
    posted = connection.execute(
        select(func.coalesce(func.sum(outbox.c.spans), 0), func.min(outbox.c.created_at)).where(text(PENDING))
    ).one()
    return Gauges(levels, oldest, int(posted[0]), posted[1])
