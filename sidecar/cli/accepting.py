"""`sidecar enqueue`: have one execution accepted, and wait for it if asked."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli import values
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import Shared, shared
from sidecar.cli.waiting import report_end
from sidecar.client import Deadlines, RetryPolicy, SyncClient, SyncHandle
from sidecar.client.enqueueing import EnqueueOptions


def enqueue(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="What to run.")],
    payload: Annotated[
        str | None, typer.Option(metavar="TEXT|@FILE|-", help="Its input; `-` reads standard input.")
    ] = None,
    queue: Annotated[
        str, typer.Option(help="Where workers take it from.", show_default="the workflow's, else default")
    ] = "",
    execution_id: Annotated[str | None, typer.Option("--id", help="Its id; else one is made.")] = None,
    request_id: Annotated[str | None, typer.Option(help="The request that causes it.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key and work is accepted once.")
    ] = None,
    run_in: Annotated[
        timedelta | None,
        typer.Option(parser=values.duration, metavar="DURATION", help="Not before this time has passed."),
    ] = None,
    attempt_timeout: Annotated[
        timedelta | None, typer.Option(parser=values.duration, metavar="DURATION", help="For each attempt.")
    ] = None,
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=values.duration, metavar="DURATION", help="From accept to the end."),
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Attempts in all.", show_default="the workflow's, else 1"),
    ] = None,
    concurrency_key: Annotated[
        str | None, typer.Option(help="What limits per key count by, such as a tenant.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; exit 1 unless it succeeds.")
    ] = False,
) -> ExitCode:
    """Have one execution accepted. When this returns, it is durable."""
    data, content_type = values.payload(payload)
    options = EnqueueOptions(
        queue=queue,
        execution_id=execution_id,
        request_id=request_id,
        idempotency_key=key,
        content_type=content_type,
        run_in=run_in,
        deadlines=Deadlines(attempt=attempt_timeout, total=timeout),
        retry=None if max_attempts is None else RetryPolicy(max_attempts=max_attempts),
        concurrency_key=concurrency_key,
    )
    shares = shared(context)
    with shares.client() as client:
        handle = client.enqueue(workflow, data, **options)
        return _report(shares, client, handle, wait=wait)


def _report(shares: Shared, client: SyncClient, handle: SyncHandle, *, wait: bool) -> ExitCode:
    if wait:
        return report_end(shares, client.wait(handle.execution_id))
    document = {
        name: getattr(handle, name) for name in ("execution_id", "request_id", "trace_id", "existing")
    }
    again = " (accepted before)" if handle.existing else ""
    shares.output.answer(document, Text(handle.execution_id + again))
    return ExitCode.OK
