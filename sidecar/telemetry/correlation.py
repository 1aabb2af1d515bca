"""What every log line of a piece of work carries: bound once, kept per task."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from structlog.typing import EventDict, WrappedLogger


@dataclass(frozen=True, slots=True)
class LogCorrelation:
    """The ids that a log line can be found by; empty ones are left out."""

    execution_id: str = ""
    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""


_current: ContextVar[LogCorrelation | None] = ContextVar("sidecar_log_correlation", default=None)


@contextlib.contextmanager
def bound(correlation: LogCorrelation) -> Iterator[None]:
    """Have every line logged within carry these ids."""
    token = _current.set(correlation)
    try:
        yield
    finally:
        _current.reset(token)


def add_correlation(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the bound ids, unless the line names its own."""
    current = _current.get()
    if current is not None:
        for name in LogCorrelation.__slots__:
            if value := getattr(current, name):
                event.setdefault(name, value)
    return event
