"""The house's own rules: rooms, docstrings, generated code, and the invariants that docs promise."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [p for p in sorted((ROOT / "sidecar").rglob("*.py")) if p.parent.name != "v1"]


def test_imports_go_inward_only() -> None:
    ran = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_opens_with_one_sentence_on_its_job(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    first = docstring.split("\n\n")[0]
    assert first.endswith((".", "?")), first


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_grows_past_reading(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_the_stubs_are_what_the_proto_says(tmp_path: Path) -> None:
    from scripts.generate import generate

    generate(tmp_path)
    fresh = {p.name: p.read_text() for p in sorted((tmp_path / "sidecar" / "v1").iterdir())}
    kept = {p.name: p.read_text() for p in (ROOT / "sidecar" / "v1").iterdir() if "_pb2" in p.name}
    assert fresh == kept


def test_the_proto_is_lint_clean() -> None:
    ran = subprocess.run(
        [Path(sys.executable).parent / "buf", "lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_invariant_is_cited_by_a_test() -> None:
    text = "".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    cited = {
        int(n)
        for group in re.findall(r"[Ii]nvariants? ([\d, and]+)", text)
        for n in re.findall(r"\d+", group)
    }
    promised = {int(n) for n in re.findall(r"^(\d+)\. \*\*", (ROOT / "ARCHITECTURE.md").read_text(), re.M)}
    assert promised
    assert promised <= cited, f"no test cites invariant {sorted(promised - cited)}"
