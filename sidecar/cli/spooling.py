"""`sidecar spool`: what wrapped commands could not tell a sidecar, to look at and to tell now."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from sidecar.cli.documents import Document
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import Shared, shared
from sidecar.cli.running import SpoolOption
from sidecar.client.channel import Connection
from sidecar.client.flushing import Flush, Flushed
from sidecar.client.spool import Found, Spool, SpoolError, default_folder

FLUSH_SECONDS = 300.0

group = typer.Typer(
    name="spool",
    help="What could not be told to a sidecar: list it, or tell it now.",
    rich_markup_mode=None,
    add_completion=False,
)


@group.callback(invoke_without_command=True)
def spool(context: typer.Context, spool: SpoolOption = None) -> ExitCode | None:
    """List what is kept: how old, how large, and what it is of."""
    kept = Spool(spool or _default_folder())
    context.meta[__name__] = kept
    if context.invoked_subcommand is not None:
        return None
    found = kept.look()
    now = datetime.now(UTC)
    total = sum(each.size for each in found)
    shared(context).output.answer(
        {
            "folder": str(kept.folder),
            "files": len(found),
            "bytes": total,
            "executions": [_document(each, now) for each in found],
        },
        *([_table(found, now)] if found else []),
        Text(f"{len(found)} file{'s' * (len(found) != 1)}, {total} bytes in {kept.folder}"),
    )
    return ExitCode.OK


@group.command()
def flush(
    context: typer.Context,
    everyones: Annotated[
        bool, typer.Option("--all", help="Tell --target also what was meant for other sidecars.")
    ] = False,
) -> ExitCode:
    """Tell the sidecar what is kept for it. Exits with 1 if something had to be set aside."""
    shares = shared(context)
    kept: Spool = context.meta[__name__]
    connection = Connection(shares.target)
    patience = shares.patience.total_seconds()
    flushed = Flush(kept, connection, patience=patience, everyones=everyones).run(FLUSH_SECONDS)
    connection.io.block(connection.close())
    _report(shares, flushed)
    if flushed.stopped_by is not None:
        raise flushed.stopped_by
    return ExitCode.FAILED if flushed.set_aside else ExitCode.OK


def _default_folder() -> Path:
    try:
        return default_folder(os.environ)
    except SpoolError as error:
        raise typer.BadParameter(str(error), param_hint="--spool") from None


def _report(shares: Shared, flushed: Flushed) -> None:
    document: Document = {
        "delivered": list(flushed.delivered),
        "left": [{"file": str(path), "reason": reason} for path, reason in flushed.left],
        "set_aside": [{"file": str(path), "reason": reason} for path, reason in flushed.set_aside],
    }
    lines = [
        *(f"left {path}: {reason}" for path, reason in flushed.left),
        *(f"set aside {path}: {reason}" for path, reason in flushed.set_aside),
        f"{len(flushed.delivered)} told, {len(flushed.left)} left, {len(flushed.set_aside)} set aside",
    ]
    shares.output.answer(document, *map(Text, lines))


def _document(found: Found, now: datetime) -> Document:
    told = found.told
    return {
        "file": str(found.path),
        "bytes": found.size,
        "age_seconds": _age(found, now),
        "what": _what(found),
        "execution_id": told.execution_id if told else "",
        "workflow_id": told.register.item.workflow_id if told else "",
        "target": told.target if told else "",
        "problem": found.problem,
    }


def _table(found: list[Found], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("AGE", "BYTES", "WORKFLOW", "EXECUTION", "WHAT", "FILE"):
        table.add_column(name, no_wrap=True)
    for each in found:
        document = _document(each, now)
        texts = (document["workflow_id"], document["execution_id"], each.problem or document["what"])
        table.add_row(f"{_age(each, now)}s", str(each.size), *map(str, texts), each.path.name)
    return table


def _age(found: Found, now: datetime) -> int:
    """Return since when it has been waiting, in seconds."""
    return max(0, int((now - (found.told.registered_at if found.told else found.changed_at)).total_seconds()))


def _what(found: Found) -> str:
    if found.told is None:
        return "unreadable"
    if found.path.suffix != ".json":
        return "set aside"
    if found.held:
        return "running"
    settlement = found.told.settlement
    return (settlement.WhichOneof("outcome") or "ended") if settlement is not None else "broken off"
