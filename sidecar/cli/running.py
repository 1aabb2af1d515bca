"""`sidecar run`: wrap any command, such as a cron job, so that its outcome and its trace are kept."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.cli import values, verdict
from sidecar.cli.commanding import Commander, Ended
from sidecar.cli.leftovers import Leftovers
from sidecar.cli.options import Shared, shared
from sidecar.cli.recording import Expectation, Recording, environment_of, name_of
from sidecar.cli.tailing import MAX_LINES
from sidecar.client.channel import Connection
from sidecar.client.errors import SidecarError
from sidecar.client.failures import message_of, plain, type_of
from sidecar.client.spool import VARIABLE, Spool, SpoolError, default_folder
from sidecar.client.witness import Witness
from sidecar.v1 import worker_service_pb2 as work

SpoolOption = Annotated[
    Path | None,
    typer.Option(
        envvar=VARIABLE,
        metavar="DIR",
        help="Where what cannot be told is kept.",
        show_default="~/.local/state/execution-sidecar/spool",
    ),
]
HOUR: Final = timedelta(hours=1)


def run(
    context: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND [ARGS]...", help="What to run.", show_default=False)
    ],
    workflow: Annotated[
        str, typer.Option(metavar="NAME", help="What it is known as; else the command's own name.")
    ] = "",
    queue: Annotated[str, typer.Option(help="Only a name here: nobody takes it from a queue.")] = "",
    execution_id: Annotated[str, typer.Option("--id", help="Its id; else one is made.")] = "",
    request_id: Annotated[str, typer.Option(help="The request that causes it.")] = "",
    key: Annotated[str, typer.Option(help="Idempotency key: what it stands for is recorded once.")] = "",
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=values.duration, metavar="DURATION", help="End it after this time (exit 124)."),
    ] = None,
    grace: Annotated[
        timedelta,
        typer.Option(
            parser=values.duration,
            metavar="DURATION",
            help="From SIGTERM to SIGKILL, past the timeout or when it is cancelled.",
            show_default="10s",
        ),
    ] = timedelta(seconds=10),
    expect: Annotated[
        str, typer.Option(metavar="CRON", help="When it is run from outside: what is not run then is missed.")
    ] = "",
    zone: Annotated[str, typer.Option(help="Time zone of --expect.")] = "UTC",
    schedule: Annotated[
        str, typer.Option(metavar="ID", help="Of the schedule of --expect; else run:WORKFLOW.")
    ] = "",
    expect_within: Annotated[
        timedelta,
        typer.Option(
            parser=values.duration, metavar="DURATION", help="How late it may begin.", show_default="1h"
        ),
    ] = HOUR,
    output_lines: Annotated[
        int,
        typer.Option(min=0, max=MAX_LINES, metavar="N", help="Keep the last lines of stderr with a failure."),
    ] = 0,
    spool: SpoolOption = None,
    require_sidecar: Annotated[
        bool, typer.Option("--require-sidecar", help="Run nothing that is not recorded.")
    ] = False,
) -> int:
    """Run a command, its start and its end recorded. Exits as the command does.

    It is run whether a sidecar answers or not; what cannot be told is kept in the spool and told by a
    later run, or by `sidecar spool flush`. It finds SIDECAR_EXECUTION_ID, SIDECAR_REQUEST_ID and
    TRACEPARENT in its environment. Other exit codes: 124 past its timeout, 126 or 127 if it cannot be
    started, 128 and a signal's number.
    """
    shares = shared(context)
    name = workflow or name_of(command[0])
    recording = Recording(
        target=shares.target,
        namespace=shares.namespace,
        workflow=name,
        queue=queue,
        execution_id=execution_id,
        request_id=request_id,
        key=key,
        limit=None if timeout is None else timeout + grace,
        expectation=Expectation(schedule or f"run:{name}", expect, zone, expect_within) if expect else None,
    )
    commander = Commander(command, timeout=timeout, grace=grace, tail_lines=output_lines)
    with commander:
        wrapped = _Wrapped(shares, recording, commander, _spool(spool))
        wrapped.start(required=require_sidecar)
        ended = wrapped.command()
        wrapped.end(ended, command)
    return verdict.exit_code(ended, command)


def note(line: str) -> None:
    """Tell people of a problem, in one line beside the command's own output."""
    typer.echo(f"sidecar run: {plain(line, 1_000)}", err=True)


class _Wrapped:
    """A command with its witness. Nothing that goes wrong with the witness keeps the command from running."""

    def __init__(self, shares: Shared, recording: Recording, commander: Commander, spool: Spool) -> None:
        self._connection = Connection(shares.target)
        self._commander = commander
        self._what = recording.spooled(os.environ)
        self._patience = shares.patience.total_seconds()
        self._witness = Witness(self._connection, self._what, spool, self, self._patience)
        self._leftovers = Leftovers(spool, self._connection, note)
        self._lease: work.Lease | None = None

    def note(self, line: str) -> None:
        """Hear of a problem."""
        note(line)

    def cancel(self, reason: str, grace: timedelta) -> None:
        """Hear that somebody wants it stopped."""
        self._commander.cancel(reason, grace)

    def start(self, *, required: bool) -> None:
        """Have it recorded that it begins.

        Raises:
            SidecarError: what went wrong, if it is `required`.
        """
        try:
            self._lease = self._witness.start(required=required)
        except SidecarError:
            raise
        except Exception as error:
            note(f"a fault of the wrapper's own: {type_of(error)}: {message_of(error)}")
        if self._lease is not None:
            self._leftovers.begin()

    def command(self) -> Ended:
        """Run it."""
        recorded = self._what if self._witness.is_recorded else None
        return self._commander.run(environment_of(os.environ, recorded, self._lease))

    def end(self, ended: Ended, arguments: Sequence[str]) -> None:
        """Have it recorded how it ended."""
        if ended.problem is not None:
            note(f"{arguments[0]}: {ended.problem.strerror or ended.problem}")
        try:
            self._witness.end(verdict.settlement(ended, arguments))
            self._leftovers.finish(self._patience)
            self._connection.io.block(self._connection.close())
        except Exception as error:
            note(f"a fault of the wrapper's own: {type_of(error)}: {message_of(error)}")


def _spool(folder: Path | None) -> Spool:
    try:
        return Spool(folder or default_folder(os.environ))
    except SpoolError as error:
        note(str(error))
        return Spool(Path(os.devnull) / "spool")  # where nothing can be kept
