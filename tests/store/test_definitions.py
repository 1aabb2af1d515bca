"""Definitions in the store: kept exactly, counted with each change, and never passed over unread."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decrees import Define, Defined, Effect, Undefine
from sidecar.core.definitions import (
    Concurrency,
    Deadlines,
    Definition,
    Kind,
    OverLimit,
    Queue,
    RateLimit,
    Schedule,
    Tracing,
    Webhook,
    Workflow,
    kind_of,
)
from sidecar.core.model import RetryPolicy
from sidecar.core.schedules import Timing
from sidecar.core.webhooks import Scheme, Verification
from sidecar.store.definition_texts import UnreadableDefinitionError, definition_from, definition_text
from tests.store.workbench import Desk, Sql

DURATIONS = st.timedeltas(timedelta(microseconds=1), timedelta(days=3_650))
INSTANTS = st.integers(0, 2**62)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.integers(0, 2**53)
RETRIES = st.builds(
    RetryPolicy,
    st.integers(1, 10_000),
    DURATIONS,
    DURATIONS,
    st.floats(1, 100),
    st.lists(TEXTS).map(tuple),
)
RATES = st.builds(RateLimit, COUNTS, DURATIONS, COUNTS)
COMMON = {
    "description": TEXTS,
    "queue": TEXTS,
    "retry": st.none() | RETRIES,
    "deadlines": st.builds(Deadlines, st.none() | DURATIONS, st.none() | DURATIONS, st.none() | DURATIONS),
}
LIMITS = {
    "rate": st.none() | RATES,
    "concurrency": st.builds(Concurrency, COUNTS, COUNTS, st.sampled_from(OverLimit)),
    "tracing": st.from_type(Tracing),
}
VERIFICATIONS = st.builds(
    Verification,
    st.sampled_from(Scheme),
    st.lists(TEXTS).map(tuple),
    TEXTS,
    TEXTS,
    st.sampled_from(["hex", "base64"]),
    DURATIONS,
)
TIMINGS = st.builds(
    Timing,
    TEXTS,
    TEXTS,
    st.none() | DURATIONS,
    st.none() | INSTANTS,
    st.none() | INSTANTS,
    st.none() | INSTANTS,
)
DEFINITIONS = st.one_of(
    st.builds(Workflow, TEXTS, json_schema=TEXTS, max_payload_bytes=COUNTS, **COMMON, **LIMITS),
    st.builds(Queue, TEXTS, TEXTS, COUNTS, **LIMITS),
    st.builds(Webhook, TEXTS, TEXTS, TEXTS, verification=VERIFICATIONS, wait=st.none() | DURATIONS, **COMMON),
    st.builds(Schedule, TEXTS, TEXTS, TIMINGS, payload=st.binary(), misfire_after=DURATIONS, **COMMON),
)


@given(DEFINITIONS)
def test_a_definition_is_read_as_it_was_written(definition: Definition) -> None:
    """Else applying it again would find it changed, for ever."""
    text = definition_text(definition)
    assert definition_from(kind_of(definition), text) == definition
    assert text == definition_text(definition_from(kind_of(definition), text))


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("workflow", "{", "Invalid JSON"),
        ("workflow", "{}", "it holds no workflow"),
        ("workflow", '{"queue": {"queue": "q"}}', "it holds no workflow"),
        ("workflow", '{"workflow": {"workflow_id": "w", "sources": ["moon"]}}', "workflow.sources.0"),
        ("webhook", '{"webhook": {"verification": {"scheme": "hidden"}}}', "webhook"),
        ("robot", '{"workflow": {"workflow_id": "w"}}', "'robot' is no kind that is known"),
    ],
)
def test_what_cannot_be_read_is_named_without_what_it_holds(kind: str, text: str, said: str) -> None:
    with pytest.raises(UnreadableDefinitionError) as error:
        definition_from(kind, text)
    assert said in str(error.value)
    assert "hidden" not in str(error.value)


def test_fields_of_a_later_version_are_left_out() -> None:
    text = '{"workflow": {"workflow_id": "w", "colour": "red"}, "robot": {}}'
    assert definition_from("workflow", text) == Workflow("w")


def test_whoever_knows_the_number_of_changes_is_told_of_new_ones_only(desk: Desk) -> None:
    """Deletions too: what was deleted and made anew since is news."""
    reader = desk.store.reader
    assert desk.ask(reader.definitions(-1)) == (0, [])
    desk.do(Define("default", (Workflow("w"), Queue("q"))))
    revision, found = desk.ask(reader.definitions(0))
    assert found is not None
    assert [(s.namespace, s.definition, s.revision) for s in found] == [
        ("default", Queue("q"), revision),
        ("default", Workflow("w"), revision),
    ]
    assert desk.ask(reader.definitions(revision)) == (revision, None)
    desk.do(Define("default", (Workflow("w"), Queue("q"))))
    assert desk.ask(reader.definitions(revision)) == (revision, None)
    desk.do(Undefine("default", Kind.QUEUE, "q"))
    desk.do(Define("default", (Queue("r"),)))
    later, found = desk.ask(reader.definitions(revision))
    assert found is not None
    assert (later > revision, [s.definition for s in found]) == (True, [Queue("r"), Workflow("w")])


def test_the_number_of_changes_never_comes_back(desk: Desk) -> None:
    seen = set()
    for _ in range(3):
        desk.do(Define("default", (Queue("q"),)))
        seen.add(desk.ask(desk.store.reader.definitions(-1))[0])
        desk.do(Undefine("default", Kind.QUEUE, "q"))
        seen.add(desk.ask(desk.store.reader.definitions(-1))[0])
    assert len(seen) == 6


def test_commands_of_one_commit_see_each_other(desk: Desk) -> None:
    answers = desk.each(
        Define("default", (Webhook("a", "p", "w"),)),
        Undefine("default", Kind.WEBHOOK, "a"),
        Define("other", (Webhook("b", "p", "w"),)),
        Define("default", (Webhook("a", "q", "w"),)),
    )
    assert [getattr(answer, "effects", answer) for answer in answers] == [
        ((Kind.WEBHOOK, "a", Effect.CREATED),),
        True,
        ((Kind.WEBHOOK, "b", Effect.CREATED),),
        ((Kind.WEBHOOK, "a", Effect.CREATED),),
    ]
    _, found = desk.ask(desk.store.reader.definitions(-1))
    assert found is not None
    assert [(s.namespace, s.definition) for s in found] == [
        ("default", Webhook("a", "q", "w")),
        ("other", Webhook("b", "p", "w")),
    ]


def test_a_row_that_cannot_be_read_is_told_and_repaired_by_an_apply(desk: Desk, sql: Sql) -> None:
    """What may forbid something is never passed over."""
    desk.do(Define("default", (Workflow("w", disabled=True),)))
    sql.run("UPDATE definitions SET body = '{}' WHERE name = 'w'")
    with pytest.raises(UnreadableDefinitionError, match="workflow 'w' of namespace 'default' cannot be read"):
        desk.ask(desk.store.reader.definitions(-1))
    answer = desk.do(Define("default", (Workflow("w"),)))
    assert isinstance(answer, Defined)
    _, found = desk.ask(desk.store.reader.definitions(-1))
    assert found is not None
    assert [s.definition for s in found] == [Workflow("w")]


def test_sidecars_that_define_at_once_take_turns(
    new_postgres: Callable[[], str], open_desk: Callable[..., Desk]
) -> None:
    """One of two gets the path, the other is told why, and each change has a number of its own."""
    url = new_postgres()
    desks = [open_desk(url), open_desk(url)]
    for turn in range(30):
        hook = Webhook("h", f"p{turn}", "w")
        pending = [desk.begin(Define(f"{turn}-{n}", (hook,))) for n, desk in enumerate(desks)]
        answers = [answer for each in pending for answer in each.result(30)]
        assert sorted(type(answer).__name__ for answer in answers) == ["Defined", "Refused"], answers
    both = [
        desk.begin(*(Define("all", (Queue(f"{n}-{i}"),)) for i in range(20))) for n, desk in enumerate(desks)
    ]
    assert all(isinstance(answer, Defined) for each in both for answer in each.result(30))
    revision, found = desks[0].ask(desks[0].store.reader.definitions(-1))
    assert found is not None
    assert (revision, len({stored.revision for stored in found})) == (70, 70)
