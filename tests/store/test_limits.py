"""Limits hold in the store: counted within the commit, by all sidecars that share it, across restarts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.conventions.carrier import Carrier
from sidecar.core.catalog import Cap, Catalog, Rate, Rule
from sidecar.core.commands import Accept, Accepted, Begin, Claimed, Delivery
from sidecar.core.definitions import Concurrency, OverLimit, Queue, RateLimit, Workflow
from sidecar.core.lifecycle import State
from sidecar.core.model import Dispatch
from sidecar.core.refusals import Reason, Refused
from sidecar.core.style import LiveParent, SettlementLogs, Style, TerminalSpan
from tests.core.catalogs import defined
from tests.store.workbench import QUEUE, RESOURCE, WORKFLOW, Desk, claim, draft, success

DAY = timedelta(days=1)


def accept(rule: Rule, key: str | None = None) -> Accept:
    return Accept(draft(concurrency_key=key), rule=rule)


def reasons(answers: list[Accepted | Refused]) -> list[str]:
    return sorted(a.reason.value for a in answers if isinstance(a, Refused))


def test_a_rate_is_kept_in_the_store(desk: Desk) -> None:
    """ADM-1: the tokens that are used stay used, in one commit and in the next."""
    rule = Rule(rates=(Rate(f"workflow:{WORKFLOW}", RateLimit(3, DAY)),))
    assert reasons(desk.each(*(accept(rule) for _ in range(5)))) == ["RATE_LIMITED"] * 2
    answer = desk.do(accept(rule))
    assert isinstance(answer, Refused)
    assert answer.retry_after is not None
    assert timedelta(hours=7) < answer.retry_after <= timedelta(hours=8)


def test_a_refusal_is_in_the_store_with_its_span(desk: Desk) -> None:
    """ADM-2: what is refused is durable, terminal, and accounted for."""
    answer = desk.do(accept(Rule(rates=(Rate("w", RateLimit(1, DAY)),), max_depth=1)))
    assert isinstance(answer, Accepted)
    answer = desk.do(accept(Rule(max_depth=1)))
    assert isinstance(answer, Refused)
    assert answer.execution is not None
    record = desk.get(answer.execution.correlation.execution_id)
    assert record.state is State.FAILED
    assert record.correlation == answer.execution.correlation
    assert record.terminal is not None
    assert record.terminal.failure is not None
    assert record.terminal.failure.type == "preprocessing.queue_full"
    assert record.terminal_outbox_id is not None
    assert record.send_outbox_id is not None
    audit = desk.ask(desk.store.reader.audit(None))
    assert (audit.terminal, audit.pending, audit.breaches) == (1, 1, ())
    assert desk.do(claim(limit=10)).deliveries[0].execution.correlation.execution_id != record.key[1]


def test_the_depth_of_a_queue_counts_what_waits(desk: Desk) -> None:
    rule = Rule(max_depth=3)
    assert reasons(desk.each(*(accept(rule) for _ in range(5)))) == ["QUEUE_FULL"] * 2
    assert len(desk.do(claim(limit=2)).deliveries) == 2
    assert reasons(desk.each(*(accept(rule) for _ in range(3)))) == ["QUEUE_FULL"]


@pytest.mark.parametrize("scope", [f"queue:{QUEUE}", f"workflow:{WORKFLOW}"])
def test_a_refusing_limit_counts_what_waits_and_what_runs(desk: Desk, scope: str) -> None:
    rule = Rule(caps=(Cap(scope, 3, 0, OverLimit.REFUSE),))
    assert reasons(desk.each(*(accept(rule) for _ in range(4)))) == ["CONCURRENCY_LIMIT"]
    (delivery,) = desk.do(claim()).deliveries
    assert reasons([desk.do(accept(rule))]) == ["CONCURRENCY_LIMIT"]
    desk.do(success(delivery))
    assert isinstance(desk.do(accept(rule)), Accepted)


def claimed(desk: Desk, catalog: Catalog, limit: int = 10) -> Claimed:
    return desk.do(replace(claim(limit), catalog=catalog))


@pytest.mark.parametrize(
    "definition",
    [Queue(QUEUE, concurrency=Concurrency(limit=2)), Workflow(WORKFLOW, concurrency=Concurrency(limit=2))],
)
def test_as_many_run_as_may_and_the_rest_waits(desk: Desk, definition: Queue | Workflow) -> None:
    catalog = defined(definition)
    for _ in range(5):
        desk.accept()
    first = claimed(desk, catalog)
    assert len(first.deliveries) == 2
    nothing = claimed(desk, catalog)
    assert (nothing.deliveries, nothing.exhausted) == ((), True)
    desk.do(success(first.deliveries[0]))
    assert len(claimed(desk, catalog).deliveries) == 1


def test_a_full_key_does_not_stand_in_the_way_of_others(desk: Desk) -> None:
    """A head of many with one key: those behind it are found all the same."""
    catalog = defined(Queue(QUEUE, concurrency=Concurrency(per_key=1)))
    for key in ["a"] * 30 + ["b", None, "b"]:
        desk.accept(concurrency_key=key)
    taken: list[str | None] = []
    answer = claimed(desk, catalog, 4)
    while answer.deliveries or not answer.exhausted:
        taken += [d.execution.terms.concurrency_key for d in answer.deliveries]
        answer = claimed(desk, catalog, 4)
    assert taken == ["a", "b", None]


def test_a_workflow_disabled_meanwhile_is_refused_at_the_claim_and_its_span_committed(desk: Desk) -> None:
    """ADM-3: looked at again at dequeue; durable with the same correlation."""
    execution = desk.accept()
    assert claimed(desk, defined(Workflow(WORKFLOW, disabled=True))).deliveries == ()
    record = desk.get(execution.correlation.execution_id)
    assert record.state is State.FAILED
    assert record.correlation == execution.correlation
    assert record.terminal_outbox_id is not None
    unknown = desk.accept()
    assert claimed(desk, defined(strict=frozenset({"default"}))).deliveries == ()
    record = desk.get(unknown.correlation.execution_id)
    assert record.terminal is not None
    assert record.terminal.failure is not None
    assert record.terminal.failure.type == "preprocessing.workflow_unknown"


def test_two_sidecars_on_one_database_keep_one_limit(
    new_postgres: Callable[[], str], open_desk: Callable[[str], Desk]
) -> None:
    """Rivals that count the same take turns: what one lets in the other sees."""
    rule = Rule(rates=(Rate("w", RateLimit(25, DAY)),))
    capped = defined(Queue(QUEUE, concurrency=Concurrency(limit=7)))
    url = new_postgres()
    desks = [open_desk(url) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: desks[n % 2].do(accept(rule)), range(60)))
        assert [isinstance(a, Accepted) for a in answers].count(True) == 25
        assert set(reasons(answers)) == {Reason.RATE_LIMITED.value}
        claims = list(pool.map(lambda n: claimed(desks[n % 2], capped, 2), range(16)))
    assert sum(len(c.deliveries) for c in claims) == 7


def test_the_spans_style_and_the_link_survive_the_store(desk: Desk) -> None:
    style = Style(LiveParent.START, TerminalSpan.SUMMARY, SettlementLogs.ALL)
    made = draft(style=style, concurrency_key="k")
    link = Carrier(f"00-{'a' * 32}-{'b' * 16}-01", "x=1,y=2")
    made = replace(made, anchor=replace(made.anchor, link=link))
    made = replace(made, correlation=replace(made.correlation, fallback=True, external_id="x-1"))
    accepted = desk.do(Accept(made))
    assert isinstance(accepted, Accepted)
    read = desk.get(made.key[1])
    assert (read.correlation, read.anchor) == (made.correlation, made.anchor)
    assert (read.terms.style, read.terms.concurrency_key) == (style, "k")
    (delivery,) = desk.do(claim()).deliveries
    attempt = desk.get(made.key[1]).attempt
    assert attempt is not None
    assert delivery.execution.attempt is not None
    assert attempt.live_span_id is not None
    assert attempt.parent_span_id == delivery.execution.attempt.live_span_id != attempt.span_id


def test_what_was_begun_outside_takes_no_place_of_a_worker(desk: Desk) -> None:
    """Limits on how many run count what workers take; what is begun by name is its owner's affair."""
    catalog = defined(Queue(QUEUE, concurrency=Concurrency(limit=1)))
    outside = desk.accept(dispatch=Dispatch.EXTERNAL)
    assert isinstance(desk.do(Begin(outside.key, "w-2", RESOURCE, catalog=catalog)), Delivery)
    desk.accept()
    assert len(claimed(desk, catalog).deliveries) == 1


def test_what_is_disabled_meanwhile_cannot_be_begun(desk: Desk) -> None:
    """ADM-3 holds for those who begin by name too."""
    outside = desk.accept(dispatch=Dispatch.EXTERNAL)
    command = Begin(outside.key, "w-2", RESOURCE, catalog=defined(Workflow(WORKFLOW, disabled=True)))
    answer = desk.do(command)
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.WORKFLOW_DISABLED
    assert desk.get(outside.key[1]).state is State.FAILED
