"""Repeats of an enqueue: natural keys, never the request id."""

from dataclasses import replace

import pytest

from sidecar.core.commands import Accept, Accepted, Plan, Success
from sidecar.core.facts import Role
from sidecar.core.refusals import Reason, Refused
from tests.core.desk import SECOND, TERMS, Desk, after, draft

KEYED = replace(TERMS, idempotency_key="k1")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_same_id_and_work_is_the_first_execution(desk: Desk) -> None:
    """COR-4."""
    first = desk.accept("e1")
    answer = desk.do(Accept(draft("e1", desk.folio.now)))
    assert isinstance(answer, Accepted)
    assert (answer.execution, answer.existing) == (first, True)
    assert len(desk.spans(Role.SEND)) == 1


def test_the_same_id_for_other_work_is_refused(desk: Desk) -> None:
    """COR-4."""
    desk.accept("e1")
    answer = desk.do(Accept(draft("e1", desk.folio.now, terms=replace(TERMS, fingerprint="other"))))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.EXECUTION_ID_CONFLICT


def test_one_key_is_one_execution(desk: Desk) -> None:
    first = desk.accept("e1", terms=KEYED)
    answer = desk.do(Accept(draft("e2", desk.folio.now, terms=KEYED)))
    assert isinstance(answer, Accepted)
    assert answer.execution is first
    other = desk.do(Accept(draft("e3", desk.folio.now, terms=replace(KEYED, fingerprint="x"))))
    assert isinstance(other, Refused)
    assert other.reason is Reason.IDEMPOTENCY_CONFLICT


def test_a_key_stands_while_its_execution_has_not_ended(desk: Desk) -> None:
    """COR-4: 24 h, and not before the execution is terminal."""
    first = desk.accept("e1", terms=KEYED)
    desk.pass_time(25 * 3600)
    again = desk.do(Accept(draft("e2", desk.folio.now, terms=KEYED)))
    assert isinstance(again, Accepted)
    assert again.execution is first
    desk.settle(desk.claim(first), Success())
    fresh = desk.do(Accept(draft("e3", desk.folio.now, terms=KEYED)))
    assert isinstance(fresh, Accepted)
    assert not fresh.existing


def test_a_request_id_never_deduplicates(desk: Desk) -> None:
    first, second = desk.accept("e1"), desk.accept("e2")
    assert first is not second


def test_every_time_on_the_record_is_by_the_lease_clock(desk: Desk) -> None:
    """A wall clock that is off, or steps, moves no deadline."""
    desk.folio.ticks = 100.0
    plan = Plan(arrived=99.5, run_in=after(2), in_queue=after(3), total=after(10))
    answer = desk.do(Accept(draft("e1", now=0), plan=plan))
    assert isinstance(answer, Accepted)
    execution, now = answer.execution, desk.folio.now
    assert execution.accepted_at == now - SECOND // 2
    assert (execution.sent_at, execution.run_at) == (now, now + 2 * SECOND)
    assert execution.terms.queue_deadline_at == now + 5 * SECOND
    assert execution.terms.deadline_at == execution.accepted_at + 10 * SECOND
