"""What the audit found: the measures of every module, read back from the files that the executions wrote."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.audit.measure import Complex, Measured
from examples.audit.plan import Request
from sidecar.client import Execution, State


@dataclass(frozen=True, slots=True)
class Audited:
    """One module, and the execution that measured it."""

    module: str
    measured: Measured
    execution: Execution

    @property
    def package(self) -> str:
        """The top-level package or module that it belongs to."""
        return self.module.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Package:
    """The sums over the modules of a package."""

    name: str
    modules: int
    code: int
    documented: int
    documentable: int

    @property
    def coverage(self) -> float:
        """The part of its public names that have a docstring."""
        return self.documented / self.documentable if self.documentable else 0.0


def audited(requests: Sequence[Request], executions: Mapping[str, Execution]) -> list[Audited]:
    """Return the modules whose ordinary execution succeeded."""
    return [
        Audited(request.module, _read(Path(request.result)), executions[request.name])
        for request in requests
        if not request.staged and _succeeded(executions.get(request.name))
    ]


def packages(found: Iterable[Audited]) -> list[Package]:
    """Return the sums by package, the largest first."""
    members: defaultdict[str, list[Measured]] = defaultdict(list)
    for each in found:
        members[each.package].append(each.measured)
    return sorted((_package(name, parts) for name, parts in members.items()), key=lambda p: -p.code)


def most_complex(found: Iterable[Audited], count: int) -> list[tuple[str, Complex]]:
    """Return the most complex functions, each with its module."""
    every = [(each.module, function) for each in found for function in each.measured.most_complex]
    return sorted(every, key=lambda pair: -pair[1].complexity)[:count]


def _package(name: str, parts: Sequence[Measured]) -> Package:
    return Package(
        name,
        len(parts),
        sum(each.code for each in parts),
        sum(each.documented for each in parts),
        sum(each.documentable for each in parts),
    )


def _succeeded(execution: Execution | None) -> bool:
    return execution is not None and execution.state is State.SUCCEEDED


def _read(path: Path) -> Measured:
    fields: dict[str, Any] = json.loads(path.read_text("utf-8"))
    fields.pop("module")
    functions = tuple(Complex(**each) for each in fields.pop("most_complex"))
    return Measured(**fields, most_complex=functions)
