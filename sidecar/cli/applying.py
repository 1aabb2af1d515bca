"""`sidecar apply`: have what a file defines stand as it says."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from sidecar.cli.display import plain
from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import Shared, shared
from sidecar.cli.problems import Problem, problem_of
from sidecar.client import Change, SidecarError

if TYPE_CHECKING:
    from sidecar.cli.manifest import Manifest

_STYLES = {"created": "green", "updated": "yellow", "deleted": "red", "unchanged": "dim"}


def apply(
    context: typer.Context,
    file: Annotated[str, typer.Option("--file", "-f", metavar="FILE|-", help="`-` reads standard input.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what the namespace has and the file does not name.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare only.")] = False,
) -> ExitCode:
    """Have workflows, queues, webhooks and schedules stand as a YAML file says: all of them, or none.

    Applying the same file again changes nothing.
    """
    from sidecar.cli.manifest import ManifestError, read

    shares = shared(context)
    try:
        wanted = read(file)
        wanted.check_namespace(shares.namespace)
    except ManifestError as error:
        advice = f"nothing was changed; the file is {file!r}"
        shares.output.problem(Problem(ExitCode.INVALID_ARGUMENT, "MANIFEST", str(error), advice))
        return ExitCode.INVALID_ARGUMENT
    return _apply(shares, wanted, prune=prune, dry_run=dry_run)


def _apply(shares: Shared, wanted: "Manifest", *, prune: bool, dry_run: bool) -> ExitCode:
    shares.namespace = wanted.namespace or shares.namespace
    try:
        with shares.client() as client:
            changes = client.registry.apply(wanted.definitions, prune=prune, dry_run=dry_run)
    except SidecarError as error:
        problem = problem_of(error, shares.target)
        if problem is None:
            raise
        told = replace(problem, message=wanted.in_its_words(problem.message))
        shares.output.problem(told)
        return told.exit_code
    _report(shares, changes, dry_run=dry_run)
    return ExitCode.OK


def _report(shares: Shared, changes: list[Change], *, dry_run: bool) -> None:
    document = {
        "namespace": shares.namespace,
        "dry_run": dry_run,
        "results": [{"kind": c.kind, "name": c.name, "change": c.change} for c in changes],
    }
    table = Table.grid(padding=(0, 2))
    for each in changes:
        table.add_row(each.kind, plain(each.name), Text(each.change, style=_STYLES.get(each.change, "")))
    counts = Counter(each.change for each in changes)
    summary = ", ".join(f"{counts[change]} {change}" for change in _STYLES if counts[change])
    untouched = " (dry run: nothing was changed)" if dry_run else ""
    shares.output.answer(document, table, Text(f"{summary}{untouched}"))
