"""The parts of the audit that need no processes: choosing, reading and measuring modules."""

import ast
import re
from pathlib import Path

import pytest

from examples.audit import modules, plan
from examples.audit.charts import timeline
from examples.audit.measure import measure
from examples.audit.modules import Module
from examples.audit.reading import UnreadableError, parse, read
from examples.audit.ways import Way

SOURCE = '''"""A module."""
import os

# a comment

class Public:
    """Documented."""

    def method(self, items):
        return [i for i in items if i and not i.hidden or os.name]

    def _private(self): ...

async def outer(a, b):
    async def inner():
        if a:
            return 1
    for x in b:
        try:
            assert x if a else b
        except ValueError:
            pass
    match a:
        case 1: pass
        case _: pass
'''


def test_a_module_is_measured() -> None:
    found = measure(SOURCE, parse(SOURCE))
    assert (found.lines, found.code) == (25, 19)
    assert (found.functions, found.classes) == (4, 1)
    assert (found.documented, found.documentable) == (2, 4)
    assert {each.name: each.complexity for each in found.most_complex} == {
        "outer": 7,  # for, except, assert, conditional, two cases
        "Public.method": 5,  # comprehension and its if, and, or
        "outer.inner": 2,
        "Public._private": 1,
    }


def test_every_module_of_the_library_is_found_once() -> None:
    found = modules.find()
    names = [each.name for each in found]
    assert {"ast", "json", "json.decoder", "asyncio.events"} <= set(names)
    assert not [each for each in found if "site-packages" in each.path.parts]
    assert len(names) == len(set(names))
    assert set(plan.STAGED_MODULES.values()) <= set(names)


def test_the_selection_keeps_everything_but_some_tests() -> None:
    everything = [
        Module(name, Path()) for name in ("a", "b", *(f"test.t{n:03}" for n in range(400)), "test.bad")
    ]
    broken = everything[-1:]
    chosen = modules.select(everything, broken, None)
    names = [each.name for each in chosen.modules]
    assert {"a", "b", "test.bad"} <= set(names)
    assert len(names) == len(set(names)) == 3 + modules.OTHER_TESTS
    assert chosen.left_out == "250 of its own tests left out"


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 60])
def test_the_limit_holds(limit: int) -> None:
    everything = [Module(f"m{n}", Path()) for n in range(50)]
    broken = [Module(f"test.bad{n}", Path()) for n in range(9)]
    assert len(modules.select([*everything, *broken], broken, limit).modules) == min(limit, 59)


def test_a_library_without_broken_modules_gets_two(tmp_path: Path) -> None:
    kinds = []
    for module in modules.made_to_fail(tmp_path):
        with pytest.raises(UnreadableError) as caught:
            parse(read(module.path))
        kinds.append(caught.value.kind)
    assert kinds == ["does_not_decode", "does_not_parse"]


def test_a_plan_survives_the_file(tmp_path: Path) -> None:
    everything = [Module(name, Path(f"/lib/{name}.py")) for name in plan.STAGED_MODULES.values()]
    made = plan.requests(modules.select(everything, [], None), everything, tmp_path)
    plan.save(made, tmp_path / "plan.json")
    assert plan.load(tmp_path / "plan.json") == made
    assert [each.staged for each in made if each.key] == [plan.TWICE] * 2
    assert {each.way for each in made if each.staged} == {Way.API}


def test_the_timeline_is_made_of_what_ended() -> None:
    picture = timeline([0.5, 0.5, 30.0], [(10.0, "killed <hard>"), (29.0, "back")], [(15.0, 5), (30.0, 10)])
    assert picture.count("<rect") == 2
    assert '<polyline class="tally" points="480.0,113.0 960.0,58.0"/>' in picture
    assert "killed &lt;hard&gt;" in picture
    assert re.findall("<(rect|polyline)", timeline([], [], [])) == []


def test_deep_trees_are_measured_without_recursion() -> None:
    blocks = "\n".join(f"{'  ' * depth}if x:" for depth in range(80))
    text = f"{blocks}\n{'  ' * 80}x = {'+'.join('1' * 300)}\n"
    assert measure(text, ast.parse(text)).functions == 0
