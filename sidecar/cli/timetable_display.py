"""Schedules as people read them: many as a table, one in full."""

from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from sidecar.cli.display import clock, plain
from sidecar.client import ScheduleStatus


def schedules(statuses: Iterable[ScheduleStatus]) -> Table:
    """Return many schedules as a table, by id."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("SCHEDULE", "WORKFLOW", "WHEN", "NEXT", "FIRED", "SKIPPED", "STATE"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("FIRED", "SKIPPED") else "left")
    for status in statuses:
        table.add_row(*map(plain, _row(status)))
    return table


def schedule(status: ScheduleStatus) -> Table:
    """Return one schedule, a line for each thing that is known of it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(status):
        table.add_row(name, plain(value))
    return table


def _row(status: ScheduleStatus) -> tuple[str | Text, ...]:
    following = status.next_occurrences
    return (
        status.schedule_id,
        status.workflow_id,
        status.timing,
        clock(following[0] if following else None),
        str(status.fired),
        str(status.skipped),
        _state(status),
    )


def _state(status: ScheduleStatus) -> Text:
    if status.paused:
        return Text("paused", style="yellow")
    if status.stopped_reason:
        return Text(status.stopped_reason, style="red")
    return Text("on", style="green") if status.next_occurrences else Text("over", style="dim")


def _facts(status: ScheduleStatus) -> Iterator[tuple[str, str | Text]]:
    yield "schedule", status.schedule_id
    if status.description:
        yield "description", status.description
    yield "workflow", status.workflow_id + (f" (queue {status.queue})" if status.queue else "")
    yield "when", status.timing
    yield "state", _state(status)
    yield "policies", f"misfire {status.misfire}, overlap {status.overlap}"
    if status.max_failures or status.failures:
        limit = f", stops at {status.max_failures}" if status.max_failures else ""
        yield "failures in a row", f"{status.failures}{limit}"
    yield "fired", f"{status.fired}, skipped {status.skipped}"
    if status.last_execution_id:
        yield "last", f"{status.last_execution_id} for {clock(status.last_scheduled_for)}"
    for name, at in zip(("next", *[""] * 100), status.next_occurrences, strict=False):
        yield name, clock(at)
