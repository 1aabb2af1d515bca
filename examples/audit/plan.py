"""What is asked for: one request for each module, and the staged ones; handed to the caller as a file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from examples.audit import ways
from examples.audit.modules import Module, Selection
from examples.audit.ways import Way

WORKFLOW = "audit-module"
DEADLINE, CANCELLED, TWICE, KILLED, SURVIVOR = (
    "deadline",
    "cancelled",
    "twice",
    "killed worker",
    "killed sidecar",
)
STAGED = (DEADLINE, CANCELLED, TWICE, KILLED, SURVIVOR)
STAGED_MODULES = {
    DEADLINE: "this",
    CANCELLED: "antigravity",
    TWICE: "json.decoder",
    KILLED: "dis",
    SURVIVOR: "typing",
}
LINGER_SECONDS = 120.0
DEADLINE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Linger:
    """Has the worker stay within the step `measure` until a file exists, for so many attempts."""

    mark: str
    until: str
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """One execution to ask for. `result` is the file that the last step writes.

    `max_attempts` None leaves it to the definition of the workflow.
    """

    name: str
    module: str
    path: str
    result: str
    way: Way = Way.API
    staged: str = ""
    key: str = ""
    attempt_seconds: float | None = None
    max_attempts: int | None = None
    linger: Linger | None = None

    def payload(self) -> dict[str, Any]:
        """Return what the worker gets."""
        linger = asdict(self.linger) if self.linger else None
        return {"module": self.module, "path": self.path, "result": self.result, "linger": linger}


def requests(selection: Selection, everything: Sequence[Module], folder: Path) -> list[Request]:
    """Return the staged requests and one for each module."""
    paths = {each.name: each.path for each in everything}
    shared = ways.shared_out(selection.modules)
    return [*_staged(paths, folder), *(_ordinary(module, way, folder) for module, way in shared)]


def save(plan: Sequence[Request], path: Path) -> None:
    """Write a plan for the caller."""
    path.write_text(json.dumps([asdict(each) for each in plan]), "utf-8")


def load(path: Path) -> list[Request]:
    """Read a plan."""
    return [_request(each) for each in json.loads(path.read_text("utf-8"))]


def mark_of(staged: str, folder: Path) -> Path:
    """Return the file in which a lingering worker writes its process id."""
    return folder / "stage" / f"{staged.replace(' ', '-')}.pid"


def release_of(staged: str, folder: Path) -> Path:
    """Return the file that lets a lingering worker go on."""
    return mark_of(staged, folder).with_suffix(".go")


def measured_in(folder: Path) -> Path:
    """Return the folder of the modules' measures."""
    return folder / "measured"


def result_of(module: str, folder: Path) -> Path:
    """Return the file with a module's measures."""
    return measured_in(folder) / f"{module}.json"


def _ordinary(module: Module, way: Way, folder: Path) -> Request:
    return Request(module.name, module.name, str(module.path), str(result_of(module.name, folder)), way)


def _staged(paths: dict[str, Path], folder: Path) -> list[Request]:
    twice = _scene(TWICE, paths, folder, linger=False, key="audit:json.decoder")
    return [
        _scene(DEADLINE, paths, folder, attempt_seconds=DEADLINE_SECONDS, max_attempts=1),
        _scene(CANCELLED, paths, folder),
        _scene(KILLED, paths, folder, max_attempts=2),
        _scene(SURVIVOR, paths, folder, max_attempts=2),
        twice,
        twice,
    ]


def _scene(
    staged: str, paths: dict[str, Path], folder: Path, *, linger: bool = True, **options: Any
) -> Request:
    module = STAGED_MODULES[staged]
    return Request(
        name=f"[{staged}] {module}",
        module=module,
        path=str(paths[module]),
        result=str(folder / "stage" / f"{staged.replace(' ', '-')}.json"),
        staged=staged,
        linger=Linger(str(mark_of(staged, folder)), str(release_of(staged, folder))) if linger else None,
        **options,
    )


def _request(fields: dict[str, Any]) -> Request:
    linger, way = fields.pop("linger"), Way(fields.pop("way"))
    return Request(**fields, way=way, linger=Linger(**linger) if linger else None)
