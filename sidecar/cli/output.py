"""How answers are written: for people on a terminal or in a pipe, or one JSON document for machines."""

import sys
from dataclasses import dataclass, field
from typing import TextIO

import typer
from rich.console import Console, RenderableType

from sidecar.cli import documents
from sidecar.cli.documents import Document
from sidecar.cli.problems import Problem

PIPE_WIDTH = 4_000


def console(stream: TextIO) -> Console:
    """Return a console on a stream: as wide as the terminal, or without colours and wrapping in a pipe."""
    if stream.isatty():
        return Console(file=stream, highlight=False)
    return Console(
        file=stream,
        width=PIPE_WIDTH,
        color_system=None,
        force_terminal=False,
        highlight=False,
        soft_wrap=True,
    )


@dataclass(frozen=True, slots=True)
class Output:
    """Writes answers to standard output and problems to standard error."""

    as_json: bool = False
    people: Console = field(default_factory=lambda: console(sys.stdout))
    problems: Console = field(default_factory=lambda: console(sys.stderr))

    def answer(self, document: Document | list[Document], *shown: RenderableType) -> None:
        """Write one answer: the document for machines, or what people are shown."""
        if self.as_json:
            typer.echo(documents.text(document))
            return
        for each in shown:
            self.people.print(each)

    def problem(self, problem: Problem) -> None:
        """Write what went wrong, with the reason that scripts may rely on."""
        if self.as_json:
            typer.echo(documents.text(_document(problem)), err=True)
            return
        self.problems.print(f"error: {problem.message} [{problem.reason}]", style="red", markup=False)
        if problem.advice:
            self.problems.print(f"  {problem.advice}", markup=False)


def _document(problem: Problem) -> Document:
    document: Document = {
        "reason": problem.reason,
        "message": problem.message,
        "metadata": dict(problem.metadata),
        "exit_code": int(problem.exit_code),
    }
    if problem.execution is not None:
        document["execution"] = documents.execution(problem.execution)
    return document
