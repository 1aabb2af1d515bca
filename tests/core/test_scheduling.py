"""The verbs of schedules: one occurrence once, its execution with it, and outcomes that feed back.

SCH-1, SCH-2 and SCH-3 as far as they are decided within one commit.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.commands import Accept, Cancel, Fault, Success
from sidecar.core.correlation import Source
from sidecar.core.decrees import Fire, Fired, Steer
from sidecar.core.definitions import Schedule
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution, Failure, Key
from sidecar.core.refusals import Reason, Refused
from sidecar.core.schedules import Standing, Timing
from sidecar.core.scheduling import Feedback, feedback, stopped_reason
from tests.core.desk import START, TERMS, Desk, draft

KEY: Key = ("default", "nightly")
HOUR = 3_600_000_000_000


def occurrence(execution_id: str, at: int, **terms: Any) -> Accept:
    """Return the accept of one occurrence, with its key."""
    made = draft(execution_id, START, terms=replace(TERMS, idempotency_key=f"schedule:nightly:{at}", **terms))
    correlation = replace(made.correlation, source=Source.SCHEDULE, schedule_id="nightly", scheduled_for=at)
    return Accept(replace(made, correlation=correlation))


def desk(**standing: Any) -> Desk:
    """Return a desk at which one schedule stands."""
    made = Desk()
    made.folio.standings[KEY] = replace(Standing(KEY, START), **standing)
    return made


def standing(at: Desk) -> Standing:
    return at.folio.standings[KEY]


def fire(at: Desk, command: Fire) -> Fired:
    answer = at.do(command)
    assert isinstance(answer, Fired)
    return answer


def run(at: Desk, execution_id: str) -> Execution:
    return at.folio.executions["default", execution_id]


def test_an_occurrence_and_the_next_time_move_together() -> None:
    """SCH-1: the execution and the standing are changes of one commit."""
    at = desk()
    fired = fire(at, Fire(KEY, 1, occurrence("e1", START), START + HOUR, skipped=3))
    assert fired.fired
    assert run(at, "e1").correlation.scheduled_for == START
    assert standing(at) == Standing(
        KEY, START + HOUR, fired=1, skipped=3, last_execution_id="e1", last_scheduled_for=START, version=2
    )
    assert at.folio.changed_standings == {KEY: standing(at)}
    assert [key.key for key in at.folio.new_keys] == [f"schedule:nightly:{START}"]


@pytest.mark.parametrize("change", ["moved on", "paused", "removed"])
def test_a_schedule_that_is_not_as_it_was_read_does_not_fire(change: str) -> None:
    """SCH-1: of all that read the same standing, one fires."""
    at = desk(paused=change == "paused")
    if change == "removed":
        at.folio.standings.clear()
    version = 9 if change == "moved on" else 1
    assert fire(at, Fire(KEY, version, occurrence("e1", START), START + HOUR)) == Fired(fired=False)
    assert not at.folio.executions
    assert not at.folio.changed_standings


def test_a_second_fire_of_the_same_reading_loses() -> None:
    at = desk()
    assert fire(at, Fire(KEY, 1, occurrence("e1", START), START + HOUR)).fired
    assert not fire(at, Fire(KEY, 1, occurrence("e2", START), START + HOUR)).fired
    assert list(at.folio.executions) == [("default", "e1")]


def test_occurrences_follow_each_other_by_version() -> None:
    at = desk()
    for number in range(3):
        time = START + number * HOUR
        assert fire(at, Fire(KEY, 1 + number, occurrence(f"e{number}", time), time + HOUR)).fired
    assert (standing(at).fired, standing(at).next_at, standing(at).version) == (3, START + 3 * HOUR, 4)


def test_a_skip_moves_on_without_an_execution() -> None:
    at = desk()
    assert fire(at, Fire(KEY, 1, None, START + HOUR, skipped=5)) == Fired(fired=True)
    assert (standing(at).next_at, standing(at).skipped, standing(at).fired) == (START + HOUR, 5, 0)
    assert not at.folio.executions


def test_an_occurrence_waits_while_the_former_execution_is_open() -> None:
    """SCH-2: overlap is looked at again within the commit."""
    at = desk()
    fire(at, Fire(KEY, 1, occurrence("e1", START), START + HOUR))
    second = Fire(KEY, 2, occurrence("e2", START + HOUR), START + 2 * HOUR, former=("default", "e1"))
    assert fire(at, second) == Fired(fired=False, waits=True)
    assert standing(at).next_at == START + HOUR
    at.settle(at.claim(run(at, "e1")), Success())
    assert fire(at, second).fired
    assert standing(at).last_execution_id == "e2"


def test_an_execution_that_nobody_read_counts_as_open() -> None:
    at = desk(last_execution_id="later")
    command = Fire(KEY, 1, occurrence("e2", START), START + HOUR, former=("default", "former"))
    assert fire(at, command).waits
    assert not at.folio.executions


def test_a_former_execution_that_was_pruned_holds_up_nothing() -> None:
    at = desk(last_execution_id="pruned")
    command = Fire(KEY, 1, occurrence("e2", START), START + HOUR, former=("default", "pruned"))
    assert fire(at, command).fired


def test_a_refused_occurrence_is_consumed_and_counts_as_a_failure() -> None:
    """SCH-2, ADM-2: the refusal is a durable record, and no occurrence is left over."""
    at = desk()
    refused = replace(occurrence("e1", START), refusal=Refused(Reason.WORKFLOW_DISABLED, "off"))
    fired = fire(at, Fire(KEY, 1, refused, START + HOUR))
    assert fired.fired
    assert isinstance(fired.answer, Refused)
    assert run(at, "e1").state is State.FAILED
    assert (standing(at).next_at, standing(at).fired, standing(at).skipped) == (START + HOUR, 1, 0)
    assert feedback(at.folio.outcomes) == [
        Feedback(KEY, failures=1, last_error="preprocessing.workflow_disabled")
    ]


def test_an_occurrence_that_has_its_execution_gets_no_other() -> None:
    """SCH-1: also when a schedule is defined anew while a clock goes back."""
    at = desk()
    fire(at, Fire(KEY, 1, occurrence("e1", START), START + HOUR))
    fired = fire(at, Fire(KEY, 2, occurrence("e2", START), START + HOUR))
    assert fired.fired
    assert fired.answer is not None
    assert fired.answer.execution is run(at, "e1")
    assert (standing(at).fired, standing(at).skipped) == (1, 0)


def test_an_occurrence_whose_key_stands_for_other_work_is_skipped() -> None:
    at = desk()
    fire(at, Fire(KEY, 1, occurrence("e1", START), START + HOUR))
    fired = fire(at, Fire(KEY, 2, occurrence("e2", START, fingerprint="other"), START + HOUR))
    assert isinstance(fired.answer, Refused)
    assert (standing(at).fired, standing(at).skipped, standing(at).last_execution_id) == (1, 1, "e1")


@pytest.mark.parametrize("paused", [True, False])
def test_beside_the_timetable_nothing_of_it_moves(paused: bool) -> None:
    at = desk(paused=paused, version=7)
    fired = fire(at, Fire(KEY, 3, occurrence("e1", START + 5), None, beside=True))
    assert fired.fired
    after = standing(at)
    assert (after.next_at, after.last_scheduled_for, after.version, after.paused) == (START, None, 7, paused)
    assert (after.fired, after.last_execution_id) == (1, "e1")


def test_beside_the_timetable_an_open_former_execution_stays_the_former_one() -> None:
    at = desk()
    fire(at, Fire(KEY, 1, occurrence("e1", START), START + HOUR))
    hand = Fire(KEY, 2, occurrence("e2", START + 5), None, beside=True, former=("default", "e1"))
    assert fire(at, hand).fired
    assert (standing(at).fired, standing(at).last_execution_id) == (2, "e1")


def test_the_same_run_by_hand_is_counted_once() -> None:
    at = desk()
    for execution_id in ("e1", "e2"):
        assert fire(at, Fire(KEY, 1, occurrence(execution_id, START + 5), None, beside=True)).fired
    assert standing(at).fired == 1


def test_pausing_and_resuming() -> None:
    at = desk(failures=4)
    assert at.do(Steer(KEY, paused=True, next_at=None)) is True
    assert (standing(at).paused, standing(at).next_at, standing(at).failures) == (True, START, 4)
    assert at.do(Steer(KEY, paused=True, next_at=None)) is True
    assert standing(at).version == 2
    assert at.do(Steer(KEY, paused=False, next_at=START + HOUR)) is True
    assert (standing(at).paused, standing(at).next_at, standing(at).failures) == (False, START + HOUR, 0)
    assert at.do(Steer(KEY, paused=False, next_at=START + 9 * HOUR)) is True
    assert (standing(at).version, standing(at).next_at) == (3, START + HOUR)
    assert at.do(Steer(("default", "other"), paused=True, next_at=None)) is False


def test_resuming_what_failed_loses_no_occurrence_that_is_due() -> None:
    at = desk(failures=5)
    assert at.do(Steer(KEY, paused=False, next_at=START + HOUR)) is True
    assert (standing(at).failures, standing(at).next_at) == (0, START)


def ended(*states: State) -> list[Execution]:
    """Return executions of the schedule that ended so, in this order, as a folio would note them."""
    at = desk()
    for number, state in enumerate(states):
        fire(at, Fire(KEY, 1, occurrence(f"e{number}", START + number), None, beside=True))
        if state is State.CANCELLED:
            at.do(Cancel(("default", f"e{number}"), "", timedelta()))
            continue
        report = Success() if state is State.SUCCEEDED else Fault(Failure(f"boom.{number}"))
        at.settle(at.claim(run(at, f"e{number}")), report)
    return at.folio.outcomes


S, F, C = State.SUCCEEDED, State.FAILED, State.CANCELLED


@pytest.mark.parametrize(
    ("states", "meaning"),
    [
        ((F,), [Feedback(KEY, keeps=True, failures=1, last_error="boom.0")]),
        ((F, C, F), [Feedback(KEY, keeps=True, failures=2, last_error="boom.2")]),
        ((S,), [Feedback(KEY, keeps=False)]),
        ((F, S), [Feedback(KEY, keeps=False, last_error="boom.0")]),
        ((F, S, F), [Feedback(KEY, keeps=False, failures=1, last_error="boom.2")]),
        ((C, C), []),
    ],
)
def test_a_success_resets_a_failure_counts_a_cancelled_one_means_nothing(
    states: tuple[State, ...], meaning: list[Feedback]
) -> None:
    """SCH-3."""
    assert feedback(ended(*states)) == meaning


def test_what_no_schedule_set_off_feeds_nothing_back() -> None:
    at = Desk()
    at.settle(at.claim(at.accept()), Fault(Failure("boom")))
    assert at.folio.outcomes == []


def test_a_schedule_stops_after_so_many_failures_and_says_why() -> None:
    """SCH-3."""
    schedule = Schedule("nightly", "audit", Timing(cron="0 2 * * *"), max_failures=5)
    failing = Standing(KEY, START, failures=4, last_error="timeout")
    assert stopped_reason(schedule, failing) == ""
    failing.failures = 5
    assert stopped_reason(schedule, failing) == "stopped after 5 failures in a row, the last: timeout"
    assert stopped_reason(replace(schedule, max_failures=0), failing) == ""
    failing.failures = 1
    assert "1 failure in a row" in stopped_reason(replace(schedule, max_failures=1), failing)
