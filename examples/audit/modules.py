"""Finds the modules of the standard library on this machine, and chooses those to audit."""

import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.audit.reading import UnreadableError, parse, read

SKIPPED = frozenset({"site-packages", "dist-packages", "__pycache__"})
TESTS = frozenset({"test", "tests", "idle_test"})
SUSPECTS = ("tokenizedata", "lib2to3", "bad")
OTHER_TESTS = 150


@dataclass(frozen=True, slots=True)
class Module:
    """A module by its dotted name, and where its source is."""

    name: str
    path: Path

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the library's own tests."""
        return is_test(self.name)


@dataclass(frozen=True, slots=True)
class Selection:
    """The modules to audit, and which were left out, in words."""

    modules: tuple[Module, ...]
    left_out: str


def is_test(name: str) -> bool:
    """Say whether a module belongs to the library's own tests."""
    return not TESTS.isdisjoint(name.split("."))


def find() -> list[Module]:
    """Return every module of the standard library: files at the top and packages, recursively."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(_under(root), key=lambda module: module.name)


def _under(root: Path) -> Iterator[Module]:
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIPPED.isdisjoint(parts) and all(part.isidentifier() for part in parts):
            yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


def broken_among(modules: Sequence[Module]) -> list[Module]:
    """Return those that do not decode or parse; only tests that look made for it are tried."""
    return [each for each in modules if each.is_test and _is_suspect(each) and not _is_sound(each)]


def _is_suspect(module: Module) -> bool:
    return any(word in module.name for word in SUSPECTS)


def _is_sound(module: Module) -> bool:
    try:
        parse(read(module.path))
    except UnreadableError:
        return False
    return True


def select(modules: Sequence[Module], broken: Sequence[Module], limit: int | None) -> Selection:
    """Choose all modules but the tests, some of those, and every broken one; at most `limit` if given."""
    plain = [each for each in modules if not each.is_test]
    tests = [each for each in modules if each.is_test and each not in broken]
    some = spread(tests, OTHER_TESTS)
    if limit is None:
        return Selection((*plain, *broken, *some), f"{len(tests) - len(some)} of its own tests left out")
    few = broken[: min(limit, max(2, limit // 5))]
    chosen = (*few, *spread(plain, limit - len(few)))
    return Selection(chosen, f"{len(modules) - len(chosen)} left out by --limit")


def spread(modules: Sequence[Module], count: int) -> list[Module]:
    """Return `count` of them, evenly from first to last."""
    if count >= len(modules):
        return list(modules)
    return [modules[index * len(modules) // count] for index in range(max(count, 0))]


def made_to_fail(folder: Path) -> list[Module]:
    """Write a module that does not decode and one that does not parse, for libraries that have none."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = {
        "latin1_without_saying_so": "# A comment\n# and another\nname = 'Grüße'\n".encode("latin-1"),
        "half_a_function": b"def half(a, b:\n    return a +\n",
    }
    for name, source in sources.items():
        (folder / f"{name}.py").write_bytes(source)
    return [Module(f"demo.{name}", folder / f"{name}.py") for name in sources]
