"""From rows to the model: positional, in the order of the column groups."""

from collections.abc import Sequence
from typing import Any

from sidecar.core.correlation import Correlation, Source
from sidecar.core.lifecycle import State
from sidecar.core.model import (
    Anchor,
    Attempt,
    CancelRequest,
    Dispatch,
    Execution,
    Failure,
    Marker,
    Path,
    Recording,
    Resource,
    Step,
    TerminalRecord,
    Terms,
    Timings,
)
from sidecar.store.columns import Columns
from sidecar.store.executions import (
    ACCEPTANCE,
    ANCHOR,
    CORRELATION,
    LEASED,
    OUTCOME,
    PROGRESS,
    STANDING,
    TERMS,
)
from sidecar.store.texts import attributes_from, duration_from, link_from, retry_from, style_from

AnyRow = Sequence[Any]


def _cut(*groups: Columns) -> list[slice]:
    ends = [sum(map(len, groups[: i + 1])) for i in range(len(groups))]
    return [slice(end - len(group), end) for end, group in zip(ends, groups, strict=True)]


_CORRELATION, _ANCHOR, _TERMS, _ACCEPTANCE, _STANDING, _LEASED, _PROGRESS, _OUTCOME = _cut(
    CORRELATION, ANCHOR, TERMS, ACCEPTANCE, STANDING, LEASED, PROGRESS, OUTCOME
)
# A look-up in a dict costs a quarter of a call of the enumeration.
_STATES = {state.value: state for state in State}
_SOURCES = {source.value: source for source in Source}
_RECORDINGS = {recording.value: recording for recording in Recording}
_DISPATCHES = {dispatch.value: dispatch for dispatch in Dispatch}
BARE = _OUTCOME.stop
"""How many columns a row has that comes without its payload."""


def execution_of(row: AnyRow) -> Execution:
    """Return the execution of a row; without a payload column it has none."""
    accepted_at, sent_at, send_outbox_id = row[_ACCEPTANCE]
    run_at, state, since, version, segment, attempts, lost, fence = row[_STANDING]
    progress = row[_PROGRESS]
    lease, _, started_at, resource, minimal, last_span, asked_at, grace, reason = progress[:9]
    started, when_started, completed, when_completed, open_steps, steps = progress[9:15]
    outcome = row[_OUTCOME]
    return Execution(
        correlation=_correlation(row[_CORRELATION]),
        anchor=_anchor(row[_ANCHOR]),
        terms=_terms(row[_TERMS], row[BARE] if len(row) > BARE else b""),
        accepted_at=accepted_at,
        run_at=run_at,
        sent_at=sent_at,
        state=_STATES[state],
        state_since=since,
        version=version,
        segment_index=segment,
        attempts=attempts,
        deliveries_lost=lost,
        fence=fence,
        attempt=_leased(row[_LEASED]),
        lease_expires_at=lease,
        started_at=started_at,
        start_resource_id=resource,
        start_minimal=minimal,
        last_span_id=last_span,
        cancel=None if asked_at is None else CancelRequest(asked_at, grace, reason),
        last_started=None if started is None else Marker(started, when_started),
        last_completed=None if completed is None else Marker(completed, when_completed),
        open_steps=open_steps,
        steps=steps,
        timings=Timings(*progress[15:]),
        terminal=None if outcome[0] is None else _terminal(outcome),
        send_outbox_id=send_outbox_id,
        terminal_outbox_id=outcome[-2],
    )


def _correlation(row: AnyRow) -> Correlation:
    values = list(row)
    values[6], values[14] = _SOURCES[row[6]], bool(row[14])
    return Correlation(*values)


def _anchor(row: AnyRow) -> Anchor:
    values = [*row[:7], _RECORDINGS[row[7]], attributes_from(row[8]), link_from(row[9])]
    return Anchor(*values)


def _terms(row: AnyRow, payload: bytes) -> Terms:
    queue, content_type, fingerprint, retry, timeout, queue_deadline, deadline, key, retry_of = row[:9]
    dispatch, concurrency_key, style = row[9:]
    return Terms(
        queue=queue,
        payload=payload,
        content_type=content_type,
        fingerprint=fingerprint,
        retry=retry_from(retry),
        attempt_timeout=duration_from(timeout),
        queue_deadline_at=queue_deadline,
        deadline_at=deadline,
        idempotency_key=key,
        retry_of=retry_of,
        dispatch=_DISPATCHES[dispatch],
        concurrency_key=concurrency_key,
        style=style_from(style),
    )


def _leased(row: AnyRow) -> Attempt | None:
    if row[0] is None:
        return None
    attempt = Attempt(*row[:11])
    attempt.outbox_id = row[11]
    return attempt


def _failure(row: AnyRow) -> Failure | None:
    return None if row[0] is None else Failure(*row)


def _terminal(row: AnyRow) -> TerminalRecord:
    return TerminalRecord(
        finalized_at=row[0],
        path=Path(row[1]),
        output=row[10],
        output_content_type=row[2] or "",
        output_missing=bool(row[3]),
        failure=_failure(row[4:7]),
        minimal=row[7],
        digest=row[8],
    )


def attempt_of(row: AnyRow) -> Attempt:
    """Return the ended attempt of a row, which begins with its execution's key."""
    values = [*row[2:14], _failure(row[14:17]), *row[17:]]
    return Attempt(*values)


def step_of(row: AnyRow) -> Step:
    """Return the step of a row, which begins with its execution's key."""
    return Step(*row[2:])


def resource_of(row: AnyRow) -> Resource:
    """Return the resource of a row."""
    return Resource(row[0], attributes_from(row[1]), row[2])
