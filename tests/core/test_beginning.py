"""Begin: one holder of an outside execution, its repeats, and times that are told late; EXT-1 and EXT-2."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.core.commands import Accept, Begin, Cancel, Delivery, Due, Fault, Plan, Reap, Settle, Success
from sidecar.core.facts import Role
from sidecar.core.lifecycle import State
from sidecar.core.model import Dispatch, Execution, Failure, Resource, RetryPolicy, Terms
from sidecar.core.refusals import Reason, Refused
from tests.core.desk import SECOND, START, TERMS, WORKER, Desk, after, draft

OUTSIDE = replace(TERMS, dispatch=Dispatch.EXTERNAL)
HOUR = 3_600 * SECOND


@pytest.fixture
def desk() -> Desk:
    return Desk()


def command(execution: Execution, worker_id: str = "w1", ago: float = 0) -> Begin:
    return Begin(execution.key, worker_id, WORKER, after(ago))


def begun(desk: Desk, execution: Execution, worker_id: str = "w1", ago: float = 0) -> Delivery:
    answer = desk.do(command(execution, worker_id, ago))
    assert isinstance(answer, Delivery), answer
    return answer


def refused(desk: Desk, asked: Begin) -> Refused:
    answer = desk.do(asked)
    assert isinstance(answer, Refused), answer
    return answer


def reap(desk: Desk, execution: Execution) -> None:
    due_at = execution.due_at
    assert due_at is not None
    due = Due(execution.key, execution.fence, execution.lease_expires_at, due_at)
    desk.do(Reap(due, leases_too=True))


def test_begin_takes_the_lease_and_the_settlement_is_as_for_managed(desk: Desk) -> None:
    """EXT-1."""
    execution = desk.accept(terms=OUTSIDE)
    desk.pass_time(5)
    delivery = begun(desk, execution)
    assert (execution.state, execution.attempts, delivery.ref.fence) == (State.RUNNING, 1, 1)
    assert delivery.execution.terms.payload == b"{}"
    desk.pass_time(2)
    desk.settle(delivery, Success(b"{}"))
    assert execution.state is State.SUCCEEDED
    (span,) = desk.spans(Role.ATTEMPT)
    assert (span.start_at, span.end_at) == (START + 5 * SECOND, START + 7 * SECOND)
    assert (execution.timings.queued_ns, execution.timings.running_ns) == (5 * SECOND, 2 * SECOND)


def test_what_nobody_registered_cannot_begin(desk: Desk) -> None:
    answer = refused(desk, Begin(("default", "e9"), "w1", WORKER))
    assert answer.reason is Reason.EXECUTION_NOT_FOUND


def test_managed_work_is_not_begun_by_name(desk: Desk) -> None:
    execution = desk.accept()
    answer = refused(desk, command(execution))
    assert (answer.reason, execution.state) == (Reason.NOT_EXTERNAL, State.QUEUED)


def test_a_live_lease_keeps_others_out_and_says_for_how_long(desk: Desk) -> None:
    """EXT-2."""
    execution = desk.accept(terms=OUTSIDE)
    begun(desk, execution, "w1")
    desk.pass_time(12)
    answer = refused(desk, command(execution, "w2"))
    assert (answer.reason, answer.execution) == (Reason.LEASED_ELSEWHERE, execution)
    assert (answer.metadata["retry_after_ms"], answer.metadata["worker_id"]) == ("18000", "w1")
    assert execution.fence == 1


def test_a_lease_that_ran_out_is_ended_by_the_reaper_alone(desk: Desk) -> None:
    """Nobody is reaped for a silence of ours: only the reaper knows whether we listened."""
    execution = desk.accept(terms=OUTSIDE)
    begun(desk, execution, "w1")
    desk.pass_time(40)
    answer = refused(desk, command(execution, "w2"))
    assert (answer.reason, answer.metadata["retry_after_ms"]) == (Reason.LEASED_ELSEWHERE, "1000")


def test_a_repeat_of_the_same_worker_is_given_the_same_lease(desk: Desk) -> None:
    execution = desk.accept(terms=OUTSIDE)
    first = begun(desk, execution)
    desk.pass_time(20)
    again = begun(desk, execution)
    assert again.ref == first.ref
    assert (again.ttl, execution.attempts) == (timedelta(seconds=30), 1)
    assert execution.lease_expires_at == desk.folio.now + 30 * SECOND
    desk.settle(again, Success())
    assert len(desk.spans(Role.ATTEMPT)) == 1


def test_what_has_ended_answers_with_its_record(desk: Desk) -> None:
    """EXT-2."""
    execution = desk.accept(terms=OUTSIDE)
    desk.settle(begun(desk, execution), Success())
    answer = refused(desk, command(execution))
    assert (answer.reason, answer.execution) == (Reason.ALREADY_FINALIZED, execution)


def test_what_was_cancelled_before_it_began_does_not_begin(desk: Desk) -> None:
    """CAN-1."""
    execution = desk.accept(terms=OUTSIDE)
    desk.do(Cancel(execution.key, "not needed", timedelta(seconds=30)))
    answer = refused(desk, command(execution))
    assert (answer.reason, execution.state) == (Reason.ALREADY_FINALIZED, State.CANCELLED)


def planned(desk: Desk, plan: Plan, terms: Terms = OUTSIDE, schedule_id: str | None = None) -> Execution:
    asked = draft("e1", desk.folio.now, terms=terms)
    correlation = replace(asked.correlation, schedule_id=schedule_id)
    desk.do(Accept(replace(asked, correlation=correlation), plan=plan))
    return desk.folio.executions[correlation.key]


def test_an_occurrence_that_begins_too_late_is_missed(desk: Desk) -> None:
    """SCH-5."""
    execution = planned(desk, Plan(in_queue=timedelta(minutes=1)), schedule_id="nightly")
    desk.pass_time(60)
    answer = refused(desk, command(execution))
    assert answer.reason is Reason.ALREADY_FINALIZED
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "missed"


def test_an_occurrence_that_began_in_time_and_is_told_late_is_not_missed(desk: Desk) -> None:
    """Invariant 9: the silence was ours."""
    execution = planned(desk, Plan(in_queue=timedelta(minutes=1)), schedule_id="nightly")
    desk.pass_time(90)
    begun(desk, execution, ago=31)
    assert execution.started_at == START + 59 * SECOND


def test_a_total_deadline_that_passed_settles_it(desk: Desk) -> None:
    execution = planned(desk, Plan(total=timedelta(minutes=1)))
    desk.pass_time(90)
    answer = refused(desk, command(execution, ago=60))
    assert (answer.reason, execution.state) == (Reason.ALREADY_FINALIZED, State.FAILED)


def test_a_begin_told_late_has_its_true_start(desk: Desk) -> None:
    """SCH-5: what a spool tells late begins when it did."""
    execution = desk.accept(terms=OUTSIDE)
    desk.pass_time(3_600)
    delivery = begun(desk, execution, ago=3_590)
    attempt = execution.attempt
    assert attempt
    assert (execution.started_at, attempt.started_at) == (START + 10 * SECOND, START + 10 * SECOND)
    assert execution.lease_expires_at == desk.folio.now + 30 * SECOND
    desk.settle(delivery, Success())
    (span,) = desk.spans(Role.ATTEMPT)
    assert (span.start_at, span.end_at) == (START + 10 * SECOND, START + HOUR)
    assert (execution.timings.queued_ns, execution.timings.running_ns) == (10 * SECOND, 3_590 * SECOND)


@pytest.mark.parametrize("ago", [101, 10**9])
def test_nothing_begins_before_its_accept(desk: Desk, ago: float) -> None:
    execution = desk.accept(terms=OUTSIDE)
    desk.pass_time(100)
    begun(desk, execution, ago=ago)
    assert execution.started_at == execution.accepted_at == START


def test_an_attempt_told_late_has_time_to_tell_its_end(desk: Desk) -> None:
    """Invariant 9: its deadline passed while nobody could be told how it ended."""
    execution = desk.accept(terms=replace(OUTSIDE, attempt_timeout=timedelta(minutes=1)))
    desk.pass_time(3_600)
    delivery = begun(desk, execution, ago=3_600)
    assert delivery.deadline == timedelta(seconds=30)
    desk.pass_time(29)
    reap(desk, execution)
    desk.settle(delivery, Success())
    assert execution.state is State.SUCCEEDED


def test_an_attempt_told_at_once_keeps_its_deadline(desk: Desk) -> None:
    execution = desk.accept(terms=replace(OUTSIDE, attempt_timeout=timedelta(seconds=1)))
    assert begun(desk, execution).deadline == timedelta(seconds=1)


def test_a_lost_lease_waits_for_its_owner_while_attempts_are_left(desk: Desk) -> None:
    """EXT-2: a lost lease goes back to waiting; the next one may begin at once, whatever the backoff."""
    terms = replace(OUTSIDE, retry=RetryPolicy(max_attempts=2))
    execution = desk.accept(terms=terms)
    late = begun(desk, execution, "w1")
    desk.pass_time(31)
    reap(desk, execution)
    assert execution.state is State.QUEUED
    second = begun(desk, execution, "w2", ago=60)
    assert (second.ref.fence, execution.attempts) == (2, 2)
    attempt = execution.attempt
    assert attempt
    assert attempt.started_at == desk.folio.now, "never before the former attempt's end"
    answer = desk.do(Settle(late.ref, Success(), b"late"))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.LEASE_LOST


def test_a_lost_lease_without_attempts_left_failed(desk: Desk) -> None:
    execution = desk.accept(terms=OUTSIDE)
    begun(desk, execution)
    desk.pass_time(31)
    reap(desk, execution)
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "lease_expired"


def test_a_failed_attempt_waits_for_its_owner_again(desk: Desk) -> None:
    execution = desk.accept(terms=replace(OUTSIDE, retry=RetryPolicy(max_attempts=2)))
    desk.settle(begun(desk, execution), Fault(Failure("exit_code")))
    again = begun(desk, execution)
    assert (again.ref.fence, execution.state) == (2, State.RUNNING)


def test_the_start_record_is_of_the_first_begin(desk: Desk) -> None:
    """RUN-2."""
    execution = desk.accept(terms=replace(OUTSIDE, retry=RetryPolicy(max_attempts=2)))
    desk.settle(begun(desk, execution), Fault(Failure("exit_code")))
    started_at = execution.started_at
    desk.pass_time(5)
    desk.do(Begin(execution.key, "w2", Resource("s" * 32, (), "test/1")))
    assert (execution.started_at, execution.start_resource_id) == (started_at, WORKER.resource_id)
