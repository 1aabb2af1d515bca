"""Where schedules stand, over both stores: fired once of many, fed back in the settlement's own commit."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from sidecar import failpoints
from sidecar.core.commands import Accept, Accepted, Fault, Settle, Settled
from sidecar.core.correlation import Source
from sidecar.core.decrees import Define, Fire, Fired, Steer, Undefine
from sidecar.core.definitions import Kind, Schedule
from sidecar.core.model import Failure, Key
from sidecar.core.schedules import Standing, Timing
from sidecar.store.inbox import weight
from tests.store.held import HeldEncoder
from tests.store.test_plans import explained
from tests.store.test_rivals import deadlocks_of
from tests.store.workbench import Desk, claim, draft, success

OpenDesk = Callable[..., Desk]
FIRST = 1_780_000_000_000_000_000
SECOND = 1_000_000_000


def schedule(name: str) -> Schedule:
    return Schedule(name, "send-letter", Timing(every=timedelta(seconds=1)))


def define(*names: str) -> Define:
    """Return the command that makes schedules stand, each with its first occurrence."""
    return Define("default", tuple(map(schedule, names)), tuple((name, FIRST) for name in names))


def occurrence(name: str, at: int, **terms: Any) -> Accept:
    """Return the accept of one occurrence."""
    made = draft(idempotency_key=f"schedule:{name}:{at}", **terms)
    ids = replace(made.correlation, source=Source.SCHEDULE, schedule_id=name, scheduled_for=at)
    return Accept(replace(made, correlation=ids))


def fire(read: Standing, former: Key | None = None) -> Fire:
    """Return the command that fires the next occurrence of a schedule as it was read."""
    assert read.next_at is not None
    at = read.next_at
    return Fire(read.key, read.version, occurrence(read.key[1], at), at + SECOND, former=former)


def standing(desk: Desk, name: str) -> Standing:
    [found] = desk.ask(desk.store.reader.standings("default", name))
    return found


def test_of_sixty_four_that_read_the_same_one_fires(url: str, open_desk: OpenDesk) -> None:
    """SCH-1: one occurrence is one execution, handed in together and one by one."""
    desk = open_desk(url)
    desk.do(define("s"))
    read = standing(desk, "s")
    together = desk.each(*(fire(read) for _ in range(64)))
    assert sum(answer.fired for answer in together) == 1
    again = standing(desk, "s")
    alone = [answer for begun in [desk.begin(fire(again)) for _ in range(64)] for answer in begun.result(60)]
    assert sum(answer.fired for answer in alone) == 1
    assert standing(desk, "s").fired == 2
    assert len({e.key for e in desk.notes.heard}) == 2


def test_of_several_sidecars_on_one_database_one_fires(
    new_postgres: Callable[[], str], open_desk: OpenDesk
) -> None:
    """SCH-1."""
    url = new_postgres()
    desks = [open_desk(url) for _ in range(4)]
    desks[0].do(define("s"))
    for turn in range(1, 9):
        read = standing(desks[0], "s")
        futures = [desk.begin(*(fire(read) for _ in range(16))) for desk in desks]
        answers = [answer for future in futures for answer in future.result(60)]
        assert sum(answer.fired for answer in answers) == 1
        assert standing(desks[1], "s").fired == turn


def test_a_commit_that_fails_leaves_the_occurrence_as_it_was(desk: Desk) -> None:
    """SCH-2: the execution and the schedule's next time commit together or not at all."""
    desk.do(define("s"))
    read = standing(desk, "s")
    failpoints.arm("accept.before_commit=error")
    with pytest.raises(failpoints.InjectedError):
        desk.do(fire(read))
    assert standing(desk, "s") == read
    assert not [change for change in desk.notes.heard if change.key[1] != "s"]
    assert desk.do(fire(read)).fired


def test_a_chain_of_occurrences_fires_in_one_go(desk: Desk) -> None:
    desk.do(define("s"))
    read = standing(desk, "s")
    chain = [
        Fire(read.key, read.version + n, occurrence("s", FIRST + n * SECOND), FIRST + (n + 1) * SECOND)
        for n in range(100)
    ]
    assert all(answer.fired for answer in desk.each(*chain))
    after = standing(desk, "s")
    assert (after.fired, after.next_at, after.version) == (100, FIRST + 100 * SECOND, read.version + 100)
    assert not any(answer.fired for answer in desk.each(*chain))


def test_the_former_execution_is_looked_at_within_the_commit(desk: Desk) -> None:
    desk.do(define("s"))
    desk.do(fire(standing(desk, "s")))
    read = standing(desk, "s")
    former = ("default", read.last_execution_id or "")
    assert desk.do(fire(read, former)) == Fired(fired=False, waits=True)
    [delivery] = desk.do(claim()).deliveries
    settled, fired = desk.each(success(delivery), fire(read, former))
    assert settled.execution.is_terminal
    assert fired.fired


def ends(desk: Desk) -> Iterator[str]:
    """Fire, claim, and end with failures as long as asked; yields each failure's type."""
    number = 0
    while True:
        number += 1
        desk.do(fire(standing(desk, "s")))
        [delivery] = desk.do(claim()).deliveries
        desk.do(Settle(delivery.ref, Fault(Failure(f"boom.{number}")), b"digest"))
        yield f"boom.{number}"


def test_failures_in_a_row_are_counted_with_the_settlement(url: str, open_desk: OpenDesk) -> None:
    """SCH-3: they survive a restart, and a success resets them."""
    desk = open_desk(url)
    desk.do(define("s", "other"))
    failing = ends(desk)
    last = [next(failing) for _ in range(3)][-1]
    before = standing(desk, "s")
    assert (before.failures, before.last_error) == (3, last)
    desk.close()
    desk = open_desk(url)
    assert standing(desk, "s") == before
    desk.do(fire(before))
    [delivery] = desk.do(claim()).deliveries
    desk.do(success(delivery))
    assert standing(desk, "s").failures == 0
    assert standing(desk, "other") == replace(
        before, **{**untouched("other"), "version": standing(desk, "other").version}
    )


def untouched(name: str) -> dict[str, Any]:
    """Return the fields of a schedule that nothing has happened to."""
    fresh = Standing(("default", name), FIRST)
    return {field: getattr(fresh, field) for field in fresh.__slots__}


def test_a_settlement_whose_commit_fails_feeds_nothing_back(desk: Desk) -> None:
    """Invariant 2, for the schedule's counts as well."""
    desk.do(define("s"))
    desk.do(fire(standing(desk, "s")))
    [delivery] = desk.do(claim()).deliveries
    failpoints.arm("settle.before_commit=error")
    with pytest.raises(failpoints.InjectedError):
        desk.do(Settle(delivery.ref, Fault(Failure("boom")), b"digest"))
    assert standing(desk, "s").failures == 0
    desk.do(Settle(delivery.ref, Fault(Failure("boom")), b"digest"))
    assert standing(desk, "s").failures == 1


def test_many_ends_of_one_schedule_in_one_commit(desk: Desk) -> None:
    desk.do(define("s"))
    for _ in range(3):
        desk.do(fire(standing(desk, "s")))
    read = standing(desk, "s")
    deliveries = desk.do(claim(3)).deliveries
    ending = [Settle(d.ref, Fault(Failure("boom")), b"digest") for d in deliveries]
    *_, fired = desk.each(*ending, fire(read))
    assert fired.fired
    after = standing(desk, "s")
    assert (after.failures, after.fired, after.version) == (3, 4, read.version + 1)
    assert after.last_error == "boom"


def test_what_ends_after_its_schedule_was_deleted_changes_nothing(desk: Desk) -> None:
    desk.do(define("s"))
    desk.do(fire(standing(desk, "s")))
    [delivery] = desk.do(claim()).deliveries
    assert desk.do(Undefine("default", Kind.SCHEDULE, "s")) is True
    desk.do(Settle(delivery.ref, Fault(Failure("boom")), b"digest"))
    assert desk.ask(desk.store.reader.standings("default", None)) == []
    desk.do(define("s"))
    assert standing(desk, "s").failures == 0


def test_defined_fired_and_removed_in_one_commit(desk: Desk) -> None:
    """Commands of one commit see each other's changes."""
    desk.do(define("s"))
    read = standing(desk, "s")
    fired, removed, defined, late = desk.each(
        fire(read), Undefine("default", Kind.SCHEDULE, "s"), define("s"), fire(read)
    )
    assert (fired.fired, removed, late.fired) == (True, True, False)
    assert len(defined.effects) == 1
    assert standing(desk, "s").fired == 0


def test_due_ones_come_page_by_page_with_what_became_of_the_former(desk: Desk) -> None:
    names = [f"s-{n}" for n in range(7)]
    desk.do(define(*names, "later", "paused"))
    desk.do(Steer(("default", "paused"), paused=True, next_at=None))
    later = standing(desk, "later")
    desk.do(Fire(later.key, later.version, None, FIRST + 10))
    desk.do(replace(fire(standing(desk, "s-0")), next_at=FIRST))
    reader, found, after = desk.store.reader, list[str](), None
    while page := desk.ask(reader.due_schedules(FIRST, 3, after=after)):
        found += [due.standing.key[1] for due in page]
        after = page[-1]
    assert found == names
    [due] = desk.ask(reader.due_schedules(FIRST, 9, whose=("default", "s-0")))
    assert (due.occupied, due.freed_at) == (True, None)
    [delivery] = desk.do(claim()).deliveries
    ended = desk.do(success(delivery))
    assert isinstance(ended, Settled)
    assert ended.execution.terminal is not None
    [due] = desk.ask(reader.due_schedules(FIRST, 9, whose=("default", "s-0")))
    assert (due.occupied, due.freed_at) == (False, ended.execution.terminal.finalized_at)
    assert desk.ask(reader.due_schedules(FIRST, 9, whose=("elsewhere", None))) == []
    assert desk.ask(reader.next_due_at(FIRST)) == FIRST + 10
    assert desk.ask(reader.next_due_at(FIRST + 10)) is None


def test_the_other_order_of_fires_and_ends_does_not_deadlock(
    new_postgres: Callable[[], str], open_desk: OpenDesk
) -> None:
    """Two sidecars that end what the other one's schedules have started, and fire them, wait in one order."""
    url, encoders = new_postgres(), [HeldEncoder(), HeldEncoder()]
    desks = [open_desk(url, encoder=encoder) for encoder in encoders]
    seen = [deadlocks_of(desk) for desk in desks]
    names = [f"s-{n:02d}" for n in range(20)]
    desks[0].do(define(*names))
    for name in names:
        desks[0].do(fire(standing(desks[0], name)))
    for _ in range(3):
        deliveries = desks[0].do(claim(20)).deliveries
        by_name = {d.execution.correlation.schedule_id: d for d in deliveries}
        read = {name: standing(desks[0], name) for name in names}
        halves = names[:10], names[10:]
        batches = [
            [Settle(by_name[n].ref, Fault(Failure("boom")), b"digest") for n in theirs]
            + [fire(read[n]) for n in mine]
            for mine, theirs in (halves, halves[::-1])
        ]
        for encoder in encoders:
            encoder.hold()
        futures = [desk.begin(*batch) for desk, batch in zip(desks, batches, strict=True)]
        for encoder in encoders:
            encoder.go_on.set()
        answers = [answer for future in futures for answer in future.result(60)]
        assert all(answer.fired for answer in answers if isinstance(answer, Fired))
        assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert [standing(desks[1], name).failures for name in names] == [3] * 20
    assert [standing(desks[1], name).fired for name in names] == [4] * 20
    assert seen == [[], []]


def test_no_look_at_schedules_reads_a_table_from_end_to_end(desk: Desk) -> None:
    found: dict[str, Any] = {}

    def note(_c: Any, _u: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        if " schedules" in statement and not statement.startswith("INSERT"):
            found.setdefault(statement, values[0] if many else values)

    for engine in (desk.store.dialect.writer, desk.store.dialect.readers):
        event.listen(engine, "before_cursor_execute", note)
    desk.do(define(*(f"s-{n}" for n in range(50))))
    desk.do(fire(standing(desk, "s-1")))
    [delivery] = desk.do(claim()).deliveries
    desk.do(Settle(delivery.ref, Fault(Failure("boom")), b"digest"))
    page = desk.ask(desk.store.reader.due_schedules(FIRST, 3))
    desk.ask(desk.store.reader.due_schedules(FIRST, 3, after=page[-1]))
    desk.ask(desk.store.reader.next_due_at(FIRST))
    desk.do(Undefine("default", Kind.SCHEDULE, "s-1"))
    assert len(found) >= 7
    plans = explained(desk, found)
    assert [plan for plan in plans.values() if re.search("Seq Scan on schedules|SCAN schedules$", plan)] == []


def test_what_fires_weighs_what_its_execution_does() -> None:
    light = Fire(("default", "s"), 1, occurrence("s", FIRST), None)
    heavy = replace(light, accept=occurrence("s", FIRST, payload=b"x" * 1_000_000))
    assert weight(heavy) - weight(light) > 999_000


def test_texts_that_a_database_cannot_hold_do_not_stop_a_settlement(desk: Desk) -> None:
    desk.do(define("s"))
    desk.do(fire(standing(desk, "s")))
    [delivery] = desk.do(claim()).deliveries
    desk.do(Settle(delivery.ref, Fault(Failure("bo\ud800om")), b"digest"))
    assert standing(desk, "s").last_error == "bo?om"


def test_an_accept_that_nobody_can_keep_fails_alone(desk: Desk) -> None:
    desk.do(define("s", "t"))
    bad = fire(standing(desk, "s"))
    assert bad.accept is not None
    beyond = replace(bad, next_at=2**62)
    refused, fired = desk.each(beyond, fire(standing(desk, "t")))
    assert isinstance(refused, Exception)
    assert "next_at" in str(refused)
    assert fired.fired
    assert isinstance(fired.answer, Accepted)
    assert standing(desk, "s").fired == 0
