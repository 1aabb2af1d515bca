"""The report: one HTML file that needs nothing else, made from what the executions found."""

import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from examples.audit import charts, results
from examples.audit.arrivals import Arrivals, way_of
from examples.audit.found import Found, outcome
from examples.audit.modules import is_test
from examples.audit.plan import Request
from examples.audit.results import Audited, Package
from sidecar.cli.display import took
from sidecar.client import Execution, State

TEMPLATE = Path(__file__).with_name("report.html")
LARGEST, COMPLEX = 14, 20

Moments = Sequence[tuple[float, str]]


def gather(
    found: Found, requests: Sequence[Request], moments: Moments, began: float, left_out: str
) -> dict[str, str]:
    """Return the parts of the page."""
    audited = results.audited(requests, found.executions)
    tallies = [(at.timestamp() - began, count) for at, count in found.tallies]
    packages = results.packages(_library(audited))
    largest = packages[:LARGEST]
    by_coverage = sorted(largest, key=lambda package: -package.coverage)
    return {
        "subtitle": _subtitle(left_out),
        "cards": _cards(found, audited),
        "timeline": charts.timeline(
            _ends(found, began), [(at - began, text) for at, text in moments], tallies
        ),
        "ways": _rows(map(_way, found.arrivals)),
        "largest": _rows(_size(package, largest[0].code) for package in largest),
        "coverage": _rows(_coverage(package) for package in by_coverage),
        "complex": _rows(_complex_functions(audited)),
        "failures": _rows(_failure(name, e) for name, e in found.failures() if not name.startswith("[")),
        "staged": _rows(_staged(name, execution) for name, execution in found.staged.items()),
        "checks": _rows((_mark(c.ok), escape(c.name), escape(c.found)) for c in found.checks),
        "modules": _rows(map(_module, sorted(audited, key=lambda each: -each.measured.code))),
    }


def _library(audited: Sequence[Audited]) -> list[Audited]:
    return [each for each in audited if not is_test(each.module)]


def write(path: Path, parts: dict[str, str]) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(TEMPLATE.read_text("utf-8")).substitute(parts), "utf-8")


def _subtitle(left_out: str) -> str:
    at = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    system = f"Python {platform.python_version()} on {platform.system()}, {at}"
    return escape(f"{system}; {left_out}")


def _cards(found: Found, audited: Sequence[Audited]) -> str:
    measured = [each.measured for each in audited]
    library = [each.measured for each in _library(audited)]
    documented = sum(each.documented for each in library) / (sum(e.documentable for e in library) or 1)
    failed = [name for name, _ in found.failures() if not name.startswith("[")]
    cards = (
        (f"{len(audited):,}", "modules measured"),
        (f"{sum(each.lines for each in measured):,}", "lines"),
        (f"{sum(each.functions for each in measured):,}", "functions"),
        (f"{sum(each.classes for each in measured):,}", "classes"),
        (f"{documented:.0%}", "public names documented"),
        (f"{len(failed):,}", "modules that failed"),
        (f"{found.retried:,}", "executions retried"),
    )
    return "".join(f"<div class='card'><b>{number}</b><span>{words}</span></div>" for number, words in cards)


def _ends(found: Found, began: float) -> list[float]:
    return [e.finalized_at.timestamp() - began for e in found.executions.values() if e.finalized_at]


def _way(arrivals: Arrivals) -> tuple[str, ...]:
    ends = (f"{arrivals.states[state]:,}" for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED))
    return escape(arrivals.way), f"{arrivals.count:,}", *ends, escape(arrivals.besides)


def _size(package: Package, most: int) -> tuple[str, ...]:
    return _code(package.name), f"{package.modules:,}", charts.bar(package.code / most, f"{package.code:,}")


def _coverage(package: Package) -> tuple[str, ...]:
    names = f"{package.documented:,} of {package.documentable:,}"
    return _code(package.name), names, charts.bar(package.coverage, f"{package.coverage:.0%}")


def _complex_functions(audited: Sequence[Audited]) -> Iterable[tuple[str, ...]]:
    ranked = results.most_complex(audited, COMPLEX)
    for module, each in ranked:
        part = each.complexity / ranked[0][1].complexity
        where = f"{_code(module)} line {each.line}"
        yield _code(each.name), where, f"{each.lines:,}", charts.bar(part, str(each.complexity))


def _failure(name: str, execution: Execution) -> tuple[str, ...]:
    message = execution.error.message if execution.error else execution.cancel_reason
    return _code(name), f"<em class='bad'>{escape(outcome(execution))}</em>", escape(message)


def _staged(name: str, execution: Execution) -> tuple[str, ...]:
    message = execution.error.message if execution.error else execution.cancel_reason
    time = took(execution.accepted_at, execution.finalized_at)
    return (
        escape(name),
        escape(outcome(execution)),
        str(execution.attempts),
        time,
        escape(message),
        f"<code class='id'>{escape(execution.trace_id)}</code>",
    )


def _module(each: Audited) -> tuple[str, ...]:
    measured = each.measured
    coverage = measured.documented / measured.documentable if measured.documentable else 0.0
    hottest = measured.most_complex[0] if measured.most_complex else None
    return (
        _code(each.module),
        f"{measured.lines:,}",
        f"{measured.code:,}",
        f"{measured.functions:,}",
        f"{measured.classes:,}",
        f"{coverage:.0%}",
        str(hottest.complexity) if hottest else "",
        _code(hottest.name) if hottest else "",
        escape(way_of(each.execution)),
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _mark(ok: bool) -> str:
    return "<em class='good'>yes</em>" if ok else "<em class='bad'>no</em>"


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
