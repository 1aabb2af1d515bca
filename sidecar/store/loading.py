"""Loading: what the commands of one commit name is locked, in key order, and opened in its folio."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, Text, and_, select
from sqlalchemy.types import TypeEngine

from sidecar.core.commands import Begin, Cancel, Command, Reap, Release, ReportStep, Settle
from sidecar.core.fold import accept_in, keys_of
from sidecar.core.folio import Folio, IdempotencyKey
from sidecar.core.model import Execution, Key, Resource
from sidecar.store.engine import Dialect
from sidecar.store.prepared import Prepared, listed
from sidecar.store.rows import BARE, attempt_of, execution_of, resource_of, step_of
from sidecar.store.tables import attempts, executions, idempotency_keys, resources, steps

Guard = tuple[int, str, int]
"""Version, state and fence: what an update expects to find."""

_KEY: dict[str, type[TypeEngine[Any]]] = {"namespace": Text, "execution_id": Text}
_ATTEMPT: dict[str, type[TypeEngine[Any]]] = {**_KEY, "fence": BigInteger}
_STEP: dict[str, type[TypeEngine[Any]]] = {**_ATTEMPT, "sequence": BigInteger}


@dataclass(slots=True)
class AsRead:
    """How records were when they were read: an update counts only if they still are."""

    guards: dict[Key, Guard] = field(default_factory=dict)
    holders: dict[tuple[str, str], str] = field(default_factory=dict)
    """Whom an idempotency key stood for."""
    standings: dict[Key, int] = field(default_factory=dict)


class Loader:
    """Reads records by the names that commands give them, one statement for each table."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._executions = self._by(_KEY, executions, BARE, lock=True)
        self._with_payload = self._by(_KEY, executions, lock=True)
        self._payloads = self._payloads_by_key()
        self._keys = self._by({"namespace": Text, "key": Text}, idempotency_keys)
        self._open_steps = self._by(_ATTEMPT, steps, only_open=True)
        self._steps = self._by(_STEP, steps)
        self._attempts = self._by(_ATTEMPT, attempts)
        self._resources = self._by({"resource_id": Text}, resources)

    def _by(
        self,
        names: dict[str, type[TypeEngine[Any]]],
        table: Table,
        width: int | None = None,
        *,
        lock: bool = False,
        only_open: bool = False,
    ) -> Prepared:
        listing = self._dialect.listing("names", names)
        same = and_(*(table.c[name] == listing.columns[name] for name in names))
        query = select(*list(table.c)[:width]).select_from(listing.rows.join(table, same))
        if only_open:
            query = query.where(table.c.ended_at.is_(None))
        if lock:
            ordered = query.order_by(*(table.c[name] for name in names))
            return Prepared(self._dialect, ordered.with_for_update(of=table), ["names"])
        return Prepared(self._dialect, query, ["names"])

    def _payloads_by_key(self) -> Prepared:
        listing = self._dialect.listing("names", _KEY)
        same = and_(*(executions.c[name] == listing.columns[name] for name in _KEY))
        columns = (executions.c.namespace, executions.c.execution_id, executions.c.payload)
        query = select(*columns).select_from(listing.rows.join(executions, same))
        return Prepared(self._dialect, query, ["names"])

    def open(self, connection: Connection, folio: Folio, commands: Sequence[Command[Any]]) -> AsRead:
        """Fill the folio with all that these commands need."""
        as_read = AsRead()
        self._open_keys(connection, folio, commands, as_read)
        keys = {key for command in commands for key in keys_of(command)}
        keys.update((namespace, holder) for (namespace, _), holder in as_read.holders.items())
        if keys:
            self.take(connection, folio, keys, as_read)
        if as_read.guards:
            self._open_beside(connection, folio, commands)
            self._open_payloads(connection, folio, commands)
        return as_read

    def take(
        self,
        connection: Connection,
        folio: Folio,
        keys: Iterable[Key],
        as_read: AsRead,
        *,
        payload: bool = False,
    ) -> None:
        """Lock executions and open them."""
        statement = self._with_payload if payload else self._executions
        for row in statement.rows(connection, listed(sorted(keys))):
            execution = execution_of(row)
            folio.executions[execution.key] = execution
            as_read.guards[execution.key] = execution.version, execution.state.value, execution.fence

    def _open_keys(
        self, connection: Connection, folio: Folio, commands: Sequence[Command[Any]], as_read: AsRead
    ) -> None:
        names = {
            (a.execution.correlation.namespace, a.execution.terms.idempotency_key)
            for command in commands
            if (a := accept_in(command)) is not None and a.execution.terms.idempotency_key is not None
        }
        if not names:
            return
        for row in self._keys.rows(connection, listed(names)):
            record = IdempotencyKey(*row)
            folio.keys[record.namespace, record.key] = record
            as_read.holders[record.namespace, record.key] = record.execution_id

    def _open_beside(self, connection: Connection, folio: Folio, commands: Sequence[Command[Any]]) -> None:
        ending: set[tuple[str, str, int]] = set()
        reported: set[tuple[str, str, int, int]] = set()
        ended: set[tuple[str, str, int]] = set()
        for command in commands:
            match command:
                case ReportStep(ref=ref):
                    reported.add((*ref.key, ref.fence, command.sequence))
                case Settle(ref=ref) | Release(ref=ref):
                    _add_open(ending, folio.executions.get(ref.key))
                    _add_ended(ended, folio.executions.get(ref.key), ref.fence)
                case Cancel(key=key):
                    _add_open(ending, folio.executions.get(key))
                case Reap(due=due):
                    _add_open(ending, folio.executions.get(due.key))
        self._open_steps_of(connection, folio, self._open_steps, ending)
        self._open_steps_of(connection, folio, self._steps, reported)
        for row in self._attempts.rows(connection, listed(ended)) if ended else ():
            attempt = attempt_of(row)
            folio.ended[(row[0], row[1]), attempt.fence] = attempt

    def _open_payloads(self, connection: Connection, folio: Folio, commands: Sequence[Command[Any]]) -> None:
        """Read what is to be handed over; apart from the rows, as those are locked in one order for all."""
        begun = {c.key for c in commands if isinstance(c, Begin) and c.key in folio.executions}
        for row in self._payloads.rows(connection, listed(sorted(begun))) if begun else ():
            execution = folio.executions[row[0], row[1]]
            execution.terms = replace(execution.terms, payload=row[2])

    def _open_steps_of(
        self, connection: Connection, folio: Folio, statement: Prepared, names: set[Any]
    ) -> None:
        for row in statement.rows(connection, listed(names)) if names else ():
            step = step_of(row)
            folio.steps.setdefault(((row[0], row[1]), step.fence, step.sequence), step)

    def resources(self, connection: Connection, ids: Iterable[str]) -> dict[str, Resource]:
        """Return the resources with these ids."""
        rows = self._resources.rows(connection, listed((resource_id,) for resource_id in ids))
        return {resource.resource_id: resource for resource in map(resource_of, rows)}


def _add_open(ending: set[tuple[str, str, int]], execution: Execution | None) -> None:
    if execution is not None and execution.open_steps:
        ending.add((*execution.key, execution.fence))


def _add_ended(ended: set[tuple[str, str, int]], execution: Execution | None, fence: int) -> None:
    if execution is not None and (execution.attempt is None or execution.attempt.fence != fence):
        ended.add((*execution.key, fence))
