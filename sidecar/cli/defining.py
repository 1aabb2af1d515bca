"""`sidecar definitions` and `sidecar undefine`: what is defined, and how to be rid of it."""

from collections.abc import Iterator
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict
from rich.table import Table
from rich.text import Text

from sidecar.cli.display import clock, plain
from sidecar.cli.documents import Document
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import shared
from sidecar.client import Kind, StoredDefinition
from sidecar.v1.definitions_pb2 import Schedule


def definitions(
    context: typer.Context,
    kinds: Annotated[
        list[Kind] | None, typer.Option("--kind", metavar="KIND", help="Only these; may be repeated.")
    ] = None,
) -> ExitCode:
    """List what is defined, by kind and name; with --json in full, but for secrets."""
    shares = shared(context)
    with shares.client() as client:
        found = client.registry.list(*(kinds or ()))
    shares.output.answer([_document(each) for each in found], _table(found))
    return ExitCode.OK


def undefine(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=f"One of {', '.join(Kind)}.")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
) -> ExitCode:
    """Remove one definition. What it set off goes on; removing what is not there is a success."""
    shares = shared(context)
    with shares.client() as client:
        deleted = client.registry.delete(kind, name)
    document = {"kind": kind, "name": name, "deleted": deleted}
    shares.output.answer(document, Text(f"{kind} {name}: {'deleted' if deleted else 'was not there'}"))
    return ExitCode.OK


def _document(each: StoredDefinition) -> Document:
    part = getattr(each.definition, each.kind)
    fields = MessageToDict(part, preserving_proto_field_name=True)
    return {"kind": each.kind, "name": each.name, "changed_at": each.changed_at, "definition": fields}


def _table(found: list[StoredDefinition]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("KIND", "NAME", "CHANGED", "WHAT"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        what = ", ".join(_facts(each))
        table.add_row(each.kind, plain(each.name), clock(each.changed_at), plain(what))
    return table


def _facts(each: StoredDefinition) -> Iterator[str]:
    """Yield in a few words what matters most of a definition."""
    part = getattr(each.definition, each.kind)
    if getattr(part, "disabled", False):
        yield "disabled"
    match each.kind:
        case Kind.WEBHOOK:
            yield f"/hooks/{part.path} to {part.workflow_id}"
        case Kind.SCHEDULE:
            yield f"{_timing(part)} to {part.workflow_id}"
    if each.kind is not Kind.SCHEDULE and part.HasField("rate"):
        yield f"{part.rate.limit} in {part.rate.per.ToTimedelta().total_seconds():g} s"
    for limit in ("limit", "per_key") if each.kind in (Kind.WORKFLOW, Kind.QUEUE) else ():
        if value := getattr(part.concurrency, limit):
            yield f"{value} at once{' of each key' if limit == 'per_key' else ''}"
    if part.description:
        yield part.description.partition("\n")[0]


def _timing(schedule: Schedule) -> str:
    match schedule.WhichOneof("timing"):
        case "cron":
            return f"{schedule.cron} ({schedule.zone})"
        case "every":
            return f"every {schedule.every.ToTimedelta().total_seconds():g} s"
        case _:
            return f"once at {schedule.once.ToJsonString()}"
