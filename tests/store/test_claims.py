"""Claims: bounded by bytes, and one statement for all lanes of a worker."""

from typing import Any

import pytest
from sqlalchemy import event

from sidecar.core.commands import Accept, Claim, Claimed, Plan
from sidecar.store.claiming import CLAIM_BYTES, COMMIT_BYTES
from tests.store.workbench import QUEUE, RESOURCE, WORKFLOW, Desk, claim, draft

MIB = 1024 * 1024


def fill(desk: Desk, *sizes: int) -> list[str]:
    """Accept executions with payloads of these sizes, in this order."""
    return [desk.accept(payload=bytes(size)).key[1] for size in sizes]


def ids(claimed: Claimed) -> list[str]:
    return [delivery.ref.key[1] for delivery in claimed.deliveries]


def test_a_claim_stops_at_its_bytes_and_says_that_there_is_more(desk: Desk) -> None:
    waiting = fill(desk, MIB, MIB, MIB, MIB, 10)
    first, second = desk.do(claim(100)), desk.do(claim(100))
    assert (ids(first), first.exhausted, first.next_run_at) == (waiting[:3], False, None)
    assert (ids(second), second.exhausted) == (waiting[3:], True)
    assert len(first.deliveries[0].execution.terms.payload) == MIB


def test_a_claim_takes_one_however_large(desk: Desk) -> None:
    waiting = fill(desk, CLAIM_BYTES + 1, 1)
    first = desk.do(claim(5))
    assert (ids(first), first.exhausted) == (waiting[:1], False)
    assert ids(desk.do(claim(5))) == waiting[1:]


def test_claims_of_one_commit_stay_within_its_bytes_together(desk: Desk) -> None:
    waiting = fill(desk, *[2 * MIB] * 12)
    answers = desk.each(*(claim(1, f"w-{n}") for n in range(12)))
    taken = [execution_id for answer in answers for execution_id in ids(answer)]
    assert taken == waiting[: COMMIT_BYTES // (2 * MIB)]
    assert {answer.exhausted for answer in answers} == {False}
    assert ids(desk.do(claim())) == waiting[8:9]


def test_many_lanes_are_one_look_and_one_more_where_nothing_is_left(desk: Desk) -> None:
    looks: list[str] = []

    @event.listens_for(desk.store.dialect.writer, "before_cursor_execute")
    def note(_c: Any, _u: Any, statement: str, *_rest: Any) -> None:
        looks.extend([statement] if "dispatch = 'managed'" in statement else [])

    queues, workflows = tuple(f"q{n}" for n in range(20)), tuple(f"w{n}" for n in range(20))
    wide = Claim("default", "w", RESOURCE, (*queues, QUEUE, QUEUE), (*workflows, WORKFLOW), 2)
    later = draft()
    at = later.run_at + 3_600 * 10**9
    desk.do(Accept(later, plan=Plan(run_at=at)))
    waiting = [desk.accept(queue=queue).key[1] for queue in ("mail", "elsewhere", "q7", "mail")]
    assert ids(desk.do(wide)) == [waiting[0], waiting[2]]
    assert len(looks) == 1
    rest = desk.do(wide)
    assert (ids(rest), rest.exhausted, rest.next_run_at) == (waiting[3:], True, at)
    assert len(looks) == 3


@pytest.mark.parametrize(("queues", "workflows"), [((), (WORKFLOW,)), ((QUEUE,), ())])
def test_no_lanes_nothing_to_claim(desk: Desk, queues: tuple[str, ...], workflows: tuple[str, ...]) -> None:
    desk.accept()
    nothing = desk.do(Claim("default", "w", RESOURCE, queues, workflows, 5))
    assert (nothing.deliveries, nothing.exhausted, nothing.next_run_at) == ((), True, None)
