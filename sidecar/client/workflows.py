"""The handlers that a worker has, by the name of their workflow."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sidecar.client.run import Run

_RUN_NAMES: Final = frozenset({"ctx", "run"})
_POSITIONAL: Final = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})

Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A function and what it wants to be called with."""

    name: str
    function: Handler
    is_async: bool
    wants_run: bool
    wants_payload: bool

    def call(self, run: Run) -> Any:
        """Call the function."""
        arguments = [run] if self.wants_run else []
        return self.function(*arguments, run.payload) if self.wants_payload else self.function(*arguments)


def workflow(name: str, function: Handler) -> Workflow:
    """Return the workflow of a function: `f(run, payload)`, `f(payload)`, `f(run)` or `f()`.

    A single parameter is the run if it is annotated so, or called `run` or `ctx`.

    Raises:
        TypeError: if it wants more than that.
    """
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind in _POSITIONAL]
    required = [p for p in parameters if p.default is inspect.Parameter.empty]
    if len(required) > 2:
        raise TypeError(
            f"workflow {name!r}: a handler takes a run and a payload, not {len(required)} arguments"
        )
    wants_run = bool(parameters) and (len(required) == 2 or _is_run(parameters[0]))
    wants_payload = len(parameters) > wants_run
    return Workflow(name, function, _is_async(function), wants_run, wants_payload)


def _is_run(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return parameter.name in _RUN_NAMES
    return annotation is Run or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "Run")


def _is_async(function: Handler) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
