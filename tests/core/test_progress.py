"""Steps and heartbeats: progress is tracked apart from life, and neither fails a run."""

import pytest

from sidecar.core import spans
from sidecar.core.commands import Delivery, Fault, Noted, Renew, Renewed, ReportStep, Success
from sidecar.core.facts import Role
from sidecar.core.folio import Limits
from sidecar.core.model import Failure
from sidecar.core.refusals import Reason, Refused
from tests.core.desk import SECOND, Desk, after


@pytest.fixture
def desk() -> Desk:
    return Desk()


def step(delivery: Delivery, sequence: int, began: float, ended: float | None = None) -> ReportStep:
    return ReportStep(
        delivery.ref,
        sequence,
        f"step-{sequence}",
        f"{sequence:016x}",
        "",
        after(began),
        None if ended is None else after(ended),
    )


def test_steps_are_spans_under_the_attempt_and_markers_on_the_record(desk: Desk) -> None:
    """RUN-8."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(10)
    desk.do(step(delivery, 1, 1))
    desk.do(step(delivery, 1, 1, 2))
    desk.do(step(delivery, 2, 3, 4))
    (first, second) = desk.spans(Role.STEP)
    attempt = execution.attempt
    assert attempt is not None
    assert (first.parent_span_id, second.resource_id) == (attempt.span_id, attempt.resource_id)
    assert first.end_at == attempt.started_at + 2 * SECOND
    assert execution.last_completed
    assert execution.last_completed.name == "step-2"


def test_a_repeated_step_report_changes_nothing(desk: Desk) -> None:
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(10)
    desk.do(step(delivery, 1, 1, 2))
    version = execution.version
    assert isinstance(desk.do(step(delivery, 1, 1, 2)), Noted)
    assert (execution.version, len(desk.spans(Role.STEP))) == (version, 1)


def test_open_steps_close_with_their_attempt(desk: Desk) -> None:
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(10)
    desk.do(step(delivery, 1, 1))
    desk.settle(delivery, Success())
    (open_step,) = desk.spans(Role.STEP)
    assert open_step.end_at == desk.folio.now
    assert execution.open_steps == 0


def test_a_step_that_a_failure_cut_off_ends_with_that_failure(desk: Desk) -> None:
    delivery = desk.claim(desk.accept())
    desk.do(step(delivery, 1, 0))
    desk.settle(delivery, Fault(Failure("lost")))
    (cut_off,) = desk.spans(Role.STEP)
    assert cut_off.error_type == "lost"


def test_a_workers_clock_cannot_leave_the_attempt(desk: Desk) -> None:
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(1)
    desk.do(step(delivery, 1, 500, 900))
    (span,) = desk.spans(Role.STEP)
    assert (span.start_at, span.end_at) == (desk.folio.now, desk.folio.now)
    assert execution.started_at
    assert execution.started_at <= span.start_at


def test_steps_past_the_limit_are_refused_and_the_run_goes_on() -> None:
    """RUN-8."""
    desk = Desk(Limits(max_steps=1))
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.do(step(delivery, 1, 0))
    answer = desk.do(step(delivery, 2, 0))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.STEP_LIMIT
    desk.settle(delivery, Success())
    assert execution.is_terminal


def test_a_step_after_the_settlement_is_refused(desk: Desk) -> None:
    """FIN-10."""
    delivery = desk.claim(desk.accept())
    desk.settle(delivery, Success())
    answer = desk.do(step(delivery, 1, 0))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.ALREADY_FINALIZED


def test_a_heartbeat_is_written_once_a_third_of_the_lease_has_passed(desk: Desk) -> None:
    execution = desk.accept()
    delivery = desk.claim(execution)
    version, expiry = execution.version, execution.lease_expires_at
    desk.pass_time(5)
    assert isinstance(desk.do(Renew(delivery.ref)), Renewed)
    assert (execution.version, execution.lease_expires_at) == (version, expiry)
    desk.pass_time(6)
    desk.do(Renew(delivery.ref))
    assert execution.lease_expires_at == desk.folio.now + 30 * SECOND


def test_the_rows_rebuild_the_spans_that_were_committed(desk: Desk) -> None:
    """The records suffice: what `sidecar trace` shows is what was exported."""
    execution = desk.accept()
    delivery = desk.claim(execution)
    desk.pass_time(10)
    desk.do(step(delivery, 1, 1, 2))
    desk.settle(delivery, Success())
    rebuilt = list(spans.tree(execution, list(desk.folio.ended.values()), list(desk.folio.steps.values())))
    committed = {e.facts.span_id: e.facts for e in desk.folio.emissions}
    assert {f.span_id: f for f in rebuilt} == committed
