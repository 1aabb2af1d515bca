"""The span tree of one execution, as the rows tell it; also what the demo shows."""

from collections.abc import Iterable

from rich.text import Text
from rich.tree import Tree

from sidecar.cli.display import took
from sidecar.client import Span, Trace
from sidecar.conventions import names

_DELIVERY_STYLES = {"delivered": "green", "pending": "yellow", "open": "blue"}


def trace_tree(trace: Trace) -> Tree:
    """Return the tree: the caller's span (by its id only), `send`, attempts, steps, the terminal span."""
    count = len(trace.spans)
    root = Tree(Text(f"trace {trace.trace_id} · {count} span{'s' if count != 1 else ''}", style="bold"))
    known = {span.span_id for span in trace.spans}
    for span in _in_order(span for span in trace.spans if span.parent_span_id not in known):
        _add(_outside(root, span), span, trace.spans)
    return root


def _outside(root: Tree, span: Span) -> Tree:
    """Return where a span without a parent in the rows hangs: under its caller's span, or the root."""
    if not span.parent_span_id:
        return root
    return root.add(Text(f"the caller's span {span.parent_span_id}", style="dim italic"))


def _add(branch: Tree, span: Span, spans: Iterable[Span]) -> None:
    node = branch.add(_label(span))
    for child in _in_order(each for each in spans if each.parent_span_id == span.span_id):
        _add(node, child, spans)


def _in_order(spans: Iterable[Span]) -> list[Span]:
    """Return siblings by their start, the terminal span, which starts with the accept, last."""
    return sorted(
        spans, key=lambda s: (names.TERMINAL in s.attributes, s.start.timestamp() if s.start else 0.0)
    )


def _label(span: Span) -> Text:
    return Text("  ").join(
        (
            Text(_name(span), style="bold"),
            Text(span.kind, style="dim"),
            Text(span.service, style="cyan"),
            Text(took(span.start, span.end) if span.end else "running", style="dim"),
            _status(span),
            Text(span.delivery, style=_DELIVERY_STYLES.get(span.delivery, "red")),
        )
    )


def _name(span: Span) -> str:
    number = span.attributes.get(names.ATTEMPT_NUMBER)
    return f"{span.name} (attempt {number})" if number and span.kind == "CONSUMER" else span.name


def _status(span: Span) -> Text:
    if span.error_type:
        text = f"{span.error_type}: {span.error_message}" if span.error_message else span.error_type
        return Text(text.splitlines()[0], style="red")
    outcome = span.attributes.get(names.OUTCOME) if names.TERMINAL in span.attributes else None
    if span.end is None:
        return Text("open", style="blue")
    return Text(outcome or "ok", style="yellow" if outcome == "cancelled" else "green")
