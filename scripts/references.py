"""Rewrites the generated parts of the pages in `docs/`: what stands between their markers."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path

import typer
from google.rpc import code_pb2
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from sidecar.cli.exit_codes import MEANINGS
from sidecar.cli.program import app
from sidecar.config import Settings
from sidecar.conventions import reference
from sidecar.core.folio import Limits
from sidecar.core.lifecycle import TERMINAL, TRANSITIONS, Move, State
from sidecar.core.refusals import Reason
from sidecar.transport import execution_service, fields, leases, policies
from sidecar.transport.errors import CODES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PROTO = ROOT / "proto" / "sidecar" / "v1"

_PART = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_RPC = re.compile(r"rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)")

OTEL_VARIABLES: Mapping[str, tuple[str, str]] = {
    "OTEL_SERVICE_NAME": ("`sidecar`", "`service.name` of `send` and terminal spans and of the metrics."),
    "OTEL_RESOURCE_ATTRIBUTES": ("", "More of the sidecar's resource; frozen into the spans it commits."),
    "OTEL_SDK_DISABLED": (
        "`false`",
        "`true`: no spans, logs or metrics; the caller's context still goes on.",
    ),
    "OTEL_TRACES_SAMPLER": (
        "`parentbased_always_on`",
        "Asked once at accept, for all spans of an execution: `always_on`, `always_off`, `traceidratio`, "
        "and each with `parentbased_`.",
    ),
    "OTEL_TRACES_SAMPLER_ARG": ("`1.0`", "The ratio of the two samplers that have one."),
    "OTEL_TRACES_EXPORTER": ("`otlp`", "`none`: spans are not stored; executions count as `disabled`."),
    "OTEL_LOGS_EXPORTER": ("`otlp`", "`none`: unsampled executions leave no settlement record."),
    "OTEL_METRICS_EXPORTER": ("`otlp`", "`none`: the sidecar sends no metrics."),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "`http://localhost:4317`",
        "The collector: `http://host:port`, `https://host:port`, `host:port` (TLS unless insecure) or "
        "`unix:path`.",
    ),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("`grpc`", "Only `grpc` is available yet; another one ends the start."),
    "OTEL_EXPORTER_OTLP_INSECURE": ("`false`", "`true`: no TLS for an endpoint without a scheme."),
    "OTEL_EXPORTER_OTLP_HEADERS": ("", "`key=value,...` sent with each request, for example a token."),
    "OTEL_EXPORTER_OTLP_TIMEOUT": ("`10000`", "Milliseconds for one request; 0 means ten minutes."),
    "OTEL_EXPORTER_OTLP_COMPRESSION": ("`none`", "`gzip` or `none`."),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ("", "File with the certificates to trust."),
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": ("", "File with the client's key, for mutual TLS."),
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": ("", "File with the client's certificate, for mutual TLS."),
    "OTEL_METRIC_EXPORT_INTERVAL": ("`60000`", "Milliseconds between two exports of metrics."),
    "OTEL_METRIC_EXPORT_TIMEOUT": ("`30000`", "Milliseconds for one export of metrics."),
    "OTEL_ATTRIBUTE_COUNT_LIMIT": ("`128`", "Attributes of a span, link or log record."),
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": ("no limit", "Characters of an attribute's value."),
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ("the general one", "The same for spans alone."),
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": ("the general one", "The same for spans alone."),
    "OTEL_SPAN_LINK_COUNT_LIMIT": ("`128`", "Links of a span."),
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": ("the general one", "Attributes of a link."),
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": ("the general one", "The same for log records alone."),
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": ("the general one", "The same for log records alone."),
}
"""The `OTEL_*` variables that the sidecar honours: default, and what it does with each."""


def settings() -> Iterator[str]:
    """Yield the table of `SIDECAR_*` settings; those for tests only are left out."""
    named = {
        n: f for n, f in Settings.model_fields.items() if not (f.description or "").startswith("For tests")
    }
    return _table(
        ("variable", "default", "what it is"),
        ((f"`SIDECAR_{n.upper()}`", _value(f.default), f.description or "") for n, f in named.items()),
    )


def otel() -> Iterator[str]:
    """Yield the table of `OTEL_*` variables."""
    rows = ((f"`{name}`", default, meaning) for name, (default, meaning) in OTEL_VARIABLES.items())
    return _table(("variable", "default", "what it is"), rows)


def telemetry() -> Iterator[str]:
    """Yield the reference of everything that is emitted, one level of headings deeper."""
    for line in reference.render().rstrip("\n").splitlines():
        yield f"#{line}" if line.startswith("#") else line


def reasons() -> Iterator[str]:
    """Yield every reason of a refusal with its gRPC code."""
    said = _member_docs(Reason)
    rows = ((f"`{r}`", f"`{code_pb2.Code.Name(CODES[r])}`", said[r.name]) for r in Reason)
    return _table(("reason", "gRPC code", "what it says"), rows)


def calls() -> Iterator[str]:
    """Yield every call of the API, with the comment that stands over it in the proto."""
    return _table(("call", "request", "answer", "what it does"), _calls())


def bounds() -> Iterator[str]:
    """Yield the bounds that are the same for everybody."""
    kept = Limits()
    rows = (
        ("an id, a workflow, a queue", f"{fields.MAX_ID_BYTES} printable ASCII characters, no spaces"),
        ("a line of text", f"{fields.MAX_TEXT:,} characters, no control characters"),
        ("a duration", f"{fields.MAX_DURATION.days:,} days"),
        ("items of one `EnqueueExecutions`", f"{execution_service.MAX_ITEMS:,}"),
        ("attempts in a retry policy", f"{policies.MAX_ATTEMPTS:,}"),
        ("`non_retryable` types in a retry policy", f"{policies.MAX_NON_RETRYABLE}"),
        ("queues, and workflows, of one worker", f"{leases.MAX_NAMES} each"),
        ("credits, and held leases, in one frame", f"{leases.MAX_CREDITS:,} each"),
        ("an error's message", f"{kept.max_error_message:,} bytes are kept"),
        ("an error's stack", f"{kept.max_error_stack:,} bytes are kept"),
        (
            "lost deliveries that are not counted as attempts",
            f"{kept.max_deliveries_lost} for each execution",
        ),
    )
    return _table(("what", "limit"), rows)


def states() -> Iterator[str]:
    """Yield every state, with who moves an execution in and out."""
    said = _member_docs(State)
    rows = (
        (f"`{s}`", "yes" if s in TERMINAL else "", said[s.name].removeprefix("Terminal. ")) for s in State
    )
    return _table(("state", "terminal", "who moves it"), rows)


def transitions() -> Iterator[str]:
    """Yield the table of moves: a row for each state, a column for each move."""
    rows = ((f"`{s}`", *(_after(s, move) for move in Move)) for s in State if s not in TERMINAL)
    return _table(("from", *Move), rows)


def diagram() -> Iterator[str]:
    """Yield the lifecycle as a Mermaid diagram."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.QUEUED}: accept"
    yield from (f"    {state} --> {end}: {move}" for (state, move), end in TRANSITIONS.items())
    yield from (f"    {state} --> [*]" for state in State if state in TERMINAL)
    yield "```"


def commands() -> Iterator[str]:
    """Yield every command of the command line with its arguments and options."""
    group = typer.main.get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError(f"the command line is a {type(group).__name__}")
    yield "### Options before the command\n"
    yield from _options(group)
    for name, command in group.commands.items():
        if isinstance(command, TyperCommand):
            yield from _command(name, command)
        elif isinstance(command, TyperGroup):
            parts = [(each, p) for each, p in command.commands.items() if isinstance(p, TyperCommand)]
            for each, part in parts:
                yield from _command(f"{name} {each}", part)


def exit_codes() -> Iterator[str]:
    """Yield the exit codes of the commands."""
    return _table(("code", "meaning"), ((str(int(c)), meaning) for c, meaning in MEANINGS.items()))


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "otel": otel,
    "telemetry": telemetry,
    "reasons": reasons,
    "calls": calls,
    "bounds": bounds,
    "states": states,
    "transitions": transitions,
    "diagram": diagram,
    "commands": commands,
    "exit-codes": exit_codes,
}
"""What can stand between markers, by name."""


def refreshed(page: str) -> str:
    """Return a page with its generated parts made anew."""
    return _PART.sub(lambda part: part[1] + "\n".join(PARTS[part[2]]()).rstrip() + "\n" + part[3], page)


def parts_of(page: str) -> list[str]:
    """Return the names of the generated parts of a page."""
    return [part[2] for part in _PART.finditer(page)]


def _command(name: str, command: TyperCommand) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, TyperArgument)]
    yield f"\n### `{' '.join(['sidecar', name, *(a.metavar or a.name or '' for a in arguments)])}`\n"
    yield textwrap.dedent(command.help or "")
    if any(isinstance(p, TyperOption) and not p.hidden for p in command.params):
        yield ""
        yield from _options(command)


def _options(command: TyperCommand | TyperGroup) -> Iterator[str]:
    shown = [p for p in command.params if isinstance(p, TyperOption) and not p.hidden]
    return _table(("option", "default", "what it is"), (_option(p) for p in shown))


def _option(option: TyperOption) -> tuple[str, str, str]:
    metavar = option.metavar or ("" if option.is_flag else "TEXT")
    shown = option.show_default if isinstance(option.show_default, str) else option.default
    variable = f" Or `{option.envvar}` in the environment." if option.envvar else ""
    return f"`{' '.join([*option.opts, metavar]).strip()}`", _value(shown), f"{option.help or ''}{variable}"


def _value(value: object) -> str:
    if value is None or value is False or value == "":
        return "`false`" if value is False else ""
    return f"`{_duration(value) if isinstance(value, timedelta) else value}`"


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    return next(
        f"{seconds // size}{unit}" for unit, size in (("h", 3600), ("m", 60), ("s", 1)) if not seconds % size
    )


def _after(state: State, move: Move) -> str:
    end = TRANSITIONS.get((state, move))
    return f"`{end}`" if end else ""


def _calls() -> Iterator[tuple[str, str, str, str]]:
    for path in sorted(PROTO.glob("*_service.proto")):
        comment: list[str] = []
        service = ""
        for line in map(str.strip, path.read_text("utf-8").splitlines()):
            if line.startswith("//"):
                comment.append(line.removeprefix("//").strip())
                continue
            if line.startswith("service "):
                service = line.split()[1]
            if found := _RPC.search(line):
                name, asks, request, says, answer = found.groups(default="")
                yield f"`{service}.{name}`", f"{asks}`{request}`", f"{says}`{answer}`", " ".join(comment)
            comment = []


def _member_docs(kind: type[Enum]) -> dict[str, str]:
    """Return the text that stands under each member of an enumeration."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{kind.__name__} is not a class")
    said = {}
    for member, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(member, ast.Assign)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            said[ast.unparse(member.targets[0])] = " ".join(str(text.value.value).split())
    return said


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def main() -> None:
    """Rewrite the pages that have generated parts."""
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text("utf-8")
        path.write_text(refreshed(page), "utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}: {', '.join(parts_of(page)) or 'nothing generated'}\n")


if __name__ == "__main__":
    main()
