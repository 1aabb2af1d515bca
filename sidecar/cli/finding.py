"""`sidecar find`: executions by whatever id is at hand."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from sidecar.cli import display, documents
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.inspecting import MAX_PAGE
from sidecar.cli.options import shared
from sidecar.cli.problems import Problem
from sidecar.client import Execution, SyncClient
from sidecar.client.calls import ListOptions

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def find(
    context: typer.Context,
    known: Annotated[str, typer.Argument(metavar="ID", help="Any id that it is known by.")],
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 50,
) -> ExitCode:
    """Find executions by execution id, request id, idempotency key, external id or trace id, newest first."""
    shares = shared(context)
    with shares.client() as client:
        records = _found(client, known, limit)
    if not records:
        message = f"nothing is known by the id {known!r} in namespace {shares.namespace!r}"
        advice = "check the id and --namespace; `sidecar list` shows what there is"
        shares.output.problem(Problem(ExitCode.NOT_FOUND, "EXECUTION_NOT_FOUND", message, advice))
        return ExitCode.NOT_FOUND
    shares.output.answer([documents.execution(each) for each in records], display.executions(records))
    return ExitCode.OK


def _found(client: SyncClient, known: str, limit: int) -> list[Execution]:
    found: dict[str, Execution] = {}
    for wanted in _ways(known):
        wanted["page_size"] = min(limit, MAX_PAGE)
        found.update((each.execution_id, each) for each in islice(client.list(**wanted), limit))
    newest = sorted(found.values(), key=lambda e: (e.accepted_at is not None, e.accepted_at), reverse=True)
    return newest[:limit]


def _ways(known: str) -> Iterator[ListOptions]:
    yield ListOptions(execution_ids=[known])
    yield ListOptions(request_id=known)
    yield ListOptions(idempotency_key=known)
    yield ListOptions(external_id=known)
    if _TRACE_ID.fullmatch(known):
        yield ListOptions(trace_id=known)
