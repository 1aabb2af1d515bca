"""Counting: how much of each limit is used, as one commit sees it; nothing is counted where none is set."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Text, bindparam, select, text

from sidecar.core.catalog import Catalog
from sidecar.core.commands import Accept, Claim, Command
from sidecar.core.fold import accept_in
from sidecar.core.folio import Folio
from sidecar.core.usage import Scope
from sidecar.store.engine import Dialect
from sidecar.store.lanes import Lanes
from sidecar.store.prepared import Prepared, insertion, listed
from sidecar.store.tables import rates

_WAITING = (
    "SELECT count(*) FROM executions "
    "WHERE executions.state = 'QUEUED' AND executions.namespace = :namespace AND executions.queue = :queue"
)
_OPEN = (
    "SELECT executions.concurrency_key, count(*) FROM executions WHERE executions.state = '{state}' "
    "AND executions.namespace = :namespace AND executions.{column} = :name "
    "GROUP BY executions.concurrency_key"
)
_RUNNING = (
    "SELECT executions.queue, executions.workflow_id, executions.concurrency_key, count(*) FROM executions "
    "WHERE executions.state = 'RUNNING' AND executions.namespace = :namespace "
    "AND executions.dispatch = 'managed' "
    "GROUP BY executions.queue, executions.workflow_id, executions.concurrency_key"
)
_COLUMNS = {"queue": "queue", "workflow": "workflow_id"}


class Counter:
    """Counts within the transaction, after rivals that count the same have been made to wait."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._waiting = Prepared(dialect, text(_WAITING), ["namespace", "queue"])
        self._running = Prepared(dialect, text(_RUNNING), ["namespace"])
        self._open = {
            kind: [
                Prepared(dialect, text(_OPEN.format(state=state, column=column)), ["namespace", "name"])
                for state in ("QUEUED", "RUNNING")
            ]
            for kind, column in _COLUMNS.items()
        }
        listing = dialect.listing("names", {"namespace": Text, "scope": Text})
        same = [rates.c[name] == listing.columns[name] for name in ("namespace", "scope")]
        found = select(rates).select_from(listing.rows.join(rates, same[0] & same[1]))
        self._rates = Prepared(dialect, found, ["names"])
        new = insertion(dialect, rates).values({c.name: bindparam(c.name) for c in rates.c})
        taken = {"full_at": new.excluded["full_at"]}
        statement = new.on_conflict_do_update(index_elements=["namespace", "scope"], set_=taken)
        self._take = Prepared(dialect, statement, [c.name for c in rates.c])

    def take_turns(self, connection: Connection, commands: Iterable[Command[Any]]) -> None:
        """Have other sidecars wait that count what these commands count, until the commit."""
        scopes: set[Scope] = set()
        for command in commands:
            if isinstance(command, Claim):
                if command.catalog.is_capped:
                    scopes.update(capped_scopes(command.catalog, lanes_of(command)))
            elif (accept := accept_in(command)) is not None and accept.rule.counts:
                scopes.update(_scopes(accept))
        if scopes:
            self._dialect.take_turns(connection, sorted("\n".join(scope) for scope in scopes))

    def count(self, connection: Connection, folio: Folio, commands: Iterable[Command[Any]]) -> None:
        """Count what the limits of these accepts are held against."""
        accepts = [a for c in commands if (a := accept_in(c)) is not None and a.rule.counts]
        if not accepts:
            return
        scopes = {(_namespace(a), rate.scope) for a in accepts for rate in a.rule.rates}
        for namespace, scope, full_at in self._rates.rows(connection, listed(sorted(scopes))):
            folio.usage.full_at[namespace, scope] = full_at
        for namespace, queue in {
            (_namespace(a), a.execution.terms.queue) for a in accepts if a.rule.max_depth
        }:
            folio.usage.waiting[namespace, queue] = self._waiting.value(connection, namespace, queue)
        capped = {(_namespace(a), cap.scope) for a in accepts for cap in a.rule.refusing}
        for namespace, scope in capped:
            self._count_open(connection, folio, namespace, scope)

    def _count_open(self, connection: Connection, folio: Folio, namespace: str, scope: str) -> None:
        kind, _, name = scope.partition(":")
        for statement in self._open[kind]:
            for key, count in statement.rows(connection, namespace, name):
                folio.usage.open.add(namespace, [scope], key, count)

    def count_running(self, connection: Connection, folio: Folio, namespace: str) -> None:
        """Count what runs, for the concurrency limits of a claim."""
        for queue, workflow_id, key, count in self._running.rows(connection, namespace):
            scopes = [f"queue:{queue}", f"workflow:{workflow_id}"]
            folio.usage.running.add(namespace, scopes, key, count)

    def save(self, connection: Connection, folio: Folio) -> None:
        """Write what was taken of the rates."""
        usage = folio.usage
        self._take.write(connection, [(*scope, usage.full_at[scope]) for scope in sorted(usage.taken)])


def lanes_of(claim: Claim) -> Lanes:
    """Return the lanes that a claim looks at."""
    return Lanes(claim.namespace, claim.queues, claim.workflows)


def capped_scopes(catalog: Catalog, lanes: Lanes) -> set[Scope]:
    """Return the scopes that limit how many of these lanes may run."""
    return {
        (lanes.namespace, cap.scope)
        for queue in lanes.queues
        for workflow_id in lanes.workflows
        for cap in catalog.rule(lanes.namespace, queue, workflow_id).caps
    }


def _namespace(accept: Accept) -> str:
    return accept.execution.correlation.namespace


def _scopes(accept: Accept) -> Sequence[Scope]:
    namespace, rule = _namespace(accept), accept.rule
    names = [rate.scope for rate in rule.rates] + [cap.scope for cap in rule.refusing]
    if rule.max_depth:
        names.append(f"queue:{accept.execution.terms.queue}")
    return [(namespace, name) for name in names]
