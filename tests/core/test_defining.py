"""Defining, on an open folio: all or nothing, held against what stands, schedules along with it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core import defining
from sidecar.core.commands import Command
from sidecar.core.decrees import Define, Defined, Effect, Undefine
from sidecar.core.definitions import Definition, Kind, Queue, Schedule, Webhook, Workflow
from sidecar.core.refusals import Reason, Refused
from sidecar.core.schedules import Standing, Timing
from tests.core.desk import Desk

DAILY, HOURLY = Timing(cron="0 0 * * *"), Timing(every=timedelta(hours=1))
KEY = ("default", "s")


def schedule(timing: Timing = DAILY, description: str = "") -> Schedule:
    return Schedule("s", "audit", timing, description)


def define(desk: Desk, *definitions: Definition, first: int | None = 7, **fields: bool) -> Defined:
    names = [d.schedule_id for d in definitions if isinstance(d, Schedule)]
    answer = desk.do(Define("default", definitions, tuple((name, first) for name in names), **fields))
    assert isinstance(answer, Defined), answer
    return answer


def effects(answer: Defined) -> list[Effect]:
    return [effect for _, _, effect in answer.effects]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_change_raises_the_revision_once(desk: Desk) -> None:
    define(desk, Workflow("w"), Queue("q"))
    assert desk.folio.registry_revision == 1
    define(desk, Workflow("w", disabled=True), Queue("q"))
    assert desk.folio.registry_revision == 2
    revisions = {key[2]: stored.revision for key, stored in desk.folio.definitions.items()}
    assert revisions == {"w": 2, "q": 1}
    desk.do(Undefine("default", Kind.QUEUE, "q"))
    assert desk.folio.registry_revision == 3


def test_what_is_as_it_was_is_not_written(desk: Desk) -> None:
    define(desk, Workflow("w"))
    desk.folio.changed_definitions.clear()
    assert effects(define(desk, Workflow("w"))) == [Effect.UNCHANGED]
    assert (desk.folio.changed_definitions, desk.folio.registry_revision) == ({}, 1)


def test_a_dry_run_leaves_the_folio_alone(desk: Desk) -> None:
    define(desk, Workflow("w"), schedule())
    before = repr(desk.folio)
    assert effects(define(desk, schedule(HOURLY), prune=True, dry_run=True)) == [
        Effect.UPDATED,
        Effect.DELETED,
    ]
    assert repr(desk.folio) == before


def test_a_refused_one_leaves_the_folio_alone(desk: Desk) -> None:
    define(desk, Webhook("a", "p", "w"))
    before = repr(desk.folio)
    refused = desk.do(Define("default", (Queue("q"), Webhook("b", "p", "w"))))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DEFINITION_CONFLICT
    assert repr(desk.folio) == before


def test_a_path_that_goes_in_the_same_apply_is_free(desk: Desk) -> None:
    define(desk, Webhook("a", "p", "w"))
    assert effects(define(desk, Webhook("b", "p", "w"), prune=True)) == [Effect.CREATED, Effect.DELETED]


def test_others_conflicts_are_not_mine(desk: Desk) -> None:
    """What two others have done to each other does not keep anybody from defining a queue."""
    define(desk, Webhook("a", "p", "w"))
    stored = desk.folio.definitions["default", Kind.WEBHOOK, "a"]
    desk.folio.definitions["other", Kind.WEBHOOK, "a"] = stored
    assert effects(define(desk, Queue("q"))) == [Effect.CREATED]


def test_a_schedule_begins_with_its_first_occurrence(desk: Desk) -> None:
    define(desk, schedule(), first=42)
    standing = desk.folio.standings[KEY]
    assert (standing.next_at, standing.paused, standing.failures) == (42, False, 0)
    assert desk.folio.changed_standings == {KEY: standing}


def test_a_changed_timetable_begins_anew_and_all_else_stays(desk: Desk) -> None:
    define(desk, schedule())
    standing = desk.folio.standings[KEY]
    standing.failures, standing.last_error, standing.fired, standing.paused = 3, "timeout", 9, True
    version = standing.version
    define(desk, schedule(HOURLY), first=99)
    begun_anew = Standing(KEY, 99, paused=True, fired=9, version=version + 1)
    assert standing == begun_anew


def test_the_same_timetable_goes_on_where_it_was(desk: Desk) -> None:
    define(desk, schedule(), first=42)
    standing = desk.folio.standings[KEY]
    standing.failures = 3
    desk.folio.changed_standings.clear()
    assert effects(define(desk, schedule(description="new"), first=99)) == [Effect.UPDATED]
    assert (standing.next_at, standing.failures) == (42, 3)
    assert desk.folio.changed_standings == {}


def test_a_schedule_without_a_standing_gets_one(desk: Desk) -> None:
    define(desk, schedule())
    desk.folio.standings.clear()
    assert effects(define(desk, schedule(), first=5)) == [Effect.UNCHANGED]
    assert desk.folio.standings[KEY].next_at == 5


def test_a_removed_schedule_takes_its_standing_along(desk: Desk) -> None:
    removals: tuple[Command[Any], ...] = (
        Define("default", (), prune=True),
        Undefine("default", Kind.SCHEDULE, "s"),
    )
    for remove in removals:
        define(desk, schedule())
        desk.do(remove)
        assert (desk.folio.standings, desk.folio.changed_standings) == ({}, {})
        assert desk.folio.removed_standings == {KEY}
        assert desk.folio.removed_definitions == {("default", Kind.SCHEDULE, "s")}


def test_what_was_read_of_a_removed_schedule_fits_no_later_one(desk: Desk) -> None:
    define(desk, schedule())
    former = desk.folio.standings[KEY].version
    desk.do(Undefine("default", Kind.SCHEDULE, "s"))
    desk.pass_time(1)
    define(desk, schedule())
    assert desk.folio.standings[KEY].version not in (former, Standing(KEY, None).version)
    assert desk.folio.removed_standings == set()


def many(count: int, text: str = "") -> Iterable[Workflow]:
    return (Workflow(f"w{n}", json_schema=text) for n in range(count))


@pytest.mark.parametrize(("count", "text"), [(5, ""), (2, "x" * 600)])
def test_a_namespace_has_bounds(desk: Desk, monkeypatch: pytest.MonkeyPatch, count: int, text: str) -> None:
    """Invariant 7: also for what comes in little by little."""
    monkeypatch.setattr(defining, "MAX_DEFINITIONS", 4)
    monkeypatch.setattr(defining, "MAX_CHARACTERS", 4_000)
    *some, last = many(count, text * 4)
    for each in some:
        define(desk, each)
    refused = desk.do(Define("default", (last,)))
    assert isinstance(refused, Refused)
    assert refused.metadata == {"field": "definitions"}
    define(desk, last, prune=True)
