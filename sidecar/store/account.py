"""The account: what became of every terminal span, and which rows break an invariant."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, case, null, or_, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from sidecar.core.lifecycle import TERMINAL, State
from sidecar.core.model import Key, Recording
from sidecar.core.ports import Audit, Breach
from sidecar.store.prepared import AnyRow
from sidecar.store.tables import executions, outbox

PAGE = 5_000
MAX_BREACHES = 1_000

_c = executions.c
_terminal, _send = outbox.alias("terminal"), outbox.alias("send")
_joined = executions.outerjoin(_terminal, _terminal.c.id == _c.terminal_outbox_id).outerjoin(
    _send, _send.c.id == _c.send_outbox_id
)
_ended = _c.state.in_(sorted(TERMINAL))
_sampled = _c.recording == Recording.SAMPLED.value
_running = _c.state == State.RUNNING.value

_RULES: dict[str, tuple[ColumnElement[bool], str]] = {
    "span_missing": (
        and_(_ended, _sampled, _terminal.c.id.is_(None)),
        "it is settled, but there is no outbox row with its terminal span",
    ),
    "record_missing": (
        and_(_ended, or_(_c.finalized_at.is_(None), _c.finalization_path.is_(None))),
        "it is settled, but its terminal record is not complete",
    ),
    "error_missing": (
        and_(_c.state == State.FAILED.value, _c.error_type.is_(None)),
        "it failed, but its record does not say of what",
    ),
    "record_early": (
        and_(~_ended, or_(_c.finalized_at.is_not(None), _c.terminal_outbox_id.is_not(None))),
        "it is not settled, but has a terminal record or a terminal span",
    ),
    "lease_missing": (
        and_(_running, or_(_c.lease_expires_at.is_(None), _c.attempt_token.is_(None))),
        "it is running without a lease",
    ),
    "lease_left": (and_(~_running, _c.lease_expires_at.is_not(None)), "it has a lease without running"),
    "due_missing": (
        and_(_running, or_(_c.due_at.is_(None), _c.due_at > _c.lease_expires_at)),
        "it is running, but the reaper would not look at it when its lease ends",
    ),
    "send_missing": (and_(_sampled, _send.c.id.is_(None)), "there is no outbox row with its send span"),
}
_kind = case(*((rule, name) for name, (rule, _) in _RULES.items()), else_=null())


@dataclass(slots=True)
class Tally:
    """An account in the making, page by page in key order."""

    namespace: str | None
    done: bool = False
    _after: Key = ("", "")
    _states: Counter[State] = field(default_factory=Counter)
    _spans: Counter[str] = field(default_factory=Counter)
    _breaches: list[Breach] = field(default_factory=list)

    def read_page(self, connection: Connection) -> None:
        """Take the next page into the account."""
        key = tuple_(_c.namespace, _c.execution_id)
        columns = (_c.namespace, _c.execution_id, _c.state, _c.recording, _terminal.c.state, _kind)
        query = select(*columns).select_from(_joined).where(key > self._after)
        if self.namespace is not None:
            query = query.where(_c.namespace == self.namespace)
        rows = connection.execute(query.order_by(_c.namespace, _c.execution_id).limit(PAGE)).all()
        for row in rows:
            self._count(row)
        self.done = len(rows) < PAGE
        if rows:
            self._after = rows[-1][0], rows[-1][1]

    def _count(self, row: AnyRow) -> None:
        namespace, execution_id, state, recording, receipt, kind = row
        self._states[State(state)] += 1
        if state in TERMINAL:
            self._spans[receipt if recording == Recording.SAMPLED else recording] += 1
        if kind is not None and len(self._breaches) < MAX_BREACHES:
            message = f"execution {execution_id!r} in {namespace!r} is {state}: {_RULES[kind][1]}"
            self._breaches.append(Breach((namespace, execution_id), kind, message))

    def audit(self) -> Audit:
        """Return the account as it stands."""
        spans = self._spans
        return Audit(
            terminal=sum(self._states[state] for state in TERMINAL),
            delivered=spans["delivered"],
            pending=spans["pending"],
            rejected=spans["rejected"],
            dead_lettered=spans["dead_lettered"],
            dropped=spans["dropped"],
            unsampled=spans["unsampled"],
            disabled=spans["disabled"],
            states=dict(self._states),
            breaches=tuple(self._breaches),
        )
