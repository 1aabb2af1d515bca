"""The account of terminal spans, and what it says of rows that break an invariant."""

from datetime import timedelta

import pytest

from sidecar.core.commands import Accept, Cancel
from sidecar.core.lifecycle import State
from sidecar.core.model import Recording
from sidecar.core.parcels import Stamp, StampParcels
from sidecar.core.ports import Audit
from tests.store.workbench import Desk, Sql, draft, success


def audit(desk: Desk, namespace: str | None = None) -> Audit:
    return desk.ask(desk.store.reader.audit(namespace))


def settle(desk: Desk, recording: Recording = Recording.SAMPLED) -> int:
    execution = draft(recording=recording)
    desk.do(Accept(execution))
    desk.do(Cancel(execution.key, "", timedelta()))
    return desk.get(execution.key[1]).terminal_outbox_id or 0


def test_every_terminal_span_is_accounted_for(desk: Desk) -> None:
    for state in ("delivered", "rejected", "dead_lettered", "dropped", "pending"):
        desk.do(StampParcels((Stamp(settle(desk), state),)))
    settle(desk, Recording.UNSAMPLED)
    settle(desk, Recording.DISABLED)
    desk.accept()
    found = audit(desk)
    assert (found.delivered, found.pending, found.rejected, found.dead_lettered, found.dropped) == (1,) * 5
    assert (found.unsampled, found.disabled, found.terminal, found.accounted) == (1, 1, 7, 7)
    assert found.states == {State.CANCELLED: 7, State.QUEUED: 1}
    assert found.breaches == ()
    assert audit(desk, "elsewhere").terminal == 0


def test_a_terminal_execution_without_its_outbox_row_is_named(desk: Desk, sql: Sql) -> None:
    lost = settle(desk)
    settle(desk)
    sql.run(f"DELETE FROM outbox WHERE id = {lost}")  # noqa: S608
    found = audit(desk)
    assert [(b.kind, b.message.count("outbox")) for b in found.breaches] == [("span_missing", 1)]
    assert (found.terminal, found.accounted) == (2, 1)


PLANTED = {
    "send_missing": ("executions_send_span", "send_outbox_id = NULL"),
    "lease_missing": ("executions_lease", "lease_expires_at = NULL"),
    "due_missing": ("", "due_at = NULL"),
    "record_early": (
        "executions_finalized executions_settled_by executions_terminal_span",
        "finalized_at = 1",
    ),
    "record_missing": (
        "executions_settled_by",
        "state = 'SUCCEEDED', finalized_at = 1, lease_expires_at = NULL, terminal_outbox_id = send_outbox_id",
    ),
    "error_missing": (
        "executions_error",
        "state = 'FAILED', finalized_at = 1, finalization_path = 'reaped', lease_expires_at = NULL, "
        "terminal_outbox_id = send_outbox_id",
    ),
    "lease_left": ("executions_lease", "state = 'PAUSED'"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_named(desk: Desk, sql: Sql, kind: str) -> None:
    rules, change = PLANTED[kind]
    delivery = desk.run_one()
    assert audit(desk).breaches == ()
    if sql.is_postgres:
        for rule in rules.split():
            sql.run(f"ALTER TABLE executions DROP CONSTRAINT {rule}")
        sql.run(f"UPDATE executions SET {change}")  # noqa: S608
    else:
        sql.run_unchecked(f"UPDATE executions SET {change}")  # noqa: S608
    (breach,) = audit(desk).breaches
    assert (breach.key, breach.kind) == (delivery.ref.key, kind)
    assert delivery.ref.key[1] in breach.message


def test_a_settled_execution_with_a_span_is_no_breach(desk: Desk) -> None:
    desk.do(success(desk.run_one()))
    assert audit(desk).breaches == ()
