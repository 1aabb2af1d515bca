"""The command line: its shared options, its commands, and the one place where errors become exit codes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from typing import Annotated

import typer

from sidecar.cli import (
    accepting,
    applying,
    cancelling,
    defining,
    exit_codes,
    finding,
    inspecting,
    running,
    scheduling,
    serving,
    spooling,
    versioning,
    waiting,
)
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import PATIENCE, Shared, shared
from sidecar.cli.output import Output
from sidecar.cli.problems import problem_of
from sidecar.cli.values import duration
from sidecar.client.channel import DEFAULT_NAMESPACE, DEFAULT_TARGET, TARGET_VARIABLE

JSON_FLAG = "--json"

HELP = """Durable background executions whose outcome and trace cannot be lost.

`serve` runs a sidecar; every other command talks to one through its API.

Exit codes:

\b
"""

app = typer.Typer(
    name="sidecar",
    help=HELP + exit_codes.table(),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

for command in (
    serving.serve,
    accepting.enqueue,
    inspecting.get,
    inspecting.list_executions,
    finding.find,
    cancelling.cancel,
    waiting.wait,
    waiting.watch,
    inspecting.trace,
    inspecting.verify,
    applying.apply,
    defining.definitions,
    defining.undefine,
    versioning.version,
):
    app.command("list" if command is inspecting.list_executions else command.__name__)(command)
app.command("run", context_settings={"allow_interspersed_args": False})(running.run)
app.add_typer(scheduling.group)
app.add_typer(spooling.group)


@app.callback()
def _shared(
    context: typer.Context,
    target: Annotated[
        str, typer.Option(envvar=TARGET_VARIABLE, help="Address of the sidecar.")
    ] = DEFAULT_TARGET,
    namespace: Annotated[
        str, typer.Option(envvar="SIDECAR_NAMESPACE", help="Whose executions are meant.")
    ] = DEFAULT_NAMESPACE,
    as_json: Annotated[
        bool, typer.Option(JSON_FLAG, help="One JSON document on standard output, errors as JSON on stderr.")
    ] = False,
    patience: Annotated[
        timedelta,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            help="How long to try while no sidecar answers.",
            show_default="5s",
        ),
    ] = PATIENCE,
) -> None:
    shares = shared(context)
    shares.target, shares.namespace, shares.patience = target, namespace, patience
    shares.output = replace(shares.output, as_json=as_json)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    line = _json_first(arguments)
    shares = Shared(Output(as_json=line[:1] == [JSON_FLAG]))
    try:
        code = app(line, prog_name="sidecar", standalone_mode=False, obj=shares)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except Exception as error:
        problem = problem_of(error, shares.target)
        if problem is None:
            raise
        shares.output.problem(problem)
        return problem.exit_code
    return int(code or ExitCode.OK)


def _json_first(arguments: Sequence[str]) -> list[str]:
    """Let `--json` stand anywhere before `--`, as it belongs to every command."""
    own = list(takewhile(lambda argument: argument != "--", arguments))
    if JSON_FLAG not in own:
        return list(arguments)
    return [JSON_FLAG, *(argument for argument in own if argument != JSON_FLAG), *arguments[len(own) :]]
