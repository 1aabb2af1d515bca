"""Admission: one order, durable refusals, and limits that nobody's refusal uses up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.core.admission import AdmissionLimits, screen
from sidecar.core.catalog import FREE, Cap, Rate, Rule
from sidecar.core.commands import Accept, Accepted, Claim
from sidecar.core.correlation import Source
from sidecar.core.definitions import UNLIMITED, Concurrency, OverLimit, RateLimit, Workflow
from sidecar.core.enqueue import Request, fingerprint
from sidecar.core.facts import Role
from sidecar.core.fold import claim
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution, Path, RetryPolicy, Terms
from sidecar.core.refusals import Reason, Refused, retry_after
from tests.core.catalogs import defined
from tests.core.desk import TERMS, WORKER, Desk, draft

DISABLED = Refused(Reason.WORKFLOW_DISABLED, "workflow 'audit' is disabled")
SLOW = RateLimit(2, timedelta(seconds=10))
REFUSING = Cap("queue:default", 1, 0, OverLimit.REFUSE)
WAITING = Cap("queue:default", 1, 0, OverLimit.WAIT)


class Checker:
    """Finds what it is told to find."""

    def __init__(self, problem: str | None = None, broken: bool = False) -> None:
        self._problem, self._broken = problem, broken

    def problem(self, schema: str, payload: bytes) -> str | None:
        assert (schema, payload) == ("{}", b"five!")
        if self._broken:
            raise RuntimeError("no memory")
        return self._problem

    def schema_problem(self, schema: str) -> str | None:
        raise AssertionError(f"a stored schema {schema!r} is sound")


def asked(desk: Desk, execution_id: str, rule: Rule = FREE, key: str | None = None) -> Accepted | Refused:
    terms = replace(TERMS, concurrency_key=key)
    return offer(desk, execution_id, terms, Accept(draft(execution_id, desk.folio.now), rule=rule))


def offer(desk: Desk, execution_id: str, terms: Terms, command: Accept) -> Accepted | Refused:
    execution = draft(execution_id, desk.folio.now, terms=terms)
    answer = desk.do(replace(command, execution=execution))
    assert isinstance(answer, Accepted | Refused)
    return answer


def taken(answer: Accepted | Refused) -> Execution:
    assert isinstance(answer, Accepted), answer
    return answer.execution


def refused(answer: Accepted | Refused) -> Refused:
    assert isinstance(answer, Refused), answer
    return answer


@pytest.mark.parametrize(
    ("workflow", "rule", "checker", "reason"),
    [
        (
            Workflow("w", disabled=True, max_payload_bytes=1),
            Rule(refusal=DISABLED),
            Checker(),
            "WORKFLOW_DISABLED",
        ),
        (Workflow("w", max_payload_bytes=3, json_schema="{}"), FREE, Checker("no"), "PAYLOAD_TOO_LARGE"),
        (Workflow("w", json_schema="{}", sources=(Source.WEBHOOK,)), FREE, Checker("no"), "PAYLOAD_INVALID"),
        (Workflow("w", json_schema="{}"), FREE, Checker(broken=True), "CHECK_FAILED"),
        (Workflow("w", json_schema="{}", sources=(Source.WEBHOOK,)), FREE, Checker(), "CALLER_NOT_ALLOWED"),
    ],
)
def test_the_first_check_that_fails_decides(
    workflow: Workflow, rule: Rule, checker: Checker, reason: str
) -> None:
    """ADM-1: known and enabled, then the payload, then the caller; what cannot be checked is not let in."""
    found = screen(b"five!", Source.WORKFLOW, workflow, rule, AdmissionLimits(), checker)
    assert found is not None
    assert found.reason == reason


def test_what_fits_is_let_in() -> None:
    workflow = Workflow("w", json_schema="{}", max_payload_bytes=5, sources=(Source.WORKFLOW,))
    assert screen(b"five!", Source.WORKFLOW, workflow, FREE, AdmissionLimits(), Checker()) is None


def test_a_refusal_is_a_settled_record_with_its_span() -> None:
    """ADM-2: durable, FAILED, with the reason as its `error.type`; never queued."""
    desk = Desk()
    command = Accept(draft("e1", desk.folio.now), refusal=DISABLED)
    answer = refused(offer(desk, "e1", replace(TERMS, idempotency_key="k"), command))
    record = desk.folio.executions["default", "e1"]
    assert answer.execution is record
    assert answer.metadata["execution_id"] == "e1"
    assert record.state is State.FAILED
    assert record.terminal is not None
    assert record.terminal.path is Path.REJECTED
    assert record.terminal.failure is not None
    assert record.terminal.failure.type == "preprocessing.workflow_disabled"
    assert [span.role for span in desk.spans(Role.SEND) + desk.spans(Role.TERMINAL)] == [
        Role.SEND,
        Role.TERMINAL,
    ]
    assert desk.folio.new_keys == [], "the key of refused work is free for the repeat that is let in"


def test_a_repeat_of_a_refused_id_is_refused_as_the_first_was() -> None:
    desk = Desk()
    first = refused(offer(desk, "e1", TERMS, Accept(draft("e1", 0), refusal=DISABLED)))
    desk.pass_time(5)
    again = refused(offer(desk, "e1", TERMS, Accept(draft("e1", 0))))
    assert (again.reason, again.message, again.execution) == (first.reason, first.message, first.execution)
    assert len(desk.spans(Role.TERMINAL)) == 1


def test_a_payload_that_is_too_large_is_not_kept() -> None:
    desk = Desk()
    large = Refused(Reason.PAYLOAD_TOO_LARGE, "too large")
    offer(desk, "e1", replace(TERMS, payload=b"x" * 100), Accept(draft("e1", 0), refusal=large))
    assert desk.folio.executions["default", "e1"].terms.payload == b""


def test_a_rate_lets_a_burst_in_and_then_one_at_a_time() -> None:
    desk = Desk()
    rule = Rule(rates=(Rate("workflow:audit", SLOW),))
    assert isinstance(asked(desk, "e1", rule), Accepted)
    assert isinstance(asked(desk, "e2", rule), Accepted)
    answer = refused(asked(desk, "e3", rule))
    assert answer.reason is Reason.RATE_LIMITED
    assert answer.retry_after == timedelta(seconds=5)
    desk.pass_time(5)
    assert isinstance(asked(desk, "e4", rule), Accepted)
    assert refused(asked(desk, "e5", rule)).retry_after == timedelta(seconds=5)


def test_a_burst_smaller_than_the_limit() -> None:
    desk = Desk()
    rule = Rule(rates=(Rate("workflow:audit", RateLimit(10, timedelta(seconds=10), burst=1)),))
    assert isinstance(asked(desk, "e1", rule), Accepted)
    assert refused(asked(desk, "e2", rule)).retry_after == timedelta(seconds=1)


def test_a_later_refusal_leaks_no_token_and_a_repeat_takes_none() -> None:
    """ADM-1: what takes a token or slot comes last."""
    desk = Desk()
    rule = Rule(rates=(Rate("workflow:audit", SLOW),), max_depth=1)
    desk.folio.usage.waiting["default", "default"] = 1
    assert refused(asked(desk, "e1", rule)).reason is Reason.QUEUE_FULL
    assert desk.folio.usage.taken == set()
    desk.folio.usage.waiting.clear()
    taken(asked(desk, "e2", rule))
    used = dict(desk.folio.usage.full_at)
    assert used
    assert taken(asked(desk, "e2", rule)).key == ("default", "e2")
    assert desk.folio.usage.full_at == used


def test_the_rate_is_looked_at_before_the_depth_and_the_depth_before_the_slots() -> None:
    desk = Desk()
    desk.folio.usage.waiting["default", "default"] = 1
    desk.folio.usage.open.add("default", ["queue:default"], None)
    full = Rule(rates=(Rate("w", RateLimit(1, timedelta(days=1))),), max_depth=1, caps=(REFUSING,))
    desk.folio.usage.full_at["default", "w"] = desk.folio.now + 86_400 * 10**9
    assert refused(asked(desk, "e1", full)).reason is Reason.RATE_LIMITED
    assert refused(asked(desk, "e2", replace(full, rates=()))).reason is Reason.QUEUE_FULL
    assert refused(asked(desk, "e3", Rule(caps=(REFUSING,)))).reason is Reason.CONCURRENCY_LIMIT


def test_slots_count_within_one_commit() -> None:
    desk = Desk()
    rule = Rule(caps=(REFUSING,))
    taken(asked(desk, "e1", rule))
    assert refused(asked(desk, "e2", rule)).reason is Reason.CONCURRENCY_LIMIT


def test_a_limit_by_key_counts_each_key_alone() -> None:
    desk = Desk()
    rule = Rule(caps=(Cap("queue:default", 0, 1, OverLimit.REFUSE),))
    taken(asked(desk, "e1", rule, key="a"))
    taken(asked(desk, "e2", rule, key="b"))
    taken(asked(desk, "e3", rule))
    taken(asked(desk, "e4", rule))
    assert refused(asked(desk, "e5", rule, key="a")).reason is Reason.CONCURRENCY_LIMIT


def claimed(
    desk: Desk, *executions: Execution, disabled: bool = False, concurrency: Concurrency = UNLIMITED
) -> list[str]:
    catalog = defined(Workflow("audit", disabled=disabled, concurrency=concurrency))
    command = Claim("default", "w1", WORKER, ("default",), ("audit",), len(executions), catalog)
    answer = claim(desk.folio, command, executions)
    return [delivery.execution.correlation.execution_id for delivery in answer.deliveries]


def test_a_workflow_that_was_disabled_meanwhile_is_refused_at_the_claim() -> None:
    """ADM-3: the same record and the same correlation as at the accept."""
    desk = Desk()
    execution = desk.accept("e1")
    correlation = execution.correlation
    desk.pass_time(1)
    assert claimed(desk, execution, disabled=True) == []
    assert execution.state is State.FAILED
    assert execution.correlation is correlation
    assert execution.terminal is not None
    assert execution.terminal.path is Path.REJECTED
    assert execution.terminal.failure is not None
    assert execution.terminal.failure.type == "preprocessing.workflow_disabled"
    assert isinstance(desk.do(Accept(draft("e1", 0))), Accepted), "its accept stands: it was let in then"


def test_what_a_limit_holds_back_stays_queued_or_is_refused_as_it_says() -> None:
    desk = Desk()
    executions = [desk.accept(f"e{n}") for n in range(3)]
    waits = Concurrency(limit=1)
    assert claimed(desk, *executions, concurrency=waits) == ["e0"]
    assert [e.state for e in executions] == [State.RUNNING, State.QUEUED, State.QUEUED]
    assert claimed(desk, *executions[1:], concurrency=replace(waits, over_limit=OverLimit.REFUSE)) == []
    assert [e.state for e in executions] == [State.RUNNING, State.FAILED, State.FAILED]


def test_of_each_key_as_many_run_as_may() -> None:
    desk = Desk()
    keys = ["a", "a", "b", None, "b", None]
    terms = [replace(TERMS, concurrency_key=key) for key in keys]
    executions = [desk.accept(f"e{n}", terms=t) for n, t in enumerate(terms)]
    assert claimed(desk, *executions, concurrency=Concurrency(per_key=1)) == ["e0", "e2", "e3", "e5"]


def test_a_relaxed_rate_forgets_what_only_the_old_one_forbade() -> None:
    desk = Desk()
    daily = Rule(rates=(Rate("w", RateLimit(1, timedelta(days=1))),))
    taken(asked(desk, "e1", daily))
    assert refused(asked(desk, "e2", daily)).reason is Reason.RATE_LIMITED
    relaxed = Rule(rates=(Rate("w", RateLimit(10, timedelta(seconds=10))),))
    for n in range(10):
        taken(asked(desk, f"r{n}", relaxed))
    assert refused(asked(desk, "e3", relaxed)).retry_after == timedelta(seconds=1)


def test_a_refusal_told_again_promises_nothing() -> None:
    """Only new work may be let in later: the repeat of a settled one never is."""
    desk = Desk()
    busy = Refused(Reason.QUEUE_FULL, "full")
    first = refused(offer(desk, "e1", TERMS, Accept(draft("e1", 0), refusal=busy)))
    again = refused(offer(desk, "e1", TERMS, Accept(draft("e1", 0))))
    assert retry_after(first) == timedelta(seconds=1)
    assert retry_after(again) is None


def test_a_delivery_is_the_same_work_whatever_its_webhook_says_meanwhile() -> None:
    """A redelivery after the webhook was changed is no conflict; another body is."""
    first = Request("default", "audit", payload=b"{}", webhook_id="hook", source=Source.WEBHOOK)
    changed = replace(first, workflow_id="other", queue="fast", retry=RetryPolicy(max_attempts=5))
    assert fingerprint(first) == fingerprint(changed)
    assert fingerprint(first) != fingerprint(replace(first, payload=b"[]"))
    assert fingerprint(first) != fingerprint(replace(first, webhook_id="another"))
    asked_twice = Request("default", "audit", payload=b"{}")
    assert fingerprint(asked_twice) != fingerprint(replace(asked_twice, queue="fast"))
