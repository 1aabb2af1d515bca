"""The workflows: `audit-module` reads, parses, measures and writes; `audit-tally` counts what is written."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opentelemetry import trace

from examples.audit.measure import measure
from examples.audit.plan import LINGER_SECONDS, WORKFLOW
from examples.audit.reading import UnreadableError, parse, read
from examples.audit.ways import TALLY
from sidecar.client import FinalError, Run, Worker

POLL_SECONDS = 0.05
_TRACER = trace.get_tracer("examples.audit.worker")


def audits(worker: Worker) -> None:
    """Have a worker take audits."""
    worker.workflow(WORKFLOW)(audit_module)


def tallies(worker: Worker, measured: Path) -> None:
    """Have a worker count the measures in a folder."""

    def audit_tally() -> dict[str, int]:
        return {"measured": sum(1 for _ in measured.glob("*.json"))}

    worker.workflow(TALLY)(audit_tally)


def audit_module(run: Run, payload: dict[str, Any]) -> dict[str, Any]:
    """Audit one module, and return where its measures are."""
    try:
        return _audit(run, payload)
    except UnreadableError as error:
        raise FinalError(str(error), error_type=error.kind) from error


def _audit(run: Run, payload: dict[str, Any]) -> dict[str, Any]:
    with run.step("read"):
        text = read(Path(payload["path"]))
    with run.step("parse"):
        tree = parse(text)
    with run.step("measure"):
        if payload["linger"] and run.attempt <= payload["linger"]["attempts"]:
            linger(run, Path(payload["linger"]["mark"]), Path(payload["linger"]["until"]))
        with _TRACER.start_as_current_span("walk the tree"):  # a span of the worker's own, under the step
            measured = measure(text, tree)
    with run.step("write"):
        document = {"module": payload["module"], **asdict(measured)}
        write(Path(payload["result"]), json.dumps(document))
    return {"result": payload["result"], "lines": measured.lines, "complexity": measured.complexity}


def linger(run: Run, mark: Path, until: Path) -> None:
    """Leave this process's id, and stay until told to go on or to stop."""
    write(mark, str(os.getpid()))
    ends_at = time.monotonic() + LINGER_SECONDS
    while not until.exists() and time.monotonic() < ends_at:
        run.raise_if_cancelled()
        time.sleep(POLL_SECONDS)


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, so that a repeated attempt finds no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)
