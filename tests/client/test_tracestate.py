"""The tracestate of level 2 as OpenTelemetry's API, SDK and propagator see it."""

import copy

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from sidecar.client.tracestate import Level2TraceState

TEXT = "0vendor=a,tenant@1=b,known=c"


def test_it_holds_what_the_apis_own_type_drops() -> None:
    state = Level2TraceState.read(TEXT)
    assert dict(state) == {"0vendor": "a", "tenant@1": "b", "known": "c"}
    assert (list(state.keys()), list(state.values())) == (["0vendor", "tenant@1", "known"], ["a", "b", "c"])
    assert (len(state), "0vendor" in state, "other" in state, state.get("other")) == (3, True, False, None)
    assert "{key=0vendor, value=a}" in repr(state)
    assert (state == Level2TraceState.read(TEXT), state == Level2TraceState.read("known=c")) == (True, False)
    assert copy.deepcopy(state).to_header() == TEXT


@pytest.mark.parametrize(("text", "header"), [(" a=1 , b=2", " a=1 , b=2"), ("a=1,A=2", ""), ("", "")])
def test_it_is_written_as_it_came_and_not_at_all_if_malformed(text: str, header: str) -> None:
    assert Level2TraceState.read(text).to_header() == header


def test_a_change_puts_the_member_first_and_leaves_the_rest() -> None:
    state = Level2TraceState.read(TEXT)
    assert state.add("2new", "x").to_header() == f"2new=x,{TEXT}"
    assert state.update("known", "y").to_header() == "known=y,0vendor=a,tenant@1=b"
    assert state.delete("0vendor").to_header() == "tenant@1=b,known=c"
    assert state.to_header() == TEXT


def test_a_change_that_is_invalid_changes_nothing() -> None:
    state = Level2TraceState.read(TEXT)
    full = Level2TraceState([(f"k{n}", "v") for n in range(32)])
    assert state.add("known", "y") is state
    assert state.add("Bad", "y") is state
    assert state.update("known", "a,b") is state
    assert state.delete("other") is state
    assert full.add("one-more", "v") is full
    assert full.update("one-more", "v") is full
    assert full.update("k9", "w").to_header().startswith("k9=w,k0=v")


def test_what_another_has_goes_behind_its_own_within_the_bound() -> None:
    mine = Level2TraceState([("known", "new"), *((f"k{n}", "v") for n in range(30))])
    both = mine.completed_by(Level2TraceState.read(TEXT))
    assert list(both)[:1] + list(both)[-1:] == ["known", "0vendor"]
    assert (len(both), both["known"]) == (32, "new")


def test_the_sdks_spans_keep_it_and_the_stock_propagator_writes_all_of_it() -> None:
    parent = SpanContext(
        1, 2, is_remote=True, trace_flags=TraceFlags(3), trace_state=Level2TraceState.read(TEXT)
    )
    context = trace.set_span_in_context(NonRecordingSpan(parent))
    provider = TracerProvider()
    carrier: dict[str, str] = {}
    with provider.get_tracer("user").start_as_current_span("child", context) as span:
        propagate.inject(carrier)
        changed: TraceState = span.get_span_context().trace_state.update("mine", "1")
    provider.shutdown()
    assert carrier["tracestate"] == TEXT
    assert changed.to_header() == f"mine=1,{TEXT}"
