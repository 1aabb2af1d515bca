"""The outbox on its way: leased to relays, stamped into receipts, ids never used twice. Invariant 10."""

from datetime import timedelta

import pytest

from sidecar.core.commands import Accept
from sidecar.core.parcels import ClaimParcels, Stamp, StampParcels
from tests.store.workbench import Desk, Sql, draft

MINUTE = timedelta(minutes=1)


def parcels(relay: str = "a", *, max_spans: int = 512, max_bytes: int = 4_000_000) -> ClaimParcels:
    return ClaimParcels(relay, "traces", MINUTE, max_spans, max_bytes)


def test_a_leased_row_is_nobody_elses_until_the_lease_ends(desk: Desk, sql: Sql) -> None:
    execution = desk.accept()
    (mine,) = desk.do(parcels("a"))
    assert (mine.outbox_id, mine.spans, mine.tries) == (execution.send_outbox_id, 1, 0)
    assert mine.body.decode() == execution.anchor.send_span_id
    assert desk.do(parcels("b")) == ()
    sql.run("UPDATE outbox SET lease_until = 1")
    assert desk.do(parcels("b")) == (mine,)


def test_logs_and_traces_are_apart(desk: Desk) -> None:
    desk.accept()
    assert desk.do(ClaimParcels("a", "logs", MINUTE)) == ()


def test_a_claim_keeps_its_bounds_but_takes_at_least_one(desk: Desk) -> None:
    rows = [desk.accept().send_outbox_id for _ in range(5)]
    one = desk.do(parcels(max_bytes=1))
    two = desk.do(parcels(max_spans=2))
    assert [p.outbox_id for p in (*one, *two)] == rows[:3]
    assert [p.outbox_id for p in desk.do(parcels())] == rows[3:]


@pytest.mark.parametrize(
    ("state", "keeps_body"),
    [("delivered", False), ("rejected", False), ("dropped", False), ("dead_lettered", True)],
)
def test_a_stamp_makes_a_receipt(desk: Desk, sql: Sql, state: str, keeps_body: bool) -> None:
    desk.accept()
    (parcel,) = desk.do(parcels())
    desk.do(StampParcels((Stamp(parcel.outbox_id, state, 1, "so\0 it was"),)))
    (row,) = sql.run(
        "SELECT state, rejected, detail, body IS NOT NULL, stamped_at > 0, lease_owner FROM outbox"
    )
    assert tuple(row) == (state, 1, "so\ufffd it was", keeps_body, True, None)
    assert desk.do(parcels()) == ()


def test_the_stamp_is_by_id_whoever_holds_the_lease_and_the_first_one_stays(desk: Desk, sql: Sql) -> None:
    desk.accept()
    (parcel,) = desk.do(parcels("a"))
    desk.each(StampParcels((Stamp(parcel.outbox_id, "delivered"),)))
    desk.each(StampParcels((Stamp(parcel.outbox_id, "rejected"), Stamp(parcel.outbox_id, "pending"))))
    assert sql.run("SELECT state, tries FROM outbox")[0] == ("delivered", 0)


def test_what_is_given_back_is_free_at_once_and_counted(desk: Desk) -> None:
    desk.accept()
    (parcel,) = desk.do(parcels())
    desk.do(StampParcels((Stamp(parcel.outbox_id, "pending", detail="503"),)))
    (again,) = desk.do(parcels())
    assert (again.outbox_id, again.tries) == (parcel.outbox_id, 1)


def test_a_state_that_no_row_can_have_changes_nothing(desk: Desk, sql: Sql) -> None:
    desk.accept()
    (parcel,) = desk.do(parcels())
    with pytest.raises(ValueError, match="lost"):
        desk.do(StampParcels((Stamp(parcel.outbox_id, "delivered"), Stamp(parcel.outbox_id, "lost"))))
    assert sql.run("SELECT state FROM outbox")[0][0] == "pending"


def test_ids_are_never_used_twice(desk: Desk, sql: Sql) -> None:
    used = [desk.accept().send_outbox_id or 0 for _ in range(3)]
    sql.run("DELETE FROM outbox")
    again = desk.accept().send_outbox_id or 0
    assert again > max(used)


def test_one_commit_makes_one_row_for_many_spans_and_gauges_count_them(desk: Desk, sql: Sql) -> None:
    accepted = desk.each(*(Accept(draft()) for _ in range(600)))
    assert [tuple(row) for row in sql.run("SELECT spans FROM outbox ORDER BY id")] == [(512,), (88,)]
    assert len({a.execution.send_outbox_id for a in accepted}) == 2
    gauges = desk.ask(desk.store.reader.gauges())
    assert gauges.outbox_spans == 600
    assert gauges.queued == {("mail", "QUEUED"): 600}
    assert gauges.oldest_outbox_at is not None
    assert gauges.oldest_queued_at is not None
