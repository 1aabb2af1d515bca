"""The sampler: the SDK's decision, the right flags and tracestate, and what is handed on unsampled."""

from collections.abc import Sequence

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.sdk.trace.sampling import Sampler as SdkSampler
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes as SdkAttributes

from sidecar.conventions.carrier import Carrier
from sidecar.core.model import Attributes, Recording
from sidecar.core.ports import Sampling
from sidecar.telemetry.sampling import DisabledSampler, ExecutionSampler, sdk_sampler
from tests.telemetry.samples import SPAN, TRACE

ROOT = Carrier()
LEVEL_2 = "1a=1,b=2"
GIVEN: Attributes = (("sidecar.workflow.id", "w"),)
LOW, HIGH = f"{'f' * 16}{'0' * 15}1", f"{'0' * 16}{'f' * 16}"


def parent(flags: int, tracestate: str = LEVEL_2) -> Carrier:
    return Carrier(f"00-{TRACE}-{SPAN}-{flags:02x}", tracestate, "k=v")


def decide(name: str, carrier: Carrier, trace_id: str = TRACE, ratio: float = 1.0) -> Sampling:
    return ExecutionSampler(sdk_sampler(name, ratio)).decide(carrier, trace_id, "send q", GIVEN)


@pytest.mark.parametrize(
    ("name", "carrier", "recording", "flags"),
    [
        ("parentbased_always_on", ROOT, Recording.SAMPLED, 3),
        ("parentbased_always_on", parent(1), Recording.SAMPLED, 1),
        ("parentbased_always_on", parent(3), Recording.SAMPLED, 3),
        ("parentbased_always_on", parent(0), Recording.UNSAMPLED, 0),
        ("parentbased_always_on", parent(2), Recording.UNSAMPLED, 2),
        ("parentbased_always_off", ROOT, Recording.UNSAMPLED, 2),
        ("parentbased_always_off", parent(1), Recording.SAMPLED, 1),
        ("always_on", parent(0), Recording.SAMPLED, 1),
        ("always_off", parent(3), Recording.UNSAMPLED, 2),
        ("parentbased_always_on", Carrier("nonsense", "a=1"), Recording.SAMPLED, 3),
    ],
)
def test_the_decision_and_the_flags(name: str, carrier: Carrier, recording: Recording, flags: int) -> None:
    decided = decide(name, carrier)
    assert (decided.recording, decided.flags) == (recording, flags)
    assert decided.tracestate == (LEVEL_2 if carrier.tracestate == LEVEL_2 else "")
    assert decided.attributes == ()


def test_a_ratio_decides_by_the_trace_id() -> None:
    assert decide("traceidratio", ROOT, LOW, 0.5).recording is Recording.SAMPLED
    assert decide("traceidratio", parent(1), HIGH, 0.5).recording is Recording.UNSAMPLED
    assert decide("parentbased_traceidratio", ROOT, HIGH, 0.5).recording is Recording.UNSAMPLED
    assert decide("parentbased_traceidratio", parent(1), HIGH, 0.5).recording is Recording.SAMPLED


class Custom(SdkSampler):
    """A provider's own sampler, which notes what it was given."""

    def __init__(self, decision: Decision, state: TraceState | None) -> None:
        self.decision, self.state = decision, state
        self.seen: list[TraceState | None] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: SdkAttributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        context = get_current_span(parent_context).get_span_context()
        self.seen += [trace_state, context.trace_state]
        assert (kind, name, trace_id, links) == (SpanKind.PRODUCER, "send q", int(TRACE, 16), ())
        return SamplingResult(self.decision, {**(attributes or {}), "sampling.rule": "r1"}, self.state)

    def get_description(self) -> str:
        return "custom"


def test_the_sampler_sees_the_parents_tracestate_and_its_own_change_is_kept() -> None:
    custom = Custom(Decision.RECORD_AND_SAMPLE, TraceState([("ot", "th:8"), ("b", "2")]))
    decided = ExecutionSampler(custom).decide(parent(1, "1a=1,b=2"), TRACE, "send q", GIVEN)
    assert [dict(state or {}) for state in custom.seen] == [{"b": "2"}, {"b": "2"}]
    assert decided.tracestate == "ot=th:8,b=2,1a=1"
    assert decided.attributes == (("sampling.rule", "r1"),)


def test_recording_only_is_not_sampled() -> None:
    decided = ExecutionSampler(Custom(Decision.RECORD_ONLY, None)).decide(ROOT, TRACE, "send q", GIVEN)
    assert decided == Sampling(Recording.UNSAMPLED, 2, "")


def test_without_an_exporter_the_decision_is_handed_on_but_nothing_recorded() -> None:
    sampler = ExecutionSampler(sdk_sampler("always_on", 1.0), records=False)
    assert sampler.decide(parent(0), TRACE, "send q", GIVEN) == Sampling(Recording.DISABLED, 1, LEVEL_2)


def test_a_disabled_sdk_hands_on_what_came_in() -> None:
    assert DisabledSampler().decide(parent(1), TRACE, "n", GIVEN) == Sampling(Recording.DISABLED, 1, LEVEL_2)
    assert DisabledSampler().decide(ROOT, TRACE, "n", GIVEN) == Sampling(Recording.DISABLED, 2, "")
