"""Executions as people read them: one in full, many as a table."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.table import Table
from rich.text import Text

from sidecar.client import Execution, State

_STYLES = {
    State.QUEUED: "dim",
    State.RUNNING: "blue",
    State.PAUSED: "magenta",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
}


def execution(record: Execution) -> Table:
    """Return one execution, a line for each thing that is known of it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(record):
        table.add_row(name, plain(value))
    return table


def executions(records: Iterable[Execution]) -> Table:
    """Return many executions as a table, newest first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("EXECUTION", "WORKFLOW", "STATE", "ATTEMPTS", "ACCEPTED", "TOOK", "ERROR"):
        table.add_column(name, no_wrap=True, justify="right" if name == "TOOK" else "left")
    for record in records:
        table.add_row(*map(plain, _row(record)))
    return table


def plain(value: str | Text) -> Text:
    """Return a value as text in which brackets are no markup."""
    return Text(value) if isinstance(value, str) else value


def state_text(state: State) -> Text:
    """Return a state in its colour."""
    return Text(state, style=_STYLES.get(state, ""))


def clock(at: datetime | None) -> str:
    """Return a time in UTC to the millisecond, `-` when there is none."""
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}Z" if at else "-"


def took(start: datetime | None, end: datetime | None) -> str:
    """Return the time from start to end in the unit that suits it."""
    if start is None or end is None:
        return "-"
    seconds = (end - start).total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _row(record: Execution) -> tuple[str | Text, ...]:
    return (
        record.execution_id,
        record.correlation.workflow_id,
        state_text(record.state),
        str(record.attempts),
        clock(record.accepted_at),
        took(record.accepted_at, record.finalized_at),
        record.error.type if record.error else "",
    )


def _facts(record: Execution) -> Iterator[tuple[str, str | Text]]:
    ids, steps = record.correlation, record.steps
    yield "execution", record.execution_id
    yield "workflow", f"{ids.workflow_id} (queue {record.queue})"
    yield "state", state_text(record.state)
    yield from _present(("request", ids.request_id), ("trace", record.trace_id))
    yield from _present(("idempotency key", record.idempotency_key), ("parent", ids.parent_execution_id))
    yield "accepted", clock(record.accepted_at)
    yield from _present(("started", clock(record.started_at) if record.started_at else ""))
    if record.finalized_at:
        yield (
            "finalized",
            f"{clock(record.finalized_at)} (after {took(record.accepted_at, record.finalized_at)})",
        )
    yield "attempts", str(record.attempts)
    yield from _present(("worker", record.worker_id), ("path", record.finalization_path))
    yield from _present(("last step started", steps.last_started), ("completed", steps.last_completed))
    yield from _ending(record)


def _ending(record: Execution) -> Iterator[tuple[str, str]]:
    if record.cancel_requested:
        yield "cancel requested", record.cancel_reason or "without a reason"
    if record.error:
        yield "error", f"{record.error.type}: {record.error.message}".rstrip(": ")
    if record.output_missing:
        yield "output", f"not kept: {record.minimal or 'over the limits'}"
    elif record.output:
        yield "output", _output(record)


def _output(record: Execution) -> str:
    try:
        value = record.value()
    except ValueError:
        value = record.output
    if isinstance(value, bytes):
        return f"{len(value)} bytes of {record.output_content_type or 'unknown type'}"
    return json.dumps(value, ensure_ascii=False)


def _present(*pairs: tuple[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in pairs if value)
