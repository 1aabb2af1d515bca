"""Measures a module by its syntax tree: size, functions, complexity, docstrings."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

TOP = 8
Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.match_case,
)


@dataclass(frozen=True, slots=True)
class Complex:
    """A function and how many ways lead through it."""

    name: str
    line: int
    lines: int
    complexity: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one module."""

    lines: int
    code: int
    functions: int
    classes: int
    complexity: int
    documented: int
    documentable: int
    most_complex: tuple[Complex, ...]


def measure(text: str, tree: ast.Module) -> Measured:
    """Measure a module."""
    lines = text.splitlines()
    functions = [Complex(*each) for each in _functions(tree)]
    documentable = [tree, *_public(tree)]
    return Measured(
        lines=len(lines),
        code=sum(1 for line in lines if (bare := line.strip()) and not bare.startswith("#")),
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree)),
        complexity=sum(each.complexity for each in functions),
        documented=sum(1 for node in documentable if ast.get_docstring(node, clean=False)),
        documentable=len(documentable),
        most_complex=tuple(sorted(functions, key=lambda each: -each.complexity)[:TOP]),
    )


def complexity(function: Function) -> int:
    """Return 1 and one more for each branch (McCabe), those of functions within it left out."""
    return 1 + sum(_weight(node) for node in _own_nodes(function))


def _weight(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, _BRANCHES))


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def _functions(tree: ast.Module) -> Iterator[tuple[str, int, int, int]]:
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, _SCOPES) and not isinstance(node, ast.Lambda):
            prefix = f"{prefix}.{node.name}" if prefix else node.name
            if not isinstance(node, ast.ClassDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield prefix, node.lineno, length, complexity(node)
        waiting.extend((prefix, child) for child in ast.iter_child_nodes(node))


def _public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Yield the classes and functions of a module, and their methods, that have no underscore."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield node
            if isinstance(node, ast.ClassDef):
                waiting.extend(node.body)
