"""What there is to read: `sidecar get`, `list`, `trace` and `verify`."""

from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli import display, documents, values
from sidecar.cli.account import account_lines, adds_up, states_line, violations_table
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import shared
from sidecar.cli.trace_tree import trace_tree
from sidecar.client import State

Id = Annotated[str, typer.Argument(metavar="ID")]
MAX_PAGE = 1_000


def get(context: typer.Context, execution_id: Id) -> ExitCode:
    """Show one execution."""
    shares = shared(context)
    with shares.client() as client:
        record = client.get(execution_id)
    shares.output.answer(documents.execution(record), display.execution(record))
    return ExitCode.OK


def list_executions(
    context: typer.Context,
    states: Annotated[
        list[State] | None,
        typer.Option("--state", parser=values.state, metavar="STATE", help="Only these; may be repeated."),
    ] = None,
    workflow: Annotated[str, typer.Option(help="Only executions of this workflow.")] = "",
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only these; may be repeated.")] = None,
    request_id: Annotated[str, typer.Option(help="Only what this request caused.")] = "",
    trace_id: Annotated[str, typer.Option(help="Only what is in this trace.")] = "",
    key: Annotated[str, typer.Option(help="Only what this idempotency key stands for.")] = "",
    external_id: Annotated[str, typer.Option(help="Only what your own queue calls this.")] = "",
    schedule: Annotated[str, typer.Option(help="Only what this schedule set off.")] = "",
    webhook: Annotated[str, typer.Option(help="Only what this webhook set off.")] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 50,
) -> ExitCode:
    """List executions, newest first, without outputs."""
    shares = shared(context)
    with shares.client() as client:
        found = client.list(
            states=states or (),
            workflow=workflow,
            execution_ids=ids or (),
            request_id=request_id,
            trace_id=trace_id,
            idempotency_key=key,
            external_id=external_id,
            schedule_id=schedule,
            webhook_id=webhook,
            page_size=min(limit, MAX_PAGE),
        )
        records = list(islice(found, limit))
    shares.output.answer([documents.execution(each) for each in records], display.executions(records))
    return ExitCode.OK


def trace(context: typer.Context, execution_id: Id) -> ExitCode:
    """Show the span tree of an execution, rebuilt from its rows."""
    shares = shared(context)
    with shares.client() as client:
        found = client.trace(execution_id)
    shares.output.answer(documents.trace(found), trace_tree(found))
    return ExitCode.OK


def verify(
    context: typer.Context,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", help="Not only in --namespace.")] = False,
) -> ExitCode:
    """Check that no outcome and no span is lost. Exits with 1 when something is wrong."""
    shares = shared(context)
    with shares.client() as client:
        found = client.verify("" if everywhere else None)
    fits = adds_up(found.account)
    wrong = len(found.violations)
    shares.output.answer(
        documents.verification(found, adds_up=fits),
        *account_lines(found.account),
        states_line(found),
        *([violations_table(found)] if wrong else []),
        Text(f"{wrong} violation{'s' if wrong != 1 else ''}", style="red" if wrong else "green"),
    )
    return ExitCode.OK if fits and not wrong else ExitCode.FAILED
