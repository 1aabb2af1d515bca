"""Anchoring: an execution's place in its trace, decided once: continue, link, or begin anew."""

from dataclasses import replace

from sidecar.conventions import names
from sidecar.conventions.baggage import combine
from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import SAMPLED, parse, without_threshold
from sidecar.core.correlation import Correlation
from sidecar.core.definitions import Propagation, SamplingRule
from sidecar.core.model import Anchor, Recording
from sidecar.core.ports import Ids, Sampler, Sampling

_NOTHING = Carrier()


class Anchoring:
    """Allocates the ids of a trace and has its sampling decided."""

    def __init__(self, ids: Ids, sampler: Sampler) -> None:
        self._ids = ids
        self._sampler = sampler

    def anchor(
        self,
        correlation: Correlation,
        queue: str,
        carrier: Carrier,
        propagation: Propagation,
        rule: SamplingRule,
    ) -> Anchor:
        """Return the anchor of a new execution, given the caller's context."""
        remote = None if propagation is Propagation.IGNORE else parse(carrier)
        is_linked = propagation is Propagation.LINK
        link = Carrier(carrier.traceparent, carrier.tracestate) if is_linked and remote else None
        parent = remote.parent if remote and not is_linked else None
        trace_id = parent.trace_id if parent else self._ids.trace_id()
        sampling = self._sampling(correlation, queue, trace_id, carrier if parent else _NOTHING, link, rule)
        return Anchor(
            trace_id=trace_id,
            send_span_id=self._ids.span_id(),
            terminal_span_id=self._ids.span_id(),
            parent_span_id=parent.span_id if parent else None,
            flags=sampling.flags,
            tracestate=sampling.tracestate,
            baggage="" if propagation is Propagation.IGNORE else combine([carrier.baggage]),
            recording=sampling.recording,
            sampler_attributes=sampling.attributes,
            link=link,
        )

    def _sampling(
        self,
        correlation: Correlation,
        queue: str,
        trace_id: str,
        parent: Carrier,
        link: Carrier | None,
        rule: SamplingRule,
    ) -> Sampling:
        ids = (names.EXECUTION_ID, correlation.execution_id), (names.WORKFLOW_ID, correlation.workflow_id)
        sampling = self._sampler.decide(parent, trace_id, f"send {queue}", ids, link)
        if rule is SamplingRule.INHERIT or sampling.recording is not Recording.UNSAMPLED:
            return sampling
        # The threshold says with which probability a trace was sampled: it no longer does.
        return replace(
            sampling,
            recording=Recording.SAMPLED,
            flags=sampling.flags | SAMPLED,
            tracestate=without_threshold(sampling.tracestate),
        )
