"""What the caller asks for: one request for each module, and the staged ones; handed over as a file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from examples.audit.modules import Module, Selection

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
    """One execution to ask for. `result` is the file that the last step writes."""

    name: str
    module: str
    path: str
    result: str
    staged: str = ""
    key: str = ""
    attempt_seconds: float | None = None
    max_attempts: int = 3
    linger: Linger | None = None

    def payload(self) -> dict[str, Any]:
        """Return what the worker gets."""
        linger = asdict(self.linger) if self.linger else None
        return {"module": self.module, "path": self.path, "result": self.result, "linger": linger}


def requests(selection: Selection, everything: Sequence[Module], folder: Path) -> list[Request]:
    """Return the staged requests and one for each module."""
    paths = {each.name: each.path for each in everything}
    return [*_staged(paths, folder), *(_ordinary(module, folder) for module in selection.modules)]


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


def result_of(module: str, folder: Path) -> Path:
    """Return the file with a module's measures."""
    return folder / "measured" / f"{module}.json"


def _ordinary(module: Module, folder: Path) -> Request:
    return Request(module.name, module.name, str(module.path), str(result_of(module.name, folder)))


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
    linger = fields.pop("linger")
    return Request(**fields, linger=Linger(**linger) if linger else None)
