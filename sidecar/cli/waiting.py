"""`sidecar wait` and `sidecar watch`: until an execution ends."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli import display, documents, values
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import Shared, shared
from sidecar.client import Execution, State

Id = Annotated[str, typer.Argument(metavar="ID")]


def wait(
    context: typer.Context,
    execution_id: Id,
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=values.duration, metavar="DURATION", help="No longer than this; then exit 6."),
    ] = None,
) -> ExitCode:
    """Wait for an execution to end. Exits with 1 unless it succeeded."""
    shares = shared(context)
    with shares.client() as client:
        client.get(execution_id)  # an unknown id or an absent sidecar is told at once
        return report_end(shares, client.wait(execution_id, timeout))


def watch(context: typer.Context, execution_id: Id) -> ExitCode:
    """Show an execution and each change of it. Exits at its end, with 1 unless it succeeded."""
    shares = shared(context)
    with shares.client() as client:
        last = client.get(execution_id)
        for last in client.watch(execution_id):
            shares.output.answer(documents.execution(last), _line(last))
    return outcome(last)


def report_end(shares: Shared, record: Execution) -> ExitCode:
    """Write how an execution ended, and return what the command exits with."""
    shares.output.answer(documents.execution(record), display.execution(record))
    return outcome(record)


def outcome(record: Execution) -> ExitCode:
    """Return OK for a success, else that it failed."""
    return ExitCode.OK if record.state is State.SUCCEEDED else ExitCode.FAILED


def _line(record: Execution) -> Text:
    step = record.steps.last_started
    parts = [
        Text(f"v{record.version}", style="dim"),
        display.state_text(record.state),
        Text(f"attempt {record.attempts}" if record.attempts else "not started"),
        *([Text(f"step {step}")] if step else []),
        *([Text(f"{record.error.type}: {record.error.message}", style="red")] if record.error else []),
    ]
    return Text("  ").join(parts)
