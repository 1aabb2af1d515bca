"""`sidecar schedule`: schedules as they stand, and what can be done about one."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli import display, documents, timetable_display, values
from sidecar.cli.documents import Document
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import Shared, shared
from sidecar.cli.schedule_creating import create
from sidecar.cli.waiting import report_end
from sidecar.client import Kind, ScheduleStatus

group = typer.Typer(
    name="schedule",
    help="Schedules: when workflows run by themselves.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
group.command("create")(create)

Id = Annotated[str, typer.Argument(metavar="ID")]
RequestId = Annotated[str, typer.Option(help="The request that causes it.")]


@group.command("list")
def list_schedules(context: typer.Context) -> ExitCode:
    """List the schedules of the namespace, by id."""
    shares = shared(context)
    with shares.client() as client:
        found = client.schedules.list(occurrences=1)
    shares.output.answer([_document(each) for each in found], timetable_display.schedules(found))
    return ExitCode.OK


@group.command("show")
def show(
    context: typer.Context,
    schedule_id: Id,
    occurrences: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="How many of the next ones to tell.")
    ] = 5,
) -> ExitCode:
    """Show how one schedule stands."""
    shares = shared(context)
    with shares.client() as client:
        [found] = client.schedules.list(schedule_id, occurrences)
    return _answer(shares, found)


@group.command("pause")
def pause(context: typer.Context, schedule_id: Id) -> ExitCode:
    """Have no occurrence fire until it is resumed. Repeating it is a success."""
    shares = shared(context)
    with shares.client() as client:
        found = client.schedules.pause(schedule_id)
    return _answer(shares, found)


@group.command("resume")
def resume(context: typer.Context, schedule_id: Id) -> ExitCode:
    """Go on with the next occurrence, and forget former failures."""
    shares = shared(context)
    with shares.client() as client:
        found = client.schedules.resume(schedule_id)
    return _answer(shares, found)


@group.command("run")
def run(
    context: typer.Context,
    schedule_id: Id,
    request_id: RequestId = "",
    key: Annotated[str, typer.Option(help="Idempotency key: the same key runs it once.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; exit 1 unless it succeeds.")
    ] = False,
) -> ExitCode:
    """Fire a schedule now, beside its timetable."""
    shares = shared(context)
    with shares.client() as client:
        fired = client.schedules.run(schedule_id, request_id=request_id, idempotency_key=key)
        if wait:
            return report_end(shares, client.wait(fired.execution.execution_id))
    record = fired.execution
    again = " (accepted before)" if fired.existing else ""
    document = {**documents.execution(record), "existing": fired.existing}
    shares.output.answer(document, Text(record.execution_id + again))
    return ExitCode.OK


@group.command("run-due")
def run_due(
    context: typer.Context,
    schedule_id: Annotated[str, typer.Argument(metavar="[ID]", help="Empty: all of the namespace.")] = "",
    request_id: RequestId = "",
    early: Annotated[
        timedelta | None,
        typer.Option(parser=values.duration, metavar="DURATION", help="Take what is due this soon as well."),
    ] = None,
) -> ExitCode:
    """Fire what is due: for those who have a cron of their own to drive the schedules."""
    shares = shared(context)
    with shares.client() as client:
        ran = client.schedules.run_due(schedule_id, request_id=request_id, early=early)
    shares.output.answer(
        {"executions": [documents.execution(each) for each in ran.executions], "skipped": ran.skipped},
        *([display.executions(ran.executions)] if ran.executions else []),
        Text(f"{len(ran.executions)} started, {ran.skipped} skipped"),
    )
    return ExitCode.OK


@group.command("delete")
def delete(context: typer.Context, schedule_id: Id) -> ExitCode:
    """Delete a schedule; what it set off goes on. Deleting what is not there is a success."""
    shares = shared(context)
    with shares.client() as client:
        deleted = client.registry.delete(Kind.SCHEDULE, schedule_id)
    words = "deleted" if deleted else "there was none"
    shares.output.answer({"schedule_id": schedule_id, "deleted": deleted}, Text(f"{schedule_id}: {words}"))
    return ExitCode.OK


def _answer(shares: Shared, status: ScheduleStatus) -> ExitCode:
    shares.output.answer(_document(status), timetable_display.schedule(status))
    return ExitCode.OK


def _document(status: ScheduleStatus) -> Document:
    return asdict(status)
