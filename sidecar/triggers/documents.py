"""Executions as JSON documents: plain values, times in ISO 8601, no field left out, no payload."""

import base64
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sidecar.core.model import Execution, Recording, TerminalRecord

Document = dict[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def execution(value: Execution) -> Document:
    """Return a record, its correlation on the same level as the rest."""
    terms, anchor = value.terms, value.anchor
    return {
        **_correlation(value),
        "state": value.state.lower(),
        "version": value.version,
        "queue": terms.queue,
        "attempts": value.attempts,
        "segment_index": value.segment_index,
        "accepted_at": instant(value.accepted_at),
        "run_at": instant(value.run_at),
        "started_at": instant(value.started_at),
        "timings": _timings(value),
        "cancel_requested": value.cancel is not None,
        "cancel_reason": value.cancel.reason if value.cancel else "",
        "steps": _markers(value),
        "trace_id": anchor.trace_id,
        "sampled": anchor.recording is Recording.SAMPLED,
        "idempotency_key": terms.idempotency_key,
        "retry_of": terms.retry_of,
        "concurrency_key": terms.concurrency_key,
        "dispatch": terms.dispatch.value,
        **_outcome(value, value.terminal),
    }


def output(value: Execution) -> Document:
    """Return the output of a success, as text where it is text, else in base64."""
    content = value.terminal.output if value.terminal else None
    if content is None:
        return {"output": None}
    try:
        return {"output": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"output": None, "output_base64": base64.b64encode(content).decode("ascii")}


def instant(at: int | None) -> str | None:
    """Return nanoseconds since the epoch as ISO 8601, None staying absent."""
    if at is None:
        return None
    return (_EPOCH + timedelta(microseconds=at // 1_000)).isoformat().replace("+00:00", "Z")


def _correlation(value: Execution) -> Document:
    correlation = value.correlation
    return {**asdict(correlation), "scheduled_for": instant(correlation.scheduled_for)}


def _timings(value: Execution) -> Document:
    return {name.removesuffix("_ns"): spent / 1e9 for name, spent in asdict(value.timings).items()}


def _markers(value: Execution) -> Document:
    started, completed = value.last_started, value.last_completed
    return {
        "last_started": started.name if started else None,
        "last_started_at": instant(started.at if started else None),
        "last_completed": completed.name if completed else None,
        "last_completed_at": instant(completed.at if completed else None),
    }


def _outcome(value: Execution, record: TerminalRecord | None) -> Document:
    """Return how it ended; each field is null while it has not."""
    failure = record.failure if record else None
    return {
        "outcome": value.state.lower() if record else None,
        "finalized_at": instant(record.finalized_at) if record else None,
        "finalization_path": record.path.value if record else None,
        "minimal": record.minimal if record else None,
        "output_content_type": record.output_content_type if record else None,
        "output_missing": record.output_missing if record else False,
        "error": {"type": failure.type, "message": failure.message} if failure else None,
    }
