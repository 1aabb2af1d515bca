"""Where an execution's trace begins, what it links to, and how its spans are written."""

from dataclasses import replace

import pytest

from sidecar.ambient import RandomIds
from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import RANDOM, SAMPLED
from sidecar.core.anchoring import Anchoring
from sidecar.core.catalog import Rule
from sidecar.core.commands import Accept, Success
from sidecar.core.correlation import Correlation
from sidecar.core.definitions import Propagation, Queue, SamplingRule, Tracing, Workflow
from sidecar.core.facts import Role
from sidecar.core.model import Anchor, Recording
from sidecar.core.spans import send_span
from sidecar.core.style import LiveParent, SettlementLogs, Style, TerminalSpan
from sidecar.telemetry.sampling import DisabledSampler, ExecutionSampler, sdk_sampler
from tests.core.catalogs import defined
from tests.core.desk import TERMS, Desk, draft

TRACE, SPAN = "a" * 32, "b" * 16
IDS = Correlation("default", "e1", "r1", "audit", "e1")


def caller(flags: str = "01", tracestate: str = "x=1", baggage: str = "k=v;p=1") -> Carrier:
    return Carrier(f"00-{TRACE}-{SPAN}-{flags}", tracestate, baggage)


def anchored(
    carrier: Carrier,
    propagation: Propagation = Propagation.CONTINUE,
    rule: SamplingRule = SamplingRule.INHERIT,
    sampler: str = "parentbased_always_on",
) -> Anchor:
    anchoring = Anchoring(RandomIds(), ExecutionSampler(sdk_sampler(sampler, 1.0)))
    return anchoring.anchor(IDS, "default", carrier, propagation, rule)


def test_by_default_the_callers_trace_goes_on() -> None:
    anchor = anchored(caller("03"))
    assert (anchor.trace_id, anchor.parent_span_id, anchor.link) == (TRACE, SPAN, None)
    assert (anchor.flags, anchor.tracestate, anchor.baggage) == (SAMPLED | RANDOM, "x=1", "k=v;p=1")


def test_a_link_begins_a_trace_of_its_own_that_names_the_caller() -> None:
    """A new root: sampled as one, with the random flag, and `send` links to the caller."""
    anchor = anchored(caller("00"), Propagation.LINK)
    assert anchor.trace_id != TRACE
    assert anchor.parent_span_id is None
    assert (anchor.flags, anchor.tracestate) == (SAMPLED | RANDOM, "")
    assert anchor.recording is Recording.SAMPLED, "an unsampled caller does not decide for a new root"
    assert anchor.link == Carrier(caller("00").traceparent, "x=1")
    execution = replace(draft("e1", 0), anchor=anchor)
    (link,) = send_span(execution).links
    assert (link.trace_id, link.span_id, link.tracestate) == (TRACE, SPAN, "x=1")
    assert link.attributes == (("sidecar.link.kind", "caller"),)


def test_who_is_ignored_leaves_nothing() -> None:
    anchor = anchored(caller(), Propagation.IGNORE)
    assert anchor.trace_id != TRACE
    assert (anchor.parent_span_id, anchor.link, anchor.tracestate, anchor.baggage) == (None, None, "", "")


@pytest.mark.parametrize("propagation", Propagation)
def test_without_a_valid_context_a_trace_begins(propagation: Propagation) -> None:
    anchor = anchored(Carrier("00-zz", "x=1", "k=v"), propagation)
    assert (anchor.parent_span_id, anchor.link, anchor.tracestate) == (None, None, "")
    assert anchor.flags == SAMPLED | RANDOM


def test_always_samples_what_the_caller_did_not_and_claims_no_threshold() -> None:
    anchor = anchored(caller("02", "ot=th:c;rv:0123456789abcd,x=1"), rule=SamplingRule.ALWAYS)
    assert (anchor.trace_id, anchor.recording) == (TRACE, Recording.SAMPLED)
    assert anchor.flags == SAMPLED | RANDOM
    assert anchor.tracestate == "ot=rv:0123456789abcd,x=1"
    assert anchored(caller("02"), rule=SamplingRule.INHERIT).recording is Recording.UNSAMPLED


def test_always_writes_nothing_where_spans_are_disabled() -> None:
    anchoring = Anchoring(RandomIds(), DisabledSampler())
    anchor = anchoring.anchor(IDS, "default", caller("00"), Propagation.CONTINUE, SamplingRule.ALWAYS)
    assert (anchor.recording, anchor.flags) == (Recording.DISABLED, 0)


def test_what_a_workflow_leaves_open_its_queue_decides() -> None:
    queue = Tracing(Propagation.LINK, LiveParent.START, SamplingRule.ALWAYS, TerminalSpan.SUMMARY)
    own = Tracing(propagation=Propagation.IGNORE, settlement_logs=SettlementLogs.ALL)
    rule = defined(Workflow("audit", tracing=own), Queue("q", tracing=queue)).rule("default", "q", "audit")
    assert (rule.propagation, rule.sampling) == (Propagation.IGNORE, SamplingRule.ALWAYS)
    assert rule.style == Style(LiveParent.START, TerminalSpan.SUMMARY, SettlementLogs.ALL)
    assert defined(Queue("q", tracing=queue)).rule("default", "other", "audit") == Rule()


def test_a_live_parent_is_exported_with_the_claim_and_named_by_the_carrier() -> None:
    desk = Desk()
    execution = desk.accept(terms=replace(TERMS, style=Style(LiveParent.START)))
    delivery = desk.claim(execution)
    (span,) = desk.spans(Role.START)
    attempt = delivery.execution.attempt
    assert attempt is not None
    assert attempt.parent_span_id == attempt.live_span_id == span.span_id
    assert span.name == "start audit"
    assert span.parent_span_id == execution.anchor.send_span_id
    assert span.resource_id == attempt.resource_id
    assert desk.spans(Role.ATTEMPT) == []
    desk.settle(delivery, Success())
    assert [s.span_id for s in desk.spans(Role.ATTEMPT)] == [attempt.span_id]
    assert len(desk.spans(Role.START)) == 1


def test_a_summary_is_short_and_says_the_durations() -> None:
    desk = Desk()
    execution = desk.accept(terms=replace(TERMS, style=Style(terminal_span=TerminalSpan.SUMMARY)))
    delivery = desk.claim(execution)
    desk.pass_time(3600)
    desk.settle(delivery, Success())
    (span,) = desk.spans(Role.TERMINAL)
    assert (span.start_at, span.end_at) == (desk.folio.now, desk.folio.now)
    assert dict(span.attributes)["sidecar.duration.running"] == 3600.0


@pytest.mark.parametrize("recording", [Recording.SAMPLED, Recording.UNSAMPLED])
@pytest.mark.parametrize("logs", SettlementLogs)
def test_settlement_logs_are_left_by_those_that_should(recording: Recording, logs: SettlementLogs) -> None:
    desk = Desk()
    execution = draft("e1", 0, recording, replace(TERMS, style=Style(settlement_logs=logs)))
    desk.do(Accept(execution))
    desk.settle(desk.claim(desk.folio.executions["default", "e1"]), Success())
    wanted = logs is SettlementLogs.ALL or (
        logs is SettlementLogs.UNSAMPLED and recording is Recording.UNSAMPLED
    )
    assert len(desk.logs()) == wanted
    assert len(desk.spans(Role.TERMINAL)) == (recording is Recording.SAMPLED)
