"""The pages say what the code does: generated parts are fresh, links lead somewhere, examples run."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from scripts.references import DOCS, OTEL_VARIABLES, PARTS, ROOT, parts_of, refreshed
from sidecar.conventions import names
from sidecar.telemetry.settings import read_settings
from sidecar.v1 import execution_service_pb2 as api
from tests.processes import SidecarProcess

README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
LEVELS = {"debug", "info", "warning", "error", "exception"}


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=page_id)
def test_generated_parts_are_what_the_code_says(path: Path) -> None:
    page = path.read_text("utf-8")
    assert refreshed(page) == page, f"run `make docs`: {page_id(path)} is out of date"


def test_every_generated_part_is_on_a_page() -> None:
    used = [part for path in DOCS.glob("*.md") for part in parts_of(path.read_text("utf-8"))]
    assert sorted(used) == sorted(PARTS)


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path.read_text("utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{page_id(path)} links to {target}"
        assert file.is_relative_to(ROOT), f"{page_id(path)} links out of the repository: {target}"
        if anchor:
            assert anchor in _anchors(file), f"{page_id(path)} links to {target}: no such heading"


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_every_python_example_compiles(path: Path) -> None:
    for block in _blocks(path, "python"):
        compile(block, page_id(path), "exec")


def test_the_readme_has_the_example_that_is_run() -> None:
    assert set(_programs()) == {"worker.py", "caller.py"}


@pytest.mark.e2e
def test_the_worker_and_the_caller_of_the_readme_run(tmp_path: Path) -> None:
    for name, text in _programs().items():
        (tmp_path / name).write_text(text, "utf-8")
    with SidecarProcess(tmp_path, OTEL_SDK_DISABLED="true") as sidecar:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SIDECAR_TARGET": sidecar.target}
        with subprocess.Popen([sys.executable, "worker.py"], cwd=tmp_path, env=environment) as worker:
            try:
                caller = subprocess.run(
                    [sys.executable, "caller.py"],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
            finally:
                worker.terminate()
    assert caller.returncode == 0, caller.stderr
    assert "sha256" in caller.stdout
    assert worker.returncode == 0


def test_the_grpcurl_example_is_a_request_of_the_api() -> None:
    shell = "\n".join(_blocks(README, "sh"))
    [(body, service, method)] = re.findall(
        r"grpcurl -plaintext -d '(.+?)'[^'\n]*\n.*sidecar\.v1\.(\w+)/(\w+)", shell
    )
    call = api.DESCRIPTOR.services_by_name[service].methods_by_name[method]
    request = json_format.ParseDict(json.loads(body), GetMessageClass(call.input_type)())
    assert isinstance(request, api.EnqueueExecutionRequest)
    assert json.loads(request.item.payload) == {"path": "README.md"}


def test_every_otel_variable_that_is_read_is_documented() -> None:
    read: set[str] = set()

    class Noted(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            read.add(key)
            return super().get(key, default)

    read_settings(Noted(OTEL_TRACES_SAMPLER="traceidratio", OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4317"))
    general = {re.sub(r"(?<=_OTLP)_(TRACES|LOGS|METRICS)(?=_)", "", name) for name in read}
    assert general == set(OTEL_VARIABLES)


def test_every_log_event_is_explained() -> None:
    emitted = {event for path in (ROOT / "sidecar").rglob("*.py") for event in _events(path)}
    table = (DOCS / "operations.md").read_text("utf-8").partition("## Log events")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE))
    assert emitted == explained


def test_every_error_type_of_the_core_is_explained() -> None:
    page = (DOCS / "lifecycle.md").read_text("utf-8")
    own = {value for name, value in vars(names).items() if name.startswith("TYPE_")}
    assert own
    assert {value for value in own if f"`{value}`" not in page} == set()


def test_every_metric_to_alert_on_is_emitted() -> None:
    table = (DOCS / "operations.md").read_text("utf-8").partition("## What to alert on")[2]
    named = set(re.findall(r"`((?:sidecar|rpc)\.[a-z_.]+)`", table))
    assert named
    assert named <= {value for value in vars(names).values() if isinstance(value, str)}


def _programs() -> Mapping[str, str]:
    """Return the examples that name their file in the first line."""
    found = ((re.match(r"# (\w+\.py)\n", block), block) for block in _blocks(README, "python"))
    return {named[1]: block for named, block in found if named}


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def _prose(page: str) -> str:
    """Return a page without its blocks and pieces of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE))


def _anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _events(path: Path) -> Iterator[str]:
    """Yield the names of the events that a module logs."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        logs = isinstance(node.func.value, ast.Name) and node.func.value.id == "_log"
        arguments = node.args[1:] if node.func.attr == "log" else node.args
        if logs and node.func.attr in {*LEVELS, "log"} and arguments:
            event = arguments[0]
            assert isinstance(event, ast.Constant), f"{page_id(path)}:{node.lineno}: name the event"
            yield str(event.value)
