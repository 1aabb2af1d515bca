"""The accept: an execution and its anchor become durable, once per id and per key; so do refused ones."""

from dataclasses import replace
from datetime import timedelta

from sidecar.core import spans
from sidecar.core.admission import PREPROCESSING, gate
from sidecar.core.commands import Accept, Accepted, Plan
from sidecar.core.finalizer import Verdict, finalize
from sidecar.core.folio import Folio, IdempotencyKey
from sidecar.core.lifecycle import Move
from sidecar.core.model import Execution, Failure, Path, Recording, Terms, Timings
from sidecar.core.refusals import Reason, Refused
from sidecar.core.retry import nanos


def accept(folio: Folio, command: Accept) -> Accepted | Refused:
    """Create the execution, or return the first one that the id or the key stands for."""
    draft = command.execution
    first = folio.executions.get(draft.key)
    if first is not None:
        return _again(
            draft, first, Reason.EXECUTION_ID_CONFLICT, "execution id", draft.correlation.execution_id
        )
    key = draft.terms.idempotency_key
    if key is not None:
        holder = _holder(folio, draft.correlation.namespace, key)
        if holder is not None:
            return _again(draft, holder, Reason.IDEMPOTENCY_CONFLICT, "idempotency key", key)
    refused = command.refusal or gate(folio, draft, command.rule)
    if refused is not None:
        return _reject(folio, draft, command.plan, refused)
    if key is not None:
        _remember(folio, draft, key, command.key_ttl)
    return Accepted(_create(folio, draft, command.plan), existing=False)


def _reject(folio: Folio, draft: Execution, plan: Plan, refused: Refused) -> Refused:
    """Keep the refused work as a settled record. Its key stays free: a repeat may be let in."""
    if refused.reason is Reason.PAYLOAD_TOO_LARGE:
        draft = replace(draft, terms=replace(draft.terms, payload=b""))
    execution = _create(folio, draft, plan)
    return reject(folio, execution, refused)


def reject(folio: Folio, execution: Execution, refused: Refused) -> Refused:
    """Settle work that is not let in, about to be queued or handed out; tell it with its record."""
    failure = Failure(f"{PREPROCESSING}{refused.reason.lower()}", refused.message)
    finalize(folio, execution, Verdict(Move.FAIL, Path.REJECTED, failure=failure))
    return _told(refused, execution)


def _told(refused: Refused, execution: Execution) -> Refused:
    ids = {"execution_id": execution.correlation.execution_id}
    return replace(refused, metadata={**refused.metadata, **ids}, execution=execution)


def _holder(folio: Folio, namespace: str, key: str) -> Execution | None:
    """Return whom the key still stands for: its window is open, or its execution has not ended."""
    known = folio.keys.get((namespace, key))
    if known is None:
        return None
    holder = folio.executions.get((namespace, known.execution_id))
    if holder is None or (holder.is_terminal and known.expires_at <= folio.now):
        return None
    return holder


def _again(draft: Execution, first: Execution, reason: Reason, what: str, value: str) -> Accepted | Refused:
    """Answer a repeat as the first was answered, and refuse other work under the same name."""
    if draft.terms.fingerprint == first.terms.fingerprint:
        record = first.terminal
        if record is not None and record.path is Path.REJECTED and record.finalized_at == first.sent_at:
            return replace(_told(_refusal_of(record.failure), first), is_repeat=True)
        return Accepted(first, existing=True)
    return Refused(
        reason,
        f"the {what} {value!r} was used for other work (workflow, queue, payload or policy differ)",
        {"execution_id": first.correlation.execution_id},
        first,
    )


def _refusal_of(failure: Failure | None) -> Refused:
    told = failure or Failure(f"{PREPROCESSING}{Reason.CHECK_FAILED.lower()}")
    return Refused(Reason(told.type.removeprefix(PREPROCESSING).upper()), told.message)


def _remember(folio: Folio, draft: Execution, key: str, ttl: timedelta) -> None:
    namespace, execution_id = draft.key
    record = IdempotencyKey(namespace, key, execution_id, draft.terms.fingerprint, folio.now + nanos(ttl))
    folio.keys[namespace, key] = record
    folio.new_keys.append(record)


def _create(folio: Folio, draft: Execution, plan: Plan) -> Execution:
    """Open a record of its own: the command stays as it came, as its commit may have to be repeated.

    Every time on it is by the lease clock, which alone decides later whether one has passed.
    """
    waited = 0.0 if plan.arrived is None else max(0.0, folio.ticks - plan.arrived)
    accepted_at = folio.now - int(waited * 1e9)
    run_at = max(folio.now, plan.run_at or 0) + nanos(plan.run_in)
    execution = replace(
        draft,
        terms=_terms(draft.terms, plan, accepted_at, run_at),
        accepted_at=accepted_at,
        sent_at=folio.now,
        state_since=folio.now,
        run_at=run_at,
        timings=Timings(),
    )
    folio.create(execution)
    if execution.anchor.recording is Recording.SAMPLED:
        folio.emit(spans.send_span(execution), execution)
    return execution


def _terms(terms: Terms, plan: Plan, accepted_at: int, run_at: int) -> Terms:
    if plan.in_queue is None and plan.total is None:
        return terms
    return replace(
        terms,
        queue_deadline_at=None if plan.in_queue is None else run_at + nanos(plan.in_queue),
        deadline_at=None if plan.total is None else accepted_at + nanos(plan.total),
    )
