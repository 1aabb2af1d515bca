"""`sidecar schedule create`: one schedule defined from the command line."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli import values
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import shared
from sidecar.client import Deadlines, NewSchedule, RetryPolicy


class Misfire(StrEnum):
    """What becomes of occurrences that passed while no sidecar looked."""

    RUN_ONCE = "run_once"
    SKIP = "skip"
    RUN_ALL = "run_all"


class Overlap(StrEnum):
    """What becomes of an occurrence while the former one's execution has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"


def moment(text: str) -> datetime:
    """Return a time such as `2026-12-24T18:00:00Z`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is not a time with its zone such as 2026-12-24T18:00:00Z")
    return found


def create(
    context: typer.Context,
    schedule_id: Annotated[str, typer.Argument(metavar="ID")],
    workflow: Annotated[str, typer.Option(help="What to run.")],
    cron: Annotated[
        str, typer.Option(metavar="'M H D M W'", help="Five fields, or an alias such as @daily.")
    ] = "",
    zone: Annotated[str, typer.Option(help="IANA time zone of --cron.", show_default="UTC")] = "",
    every: Annotated[
        timedelta | None, typer.Option(parser=values.duration, metavar="DURATION", help="At an interval.")
    ] = None,
    once: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="At one time, with its zone.")
    ] = None,
    payload: Annotated[
        str | None, typer.Option(metavar="TEXT|@FILE|-", help="Its input; `-` reads standard input.")
    ] = None,
    queue: Annotated[
        str, typer.Option(help="Where workers take it from.", show_default="the workflow's, else default")
    ] = "",
    misfire: Annotated[
        Misfire, typer.Option(help="What passed while no sidecar looked: the latest runs, none, or all.")
    ] = Misfire.RUN_ONCE,
    misfire_limit: Annotated[
        int, typer.Option(min=1, max=1_000, metavar="N", help="With `run_all`: the latest so many.")
    ] = 100,
    misfire_after: Annotated[
        timedelta | None,
        typer.Option(
            parser=values.duration,
            metavar="DURATION",
            help="How late is still on time.",
            show_default="1m",
        ),
    ] = None,
    overlap: Annotated[
        Overlap, typer.Option(help="While the former one goes on: run beside it, not at all, or after it.")
    ] = Overlap.ALLOW,
    max_failures: Annotated[
        int, typer.Option(min=0, metavar="N", help="Stop after so many failures in a row; 0: never.")
    ] = 0,
    max_attempts: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Attempts in all.", show_default="the workflow's, else 1"),
    ] = None,
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=values.duration, metavar="DURATION", help="From accept to the end."),
    ] = None,
    expect_within: Annotated[
        timedelta | None,
        typer.Option(
            parser=values.duration,
            metavar="DURATION",
            help="An outside cron runs it: what nobody begins in this time fails as missed.",
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> ExitCode:
    """Define a schedule, or change the one with this id. Repeating it changes nothing."""
    given = [name for name, value in (("cron", cron), ("every", every), ("once", once)) if value]
    if len(given) != 1:
        raise typer.BadParameter(f"give exactly one of --cron, --every and --once, not {len(given)}")
    data, content_type = values.payload(payload)
    schedule = NewSchedule(
        schedule_id=schedule_id,
        workflow=workflow,
        cron=cron,
        zone=zone,
        every=every,
        once=once,
        payload=data or b"",
        content_type=content_type or "",
        queue=queue,
        misfire=misfire,
        misfire_limit=misfire_limit,
        misfire_after=misfire_after,
        overlap=overlap,
        max_failures=max_failures,
        retry=None if max_attempts is None else RetryPolicy(max_attempts=max_attempts),
        deadlines=None if timeout is None else Deadlines(total=timeout),
        expect_within=expect_within,
        description=description,
    )
    return _apply(context, schedule)


def _apply(context: typer.Context, schedule: NewSchedule) -> ExitCode:
    shares = shared(context)
    with shares.client() as client:
        [change] = client.registry.apply([schedule.definition()])
    document = {"schedule_id": change.name, "change": change.change}
    shares.output.answer(document, Text(f"{change.name}: {change.change}"))
    return ExitCode.OK
