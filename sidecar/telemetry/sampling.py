"""The one sampling decision of an execution, asked of the OpenTelemetry SDK's sampler."""

import re
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBasedTraceIdRatio,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.sdk.trace.sampling import Sampler as SdkSampler
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from sidecar.conventions import trace_context
from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import RANDOM, SAMPLED, RemoteContext
from sidecar.core.model import Attributes, AttributeValue, Recording
from sidecar.core.ports import Sampling

DEFAULT_SAMPLER = "parentbased_always_on"
RATIO_SAMPLERS = frozenset({"traceidratio", "parentbased_traceidratio"})
SAMPLERS = frozenset({"always_on", "always_off", DEFAULT_SAMPLER, "parentbased_always_off"}) | RATIO_SAMPLERS

_LEVEL_1_KEY = re.compile(r"[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13}")


def sdk_sampler(name: str, ratio: float) -> SdkSampler:
    """Return the SDK's sampler of a name that OTEL_TRACES_SAMPLER may have."""
    match name:
        case "always_on":
            return ALWAYS_ON
        case "always_off":
            return ALWAYS_OFF
        case "parentbased_always_off":
            return DEFAULT_OFF
        case "traceidratio":
            return TraceIdRatioBased(ratio)
        case "parentbased_traceidratio":
            return ParentBasedTraceIdRatio(ratio)
    return DEFAULT_ON


class ExecutionSampler:
    """Implements `core.ports.Sampler`: decides at accept, for all spans of an execution.

    `records` False means that spans are never exported: the decision is made and handed on, but the
    recording is DISABLED.
    """

    def __init__(self, sampler: SdkSampler, records: bool = True) -> None:
        self._sampler = sampler
        self._records = records

    def decide(
        self, parent: Carrier, trace_id: str, name: str, attributes: Attributes, link: Carrier | None = None
    ) -> Sampling:
        """Decide whether an execution's spans are written. `parent` is empty for a new root."""
        remote = trace_context.parse(parent)
        given, shown = dict(attributes), _shown(remote)
        context = _sdk_context(remote, shown)
        result = self._sampler.should_sample(
            context, int(trace_id, 16), name, SpanKind.PRODUCER, given, _links(link), shown
        )
        sampled = result.decision is Decision.RECORD_AND_SAMPLE
        return Sampling(
            recording=self._recording(sampled),
            flags=(remote.parent.flags & RANDOM if remote else RANDOM) | (SAMPLED if sampled else 0),
            tracestate=_tracestate(remote.tracestate if remote else "", shown, result.trace_state),
            attributes=_added(result, given) if sampled else (),
        )

    def _recording(self, sampled: bool) -> Recording:
        if not self._records:
            return Recording.DISABLED
        return Recording.SAMPLED if sampled else Recording.UNSAMPLED


class DisabledSampler:
    """Implements `core.ports.Sampler` for OTEL_SDK_DISABLED: no spans; the caller's context goes on."""

    def decide(
        self, parent: Carrier, trace_id: str, name: str, attributes: Attributes, link: Carrier | None = None
    ) -> Sampling:
        """Hand on what came in."""
        del trace_id, name, attributes, link
        remote = trace_context.parse(parent)
        if remote is None:
            return Sampling(Recording.DISABLED, RANDOM, "")
        return Sampling(Recording.DISABLED, remote.parent.flags, remote.tracestate)


def _sdk_context(remote: RemoteContext | None, shown: TraceState) -> Context:
    if remote is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(_span_context(remote, shown)), Context())


def _span_context(remote: RemoteContext, shown: TraceState) -> SpanContext:
    return SpanContext(
        int(remote.parent.trace_id, 16),
        int(remote.parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(remote.parent.flags),
        trace_state=shown,
    )


def _links(link: Carrier | None) -> Sequence[Link]:
    remote = trace_context.parse(link) if link is not None else None
    return () if remote is None else (Link(_span_context(remote, _shown(remote))),)


def _shown(remote: RemoteContext | None) -> TraceState:
    """Return as much of the caller's tracestate as the SDK, whose grammar is level 1, can hold."""
    pairs = trace_context.parse_tracestate([remote.tracestate]) if remote else []
    return TraceState([pair for pair in pairs if _LEVEL_1_KEY.fullmatch(pair[0])])


def _tracestate(text: str, shown: TraceState, decided: TraceState | None) -> str:
    """Return the caller's text verbatim, unless the sampler changed what it was shown of it."""
    decided = decided or TraceState()
    if decided == shown:
        return text
    unseen = [(k, v) for k, v in trace_context.parse_tracestate([text]) if k not in shown]
    merged = [*decided.items(), *unseen][: trace_context.MAX_MEMBERS]
    return ",".join(f"{key}={value}" for key, value in merged)


def _added(result: SamplingResult, given: Mapping[str, AttributeValue]) -> Attributes:
    pairs = (result.attributes or {}).items()
    return tuple((k, v) for k, v in pairs if given.get(k) != v and isinstance(v, str | bool | int | float))
