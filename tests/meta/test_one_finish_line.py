"""Invariant 1, read from the syntax tree: the finalizer alone settles, the store alone writes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import sidecar

ROOT = Path(sidecar.__file__).parent
FINALIZER = ROOT / "core" / "finalizer.py"
SPANS = ROOT / "core" / "spans.py"
ROWS = ROOT / "store"
TERMINAL_STATES = {"SUCCEEDED", "FAILED", "CANCELLED"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        if "v1" not in path.relative_to(ROOT).parts:
            yield path, ast.parse(path.read_text())


def callers(name: str) -> set[Path]:
    found = set()
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node.func) == name:
                found.add(path)
    return found


def _called(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def test_a_terminal_record_is_made_by_the_finalizer_and_read_by_the_store_only() -> None:
    makers = callers("TerminalRecord")
    assert FINALIZER in makers
    assert all(path == FINALIZER or path.is_relative_to(ROWS) for path in makers)


def test_the_terminal_span_is_emitted_by_the_finalizer_only() -> None:
    assert callers("terminal_span") == {FINALIZER, SPANS}
    assert callers("settlement_log") == {FINALIZER}


def assigners(attribute: str) -> set[Path]:
    found = set()
    for path, tree in modules():
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Attribute) and t.attr == attribute for t in targets):
                found.add(path)
    return found


def test_the_terminal_record_is_set_in_one_place() -> None:
    assert assigners("terminal") == {FINALIZER}


def test_a_state_is_moved_by_the_core_verbs_only() -> None:
    assert all(path.parent == ROOT / "core" for path in assigners("state") if "client" not in path.parts)


def test_no_verb_assigns_a_state_that_the_table_did_not_give() -> None:
    for path, tree in modules():
        if path.parent != ROOT / "core":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Attribute) and t.attr == "state" for t in node.targets
            ):
                value = node.value
                from_table = isinstance(value, ast.Name) or (
                    isinstance(value, ast.Call) and _called(value.func) == "after"
                )
                assert from_table, f"{path.name}:{node.lineno} assigns a state past the table"
