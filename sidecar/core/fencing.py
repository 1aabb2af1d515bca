"""Fenced leases: who holds one, and what the others are told."""

from sidecar.core.commands import LeaseRef
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import State
from sidecar.core.model import Attempt, Event, Execution, Key
from sidecar.core.refusals import Reason, Refused


def unknown(key: Key) -> Refused:
    """Refuse what names no execution."""
    namespace, execution_id = key
    return Refused(
        Reason.EXECUTION_NOT_FOUND,
        f"no execution {execution_id!r} in namespace {namespace!r}",
        {"execution_id": execution_id, "namespace": namespace},
    )


def holder(folio: Folio, ref: LeaseRef) -> tuple[Execution, Attempt] | Refused:
    """Return the execution and attempt whose live lease `ref` proves, or why it does not."""
    execution = folio.executions.get(ref.key)
    if execution is None:
        return unknown(ref.key)
    attempt = execution.attempt
    if (
        execution.state is State.RUNNING
        and attempt is not None
        and attempt.fence == ref.fence
        and attempt.token == ref.token
    ):
        return execution, attempt
    return late(execution, ref)


def late(execution: Execution, ref: LeaseRef) -> Refused:
    """Say why this lease no longer counts, with the record as it stands."""
    metadata = {"execution_id": ref.key[1], "state": execution.state.value, "fence": str(ref.fence)}
    if execution.is_terminal:
        return Refused(
            Reason.ALREADY_FINALIZED,
            f"execution {ref.key[1]!r} is {execution.state} already; its record stands",
            metadata,
            execution,
        )
    return Refused(
        Reason.LEASE_LOST,
        f"the lease on execution {ref.key[1]!r} (fence {ref.fence}) was lost; it is {execution.state} "
        f"with fence {execution.fence} now",
        metadata,
        execution,
    )


def refuse_late(folio: Folio, execution: Execution, ref: LeaseRef, what: str) -> Refused:
    """Refuse a completion that came too late, and keep that it came, if there ever was such a lease."""
    refused = late(execution, ref)
    if ref.fence <= execution.fence:
        detail = (("what", what), ("fence", ref.fence), ("reason", refused.reason.value))
        folio.events.append(Event(execution.key, "late_completion", folio.now, detail))
    folio.conflicts += 1
    return refused
