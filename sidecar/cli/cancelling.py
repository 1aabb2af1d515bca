"""`sidecar cancel`: settle what is not running, ask the worker of what is."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli import documents, values
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import shared
from sidecar.client.calls import Cancellation


def cancel(
    context: typer.Context,
    execution_id: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Kept with the execution and given to its worker.")] = "",
    grace: Annotated[
        timedelta | None,
        typer.Option(
            parser=values.duration, metavar="DURATION", help="How long a running worker has to react."
        ),
    ] = None,
) -> ExitCode:
    """Cancel an execution. Repeating it is a success; one that has ended refuses it (exit 4)."""
    shares = shared(context)
    with shares.client() as client:
        found = client.cancel(execution_id, reason, grace)
    document = {
        "settled": found.settled,
        "worker_told": found.worker_told,
        "execution": documents.execution(found.execution),
    }
    shares.output.answer(document, Text(f"{execution_id}: {_words(found)}"))
    return ExitCode.OK


def _words(found: Cancellation) -> str:
    if found.settled:
        return "cancelled"
    if found.worker_told:
        return "its worker was told; `sidecar wait` shows how it ends"
    return "asked for; its worker is not connected here and learns of it later, or the grace period runs out"
