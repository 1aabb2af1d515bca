"""Admission: what is looked at before an execution is accepted, in one order, the first failure wins.

`screen` looks before the commit: cheap checks, no side effects. `gate` looks within it, where what is
counted cannot change meanwhile; tokens are taken last, so that no refusal leaks one.
"""

from dataclasses import dataclass
from datetime import timedelta

from sidecar.core.catalog import FREE, Cap, Rate, Rule
from sidecar.core.correlation import Source
from sidecar.core.definitions import Workflow
from sidecar.core.folio import Folio
from sidecar.core.model import Execution
from sidecar.core.ports import PayloadChecker
from sidecar.core.refusals import Reason, Refused
from sidecar.core.retry import nanos

PREPROCESSING = "preprocessing."
"""What the `error.type` of a refused execution begins with; the reason follows."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Bounds on what may come in."""

    max_payload_bytes: int = 1_048_576
    idempotency_window: timedelta = timedelta(hours=24)


def screen(
    payload: bytes,
    source: Source,
    workflow: Workflow | None,
    rule: Rule,
    limits: AdmissionLimits,
    checker: PayloadChecker,
) -> Refused | None:
    """Return why this work is refused, None if it is let in so far."""
    if rule.refusal is not None:
        return rule.refusal
    most = limits.max_payload_bytes
    if workflow is not None and workflow.max_payload_bytes:
        most = min(most, workflow.max_payload_bytes)
    if len(payload) > most:
        return _too_large(len(payload), most)
    return None if workflow is None else _unfit(payload, source, workflow, checker)


def _too_large(size: int, limit: int) -> Refused:
    return Refused(
        Reason.PAYLOAD_TOO_LARGE,
        f"payload: {size} bytes are over the limit of {limit}; keep large data elsewhere",
        {"field": "payload", "size": str(size), "limit": str(limit)},
    )


def _unfit(payload: bytes, source: Source, workflow: Workflow, checker: PayloadChecker) -> Refused | None:
    if workflow.json_schema:
        try:
            problem = checker.problem(workflow.json_schema, payload)
        except Exception as error:  # what cannot be checked is not let in
            return Refused(Reason.CHECK_FAILED, f"the payload could not be checked: {error!r:.200}")
        if problem is not None:
            return Refused(Reason.PAYLOAD_INVALID, f"payload: {problem}", {"field": "payload"})
    if workflow.sources and source not in workflow.sources:
        allowed = ", ".join(workflow.sources)
        message = f"workflow {workflow.workflow_id!r} may be set off by {allowed} only, not by {source.value}"
        return Refused(Reason.CALLER_NOT_ALLOWED, message, {"source": source.value})
    return None


def gate(folio: Folio, draft: Execution, rule: Rule) -> Refused | None:
    """Return why the limits refuse this work now, None if it is let in; then its tokens are taken."""
    if rule is FREE or not rule.counts:
        return None
    refused = (
        _over_rate(folio, draft, rule) or _over_depth(folio, draft, rule) or _over_cap(folio, draft, rule)
    )
    if refused is None:
        _take(folio, draft, rule)
    return refused


def _over_rate(folio: Folio, draft: Execution, rule: Rule) -> Refused | None:
    for rate in rule.rates:
        wait = _next_full_at(folio, draft, rate) - folio.now - _window(rate)
        if wait > 0:
            limit = rate.limit
            return Refused(
                Reason.RATE_LIMITED,
                f"{rate.scope} takes {limit.limit} in {limit.per.total_seconds():g} s; "
                f"repeat it in {wait / 1e9:.3f} s",
                {"scope": rate.scope, "limit": str(limit.limit)},
                retry_after=timedelta(microseconds=-(-wait // 1_000)),
            )
    return None


def _next_full_at(folio: Folio, draft: Execution, rate: Rate) -> int:
    """Return when the scope would be unused again after one more (generic cell rate algorithm)."""
    used_until = folio.usage.full_at.get((draft.correlation.namespace, rate.scope), 0)
    if used_until > folio.now + _window(rate):
        # More than the limit as it stands can have brought about: it was another one, or another clock.
        used_until = 0
    return max(used_until, folio.now) + nanos(rate.limit.per) // rate.limit.limit


def _window(rate: Rate) -> int:
    return nanos(rate.limit.per) // rate.limit.limit * (rate.limit.burst or rate.limit.limit)


def _over_depth(folio: Folio, draft: Execution, rule: Rule) -> Refused | None:
    queue = draft.terms.queue
    waiting = folio.usage.waiting.get((draft.correlation.namespace, queue), 0)
    if not rule.max_depth or waiting < rule.max_depth:
        return None
    message = f"queue {queue!r} holds {waiting} executions, as many as it may; repeat it later"
    return Refused(Reason.QUEUE_FULL, message, {"queue": queue, "limit": str(rule.max_depth)})


def _over_cap(folio: Folio, draft: Execution, rule: Rule) -> Refused | None:
    namespace, key = draft.correlation.namespace, draft.terms.concurrency_key
    for cap in rule.refusing:
        limit = folio.usage.open.reached(namespace, cap, key)
        if limit:
            return over_cap(cap, limit)
    return None


def over_cap(cap: Cap, limit: int) -> Refused:
    """Return the refusal of work beyond a concurrency limit."""
    message = f"{cap.scope} may have {limit} open at once, and has; repeat it later"
    return Refused(Reason.CONCURRENCY_LIMIT, message, {"scope": cap.scope, "limit": str(limit)})


def _take(folio: Folio, draft: Execution, rule: Rule) -> None:
    usage, namespace = folio.usage, draft.correlation.namespace
    for rate in rule.rates:
        usage.full_at[namespace, rate.scope] = _next_full_at(folio, draft, rate)
        usage.taken.add((namespace, rate.scope))
    lane = namespace, draft.terms.queue
    usage.waiting[lane] = usage.waiting.get(lane, 0) + 1
    usage.open.add(namespace, [cap.scope for cap in rule.caps], draft.terms.concurrency_key)
