"""What an execution lives through is in the database as the core decided it."""

from datetime import timedelta

from sidecar.core.commands import (
    Accept,
    Accepted,
    Cancel,
    Cancellation,
    CancelNoted,
    Claim,
    Fault,
    LeaseRef,
    Noted,
    Plan,
    Reap,
    Reaped,
    Release,
    Renew,
    Renewed,
    ReportStep,
    Settle,
    Settled,
)
from sidecar.core.lifecycle import State
from sidecar.core.model import Failure, Path, Recording, RetryPolicy
from sidecar.core.ports import ListQuery
from sidecar.core.refusals import Reason, Refused
from tests.store.workbench import QUEUE, RESOURCE, WORKFLOW, Desk, Sql, claim, draft, success

TWICE = RetryPolicy(max_attempts=2, initial_interval=timedelta(), non_retryable=("ValueError",))


def step(ref: LeaseRef, sequence: int, *, done: bool) -> ReportStep:
    after = timedelta(milliseconds=2) if done else None
    return ReportStep(
        ref,
        sequence,
        f"step {sequence}",
        f"{sequence:016x}",
        "",
        timedelta(milliseconds=1),
        after,
    )


def test_what_was_accepted_is_read_back_whole(desk: Desk) -> None:
    execution = draft(
        retry=TWICE,
        attempt_timeout=timedelta(microseconds=1_500_001),
        queue_deadline_at=2**60,
        deadline_at=2**61,
        idempotency_key="k-1",
        payload=b"\x00\xff",
    )
    accepted = desk.do(Accept(execution))
    assert isinstance(accepted, Accepted)
    assert accepted.execution.terms == execution.terms
    assert desk.get(execution.correlation.execution_id) == accepted.execution


def test_a_settlement_commits_record_span_and_receipt_in_one_transaction(desk: Desk, sql: Sql) -> None:
    """Invariants 1, 2 and 10."""
    delivery = desk.run_one()
    desk.do(success(delivery, b"sent"))
    ended = desk.get(delivery.ref.key[1])
    assert (ended.state, ended.attempts, ended.fence) == (State.SUCCEEDED, 1, 1)
    assert ended.terminal is not None
    assert (ended.terminal.output, ended.terminal.path) == (b"sent", Path.COMPLETED)
    (row,) = sql.run(f"SELECT body, spans, kind, state FROM outbox WHERE id = {ended.terminal_outbox_id}")  # noqa: S608
    assert bytes(row[0]).decode() == ended.anchor.terminal_span_id
    assert tuple(row[1:]) == (1, "terminal", "pending")


def test_steps_attempts_and_resources_are_there_to_rebuild_the_trace(desk: Desk) -> None:
    desk.accept(retry=TWICE)
    first = desk.do(claim()).deliveries[0]
    desk.each(step(first.ref, 1, done=False), step(first.ref, 2, done=True))
    fault = Settle(first.ref, Fault(Failure("OSError", "no\0 paper", "at 1")), b"d1")
    assert isinstance(desk.do(fault), Settled)
    second = desk.do(claim()).deliveries[0]
    desk.do(success(second))
    rows = desk.ask(desk.store.reader.trace_rows(first.ref.key))
    assert rows is not None
    (attempt,) = rows.attempts
    assert (attempt.number, attempt.fence, attempt.digest) == (1, 1, b"d1")
    assert attempt.failure == Failure("OSError", "no\ufffd paper", "at 1")
    assert [(s.sequence, s.ended_at is not None) for s in rows.steps] == [(1, True), (2, True)]
    assert rows.resources == {RESOURCE.resource_id: RESOURCE}
    assert set(rows.deliveries.values()) == {"pending"}
    assert rows.execution.last_completed is not None
    assert rows.execution.attempt is not None
    assert rows.execution.attempt.former_span_id == attempt.span_id


def test_a_step_that_is_told_twice_is_one_step(desk: Desk, sql: Sql) -> None:
    delivery = desk.run_one()
    for done in (False, True, True, False):
        assert isinstance(desk.do(step(delivery.ref, 7, done=done)), Noted)
    assert sql.run("SELECT count(*), min(sequence) FROM steps")[0] == (1, 7)
    assert desk.get(delivery.ref.key[1]).open_steps == 0


def test_the_same_settlement_again_is_answered_as_the_first_was(desk: Desk) -> None:
    desk.accept(retry=TWICE)
    first = desk.do(claim()).deliveries[0]
    fault = Settle(first.ref, Fault(Failure("OSError")), b"d1")
    answers = desk.do(fault), desk.do(fault)
    assert [isinstance(a, Settled) and (a.replayed, a.execution.version) for a in answers] == [
        (False, 3),
        (True, 3),
    ]
    second = desk.do(claim()).deliveries[0]
    settle = success(second)
    desk.do(settle)
    again = desk.do(settle)
    assert isinstance(again, Settled)
    assert again.replayed
    late = desk.do(Settle(first.ref, Cancellation(), b"other"))
    assert isinstance(late, Refused)
    assert late.reason is Reason.ALREADY_FINALIZED
    desk.close()
    assert desk.notes.lost == 1


def test_an_idempotency_key_stands_for_one_execution_until_its_window_closes(desk: Desk) -> None:
    first = desk.do(Accept(draft(idempotency_key="k"), timedelta(minutes=1)))
    again = desk.do(Accept(draft(idempotency_key="k")))
    other = desk.do(Accept(draft(idempotency_key="k", fingerprint="g")))
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert isinstance(other, Refused)
    assert again.existing
    assert again.execution.key == first.execution.key
    assert other.reason is Reason.IDEMPOTENCY_CONFLICT


def test_a_key_whose_window_has_closed_is_taken_over(desk: Desk) -> None:
    first = desk.do(Accept(draft(idempotency_key="k"), timedelta(microseconds=1)))
    assert isinstance(first, Accepted)
    desk.do(Cancel(first.execution.key, "", timedelta()))
    second = desk.do(Accept(draft(idempotency_key="k")))
    third = desk.do(Accept(draft(idempotency_key="k")))
    assert isinstance(second, Accepted)
    assert isinstance(third, Accepted)
    assert not second.existing
    assert third.execution.key == second.execution.key


def test_a_repeat_within_one_commit_is_the_first_execution(desk: Desk) -> None:
    draft_one, draft_two = draft(idempotency_key="k"), draft(idempotency_key="k")
    first, again = desk.each(Accept(draft_one), Accept(draft_two))
    assert (first.existing, again.existing) == (False, True)
    assert again.execution is first.execution


def test_claims_take_the_oldest_of_all_lanes_and_say_when_the_next_is_ready(desk: Desk) -> None:
    late, early, planned = draft(), draft(queue="urgent"), draft()
    planned_at = planned.run_at + 3_600 * 10**9
    for execution in (early, late):
        desk.do(Accept(execution))
    desk.do(Accept(planned, plan=Plan(run_at=planned_at)))
    wide = Claim("default", "w", RESOURCE, (QUEUE, "urgent"), (WORKFLOW, "other"), 2)
    claimed = desk.do(wide)
    assert [d.execution.key for d in claimed.deliveries] == [early.key, late.key]
    assert (claimed.exhausted, claimed.next_run_at) == (False, None)
    nothing = desk.do(wide)
    assert (nothing.deliveries, nothing.exhausted, nothing.next_run_at) == ((), True, planned_at)
    reader = desk.store.reader
    assert desk.ask(reader.next_run_at("default", (QUEUE,), (WORKFLOW,))) == planned_at


def test_claims_of_one_commit_share_what_is_ready_and_see_what_it_accepted(desk: Desk) -> None:
    accepts = [Accept(draft()) for _ in range(3)]
    *_, one, two = desk.each(*accepts, claim(2, "w-1"), claim(2, "w-2"))
    taken = [d.execution.key for d in (*one.deliveries, *two.deliveries)]
    assert sorted(taken) == sorted(a.execution.key for a in accepts)
    assert len(one.deliveries) == 2
    assert two.exhausted
    assert [d.execution.terms.payload for d in two.deliveries] == [b"dear"]


def test_a_lease_is_renewed_released_and_lost(desk: Desk) -> None:
    """Invariant 5."""
    delivery = desk.run_one()
    reader = desk.store.reader
    assert isinstance(desk.do(Renew(delivery.ref)), Renewed)
    assert [e.key for e in desk.ask(reader.held_by("default", "w-1"))] == [delivery.ref.key]
    assert [e.key for e in desk.ask(reader.running())] == [delivery.ref.key]
    desk.do(Release(delivery.ref))
    refused = desk.do(Renew(delivery.ref))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.LEASE_LOST
    again = desk.do(claim()).deliveries[0]
    assert (again.ref.fence, again.execution.attempts) == (2, 1)


def test_the_reaper_acts_on_what_it_read_and_only_on_that(desk: Desk) -> None:
    delivery = desk.run_one()
    later = (delivery.execution.lease_expires_at or 0) + 1
    (due,) = desk.ask(desk.store.reader.due(later, 10))
    assert (due.key, due.fence) == (delivery.ref.key, 1)
    assert desk.do(Reap(due, leases_too=True)) == Reaped(None)
    assert desk.get(delivery.ref.key[1]).state is State.RUNNING


def test_cancelling_what_waits_settles_it(desk: Desk) -> None:
    waiting = desk.accept()
    noted = desk.do(Cancel(waiting.key, "enough\0", timedelta(seconds=1)))
    assert isinstance(noted, CancelNoted)
    ended = desk.get(waiting.key[1])
    assert (ended.state, noted.settled) == (State.CANCELLED, True)
    assert ended.cancel is not None
    assert ended.cancel.reason == "enough\ufffd"
    desk.close()
    assert [e.key for e in desk.notes.outcomes] == [waiting.key]


def test_unsampled_executions_have_a_log_record_and_disabled_ones_nothing(desk: Desk, sql: Sql) -> None:
    for recording in (Recording.UNSAMPLED, Recording.DISABLED):
        execution = draft(recording=recording)
        desk.do(Accept(execution))
        desk.do(Cancel(execution.key, "", timedelta()))
    assert [tuple(row) for row in sql.run("SELECT signal, kind FROM outbox")] == [("logs", "log")]


def test_pages_are_newest_first_filtered_and_slim(desk: Desk) -> None:
    drafts = [draft() for _ in range(5)]
    for index, execution in enumerate(drafts):
        execution.accepted_at = 1_000 + index // 2
    desk.each(*(Accept(d) for d in drafts))
    reader = desk.store.reader
    first = desk.ask(reader.page(ListQuery("default", limit=2)))
    last = first[-1]
    rest = desk.ask(reader.page(ListQuery("default", before=(last.accepted_at, last.key[1]))))
    assert [e.key for e in (*first, *rest)] == [d.key for d in reversed(drafts)]
    assert {e.terms.payload for e in first} == {b""}
    only = ListQuery("default", (State.QUEUED,), WORKFLOW, (drafts[0].key[1],))
    assert [e.key for e in desk.ask(reader.page(only))] == [drafts[0].key]
    assert desk.ask(reader.page(ListQuery("default", (State.FAILED,)))) == []


def test_changes_are_heard_after_the_commit_with_their_version(desk: Desk) -> None:
    delivery = desk.run_one()
    desk.do(success(delivery))
    heard = [(c.key, c.version, c.state) for c in desk.notes.heard]
    key = delivery.ref.key
    assert heard == [(key, 1, State.QUEUED), (key, 2, State.RUNNING), (key, 3, State.SUCCEEDED)]


def test_a_late_completion_is_kept_once_however_often_it_comes(desk: Desk, sql: Sql) -> None:
    """FIN-3, and invariant 7."""
    delivery = desk.run_one()
    desk.do(success(delivery, b"sent"))
    late = Settle(delivery.ref, Fault(Failure("OSError")), b"other")
    for _ in range(3):
        answer = desk.do(late)
        assert isinstance(answer, Refused)
        assert answer.reason is Reason.ALREADY_FINALIZED
    assert [row[0] for row in sql.run("SELECT kind FROM events")] == ["late_completion"]
