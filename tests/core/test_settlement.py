"""FIN, RUN and CAN of the behaviours, verb by verb: one winner, one record, one terminal span."""

from dataclasses import replace

import pytest

from sidecar.core.commands import (
    Cancel,
    Cancellation,
    Due,
    Fault,
    Reap,
    Release,
    Renew,
    Report,
    ReportStep,
    Settle,
    Settled,
    Success,
)
from sidecar.core.facts import Role
from sidecar.core.folio import Limits
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution, Failure, Path, Recording
from sidecar.core.refusals import Reason, Refused
from tests.core.desk import SECOND, TERMS, Desk, after, with_attempts

BROKEN = Fault(Failure("ValueError", "no good", "trace"))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def reap(desk: Desk, execution: Execution) -> object:
    due = Due(execution.key, execution.fence, execution.lease_expires_at, execution.due_at or 0)
    return desk.do(Reap(due, leases_too=True))


def test_a_success_is_one_record_and_one_terminal_span(desk: Desk) -> None:
    """Invariants 1 and 2; FIN-1."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(2)
    assert isinstance(desk.settle(delivery, Success(b"out", "text/plain")), Settled)
    assert execution.state is State.SUCCEEDED
    assert execution.terminal is not None
    assert (execution.terminal.output, execution.terminal.path) == (b"out", Path.COMPLETED)
    (terminal,) = desk.spans(Role.TERMINAL)
    (attempt,) = desk.spans(Role.ATTEMPT)
    assert (terminal.start_at, terminal.end_at) == (execution.accepted_at, desk.folio.now)
    assert (terminal.span_id, terminal.parent_span_id) == ("ef" * 8, "cd" * 8)
    assert attempt.parent_span_id == "cd" * 8
    assert attempt.links[0].span_id == "cd" * 8
    assert dict(terminal.attributes)["sidecar.duration.running"] == 2.0


def test_a_repeat_is_answered_as_the_first_was(desk: Desk) -> None:
    """FIN-3."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.settle(delivery, Success(b"out"))
    again = desk.settle(delivery, Success(b"out"))
    assert again == Settled(execution, replayed=True)
    assert len(desk.spans(Role.TERMINAL)) == 1
    assert not desk.folio.events


def test_another_settlement_is_refused_with_the_record(desk: Desk) -> None:
    """FIN-3."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.settle(delivery, Success(b"out"))
    answer = desk.settle(delivery, BROKEN, b"d2")
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.ALREADY_FINALIZED
    assert answer.execution is execution
    assert execution.state is State.SUCCEEDED
    assert [event.kind for event in desk.folio.events] == ["late_completion"]
    assert desk.folio.conflicts == 1


def test_a_lease_that_never_was_leaves_no_event(desk: Desk) -> None:
    """Invariant 7: forged fences cannot fill the events."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.settle(delivery, Success())
    forged = replace(delivery.ref, fence=delivery.ref.fence + 1)
    assert isinstance(desk.do(Settle(forged, Success(), b"d")), Refused)
    assert not desk.folio.events


def test_a_retry_replays_its_lost_answer(desk: Desk) -> None:
    """FIN-3: non-terminal settlements too."""
    execution = desk.accept(terms=with_attempts(2))
    delivery = desk.claim(execution)
    desk.settle(delivery, BROKEN)
    assert execution.state is State.QUEUED
    assert desk.settle(delivery, BROKEN) == Settled(execution, replayed=True)
    assert len(desk.spans(Role.ATTEMPT)) == 1


def test_retries_back_off_and_end_as_the_last_attempt_did(desk: Desk) -> None:
    """RUN-4."""
    execution = desk.accept(terms=with_attempts(3))
    waits = []
    for _ in range(2):
        desk.settle(desk.claim(execution), BROKEN)
        waits.append((execution.run_at - desk.folio.now) / SECOND)
        desk.folio.now = execution.run_at
    desk.settle(desk.claim(execution), BROKEN)
    assert waits == [1.0, 2.0]
    assert (execution.state, execution.attempts) == (State.FAILED, 3)
    attempts = desk.spans(Role.ATTEMPT)
    assert [a.error_type for a in attempts] == ["ValueError"] * 3
    assert attempts[1].links[1].span_id == attempts[0].span_id
    assert len(desk.spans(Role.TERMINAL)) == 1


def test_a_failure_that_a_later_attempt_repaired_is_not_the_outcome(desk: Desk) -> None:
    execution = desk.accept(terms=with_attempts(2))
    desk.settle(desk.claim(execution), BROKEN)
    desk.folio.now = execution.run_at
    desk.settle(desk.claim(execution), Success())
    (terminal,) = desk.spans(Role.TERMINAL)
    assert terminal.error_type is None
    assert dict(terminal.attributes)["sidecar.attempts"] == 2


@pytest.mark.parametrize("fault", [replace(BROKEN, final=True), Fault(Failure("Fatal"))])
def test_a_final_failure_is_not_repeated(desk: Desk, fault: Fault) -> None:
    """RUN-4."""
    execution = desk.accept(terms=with_attempts(5, ("Fatal",)))
    desk.settle(desk.claim(execution), fault)
    assert (execution.state, execution.attempts) == (State.FAILED, 1)


def test_a_lost_lease_is_queued_again_and_its_worker_fenced(desk: Desk) -> None:
    """RUN-3, invariant 5."""
    execution = desk.accept(terms=with_attempts(2))
    zombie = desk.claim(execution)
    desk.pass_time(31)
    reap(desk, execution)
    assert execution.state is State.QUEUED
    desk.folio.now = execution.run_at
    second = desk.claim(execution, "w2")
    answer = desk.settle(zombie, Success(b"late"))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.LEASE_LOST
    desk.settle(second, Success(b"good"))
    assert execution.terminal is not None
    assert execution.terminal.output == b"good"
    assert [a.error_type for a in desk.spans(Role.ATTEMPT)] == ["lease_expired", None]


def test_a_lost_lease_without_attempts_left_is_a_failure(desk: Desk) -> None:
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(31)
    reap(desk, execution)
    assert (execution.state, execution.terminal and execution.terminal.path) == (State.FAILED, Path.REAPED)
    answer = desk.settle(delivery, Success())
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.ALREADY_FINALIZED


def test_the_reaper_leaves_alone_what_moved_on(desk: Desk) -> None:
    """Invariant 5: its write repeats what it read."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    due = Due(execution.key, execution.fence, execution.lease_expires_at, 0)
    desk.pass_time(25)
    desk.do(Renew(delivery.ref))
    desk.pass_time(10)
    desk.do(Reap(due, leases_too=True))
    assert execution.state is State.RUNNING


def test_the_reaper_spares_leases_while_the_sidecar_may_have_been_deaf(desk: Desk) -> None:
    """Invariant 9."""
    execution = desk.accept()
    desk.claim(execution)
    desk.pass_time(31)
    due = Due(execution.key, execution.fence, execution.lease_expires_at, 0)
    desk.do(Reap(due, leases_too=False))
    assert execution.state is State.RUNNING


@pytest.mark.parametrize("report", [Success(), BROKEN, Cancellation("deadline"), Cancellation()])
def test_a_passed_deadline_is_a_timeout_whatever_comes_later(desk: Desk, report: Report) -> None:
    """RUN-5."""
    execution = desk.accept(terms=replace(TERMS, attempt_timeout=after(5)))
    delivery = desk.claim(execution)
    desk.pass_time(6)
    reap(desk, execution)
    assert execution.terminal is not None
    assert execution.terminal.failure is not None
    assert execution.terminal.failure.type == "timeout"
    assert isinstance(desk.settle(delivery, report), Refused)
    assert len(desk.spans(Role.TERMINAL)) == 1


def test_a_worker_that_gives_up_at_its_deadline_timed_out(desk: Desk) -> None:
    """RUN-5 and RUN-6."""
    execution = desk.accept(terms=replace(TERMS, attempt_timeout=after(5)))
    desk.settle(desk.claim(execution), Cancellation("deadline"))
    assert execution.state is State.FAILED
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "timeout"


def test_a_worker_that_cancels_unasked_has_failed(desk: Desk) -> None:
    """RUN-6."""
    execution = desk.accept()
    desk.settle(desk.claim(execution), Cancellation("felt like it"))
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "worker_cancelled"


def test_work_nobody_took_expires_in_the_queue(desk: Desk) -> None:
    """RUN-5."""
    execution = desk.accept(terms=replace(TERMS, queue_deadline_at=desk.folio.now + SECOND))
    desk.pass_time(2)
    reap(desk, execution)
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "expired_in_queue"
    assert not desk.spans(Role.ATTEMPT)


def cancel(desk: Desk, execution: Execution) -> object:
    return desk.do(Cancel(execution.key, "not needed", after(30)))


def test_cancelling_what_waits_settles_it_and_repeats_well(desk: Desk) -> None:
    """CAN-1 and CAN-2."""
    execution = desk.accept()
    cancel(desk, execution)
    assert execution.state is State.CANCELLED
    assert cancel(desk, execution)
    (terminal,) = desk.spans(Role.TERMINAL)
    assert terminal.error_type is None


CANCELLED_RUNS = [
    (Success(), State.SUCCEEDED, None),
    (BROKEN, State.CANCELLED, None),
    (replace(BROKEN, final=True), State.FAILED, "ValueError"),
    (Cancellation(), State.CANCELLED, None),
    (Cancellation("deadline"), State.FAILED, "timeout"),
]


@pytest.mark.parametrize(("report", "state", "error_type"), CANCELLED_RUNS)
def test_what_a_run_that_is_asked_to_cancel_ends_as(
    desk: Desk, report: Success | Fault | Cancellation, state: State, error_type: str | None
) -> None:
    """CAN-1: a success wins; a retryable failure becomes the cancellation; a final one or a timeout stays."""
    execution = desk.accept(terms=with_attempts(3))
    delivery = desk.claim(execution)
    cancel(desk, execution)
    assert execution.state is State.RUNNING
    desk.settle(delivery, report)
    failure = execution.terminal.failure if execution.terminal else None
    assert (execution.state, failure.type if failure else None) == (state, error_type)
    assert dict(desk.spans(Role.TERMINAL)[0].attributes)["sidecar.cancel.requested"] is True
    assert desk.settle(delivery, report) == Settled(execution, replayed=True)


def test_a_worker_that_ignores_the_cancellation_is_fenced_after_the_grace(desk: Desk) -> None:
    """CAN-1."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    cancel(desk, execution)
    desk.pass_time(29)
    desk.do(Renew(delivery.ref))
    desk.pass_time(2)
    reap(desk, execution)
    assert execution.state is State.CANCELLED
    assert isinstance(desk.settle(delivery, Success()), Refused)


def test_a_settled_execution_cannot_be_cancelled(desk: Desk) -> None:
    """CAN-2."""
    execution = desk.accept()
    desk.settle(desk.claim(execution), Success())
    answer = cancel(desk, execution)
    assert isinstance(answer, Refused)
    assert answer.execution is execution


def test_a_delivery_that_never_arrived_is_no_attempt(desk: Desk) -> None:
    """RUN-4."""
    execution = desk.accept()
    first = desk.claim(execution)
    desk.do(Release(first.ref))
    assert (execution.state, execution.attempts, execution.deliveries_lost) == (State.QUEUED, 0, 1)
    second = desk.claim(execution)
    assert second.ref.fence == first.ref.fence + 1
    assert isinstance(desk.settle(first, Success()), Refused)
    desk.settle(second, Success())
    assert len(desk.spans(Role.ATTEMPT)) == 1


def test_deliveries_that_are_lost_too_often_fail_the_execution(desk: Desk) -> None:
    execution = desk.accept()
    for _ in range(desk.limits.max_deliveries_lost):
        desk.do(Release(desk.claim(execution).ref))
    assert (execution.state, execution.attempts) == (State.QUEUED, 0)
    desk.do(Release(desk.claim(execution).ref))
    assert execution.state is State.FAILED
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "delivery_lost"


def test_a_worker_may_give_back_as_often_as_it_likes(desk: Desk) -> None:
    """A worker that leaves burns nobody's attempts."""
    execution = desk.accept()
    for _ in range(3 * desk.limits.max_deliveries_lost):
        desk.do(Release(desk.claim(execution).ref, voluntary=True))
    assert (execution.state, execution.attempts, execution.deliveries_lost) == (State.QUEUED, 0, 0)


def test_a_delivery_that_reported_a_step_had_begun(desk: Desk) -> None:
    """No span is left without its parent: the attempt is counted and ends."""
    execution = desk.accept(terms=with_attempts(2))
    delivery = desk.claim(execution)
    desk.do(ReportStep(delivery.ref, 1, "s", "1" * 16, "", after(0)))
    desk.do(Release(delivery.ref))
    assert (execution.attempts, execution.open_steps) == (1, 0)
    (attempt,) = desk.spans(Role.ATTEMPT)
    (step,) = desk.spans(Role.STEP)
    assert (attempt.error_type, step.parent_span_id) == ("delivery_lost", attempt.span_id)


def test_a_deadline_that_passes_while_a_cancellation_is_pending_is_a_timeout(desk: Desk) -> None:
    """CAN-1 and RUN-5: never CANCELLED."""
    execution = desk.accept(terms=replace(with_attempts(3), attempt_timeout=after(5)))
    desk.claim(execution)
    cancel(desk, execution)
    desk.pass_time(6)
    reap(desk, execution)
    assert execution.terminal
    assert execution.terminal.failure
    assert execution.terminal.failure.type == "timeout"


def test_an_output_over_the_limit_is_left_out_and_said_so() -> None:
    """FIN-4."""
    desk = Desk(Limits(max_output_bytes=3))
    execution = desk.accept()
    desk.settle(desk.claim(execution), Success(b"four"))
    assert execution.state is State.SUCCEEDED
    assert execution.terminal
    assert (execution.terminal.output, execution.terminal.output_missing) == (None, True)
    assert "limit of 3" in (execution.terminal.minimal or "")


def test_an_unsampled_execution_settles_into_a_log_record(desk: Desk) -> None:
    execution = desk.accept(recording=Recording.UNSAMPLED)
    desk.settle(desk.claim(execution), BROKEN)
    (log,) = desk.logs()
    assert len(desk.folio.emissions) == 1
    assert (log.severity, log.span_id) == ("ERROR", execution.anchor.terminal_span_id)
    assert dict(log.attributes)["error.type"] == "ValueError"


def test_a_disabled_sdk_writes_nothing(desk: Desk) -> None:
    execution = desk.accept(recording=Recording.DISABLED)
    desk.settle(desk.claim(execution), Success())
    assert execution.is_terminal
    assert not desk.folio.emissions
