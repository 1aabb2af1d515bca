"""What is only told about the work must not disturb it: a recorder that fails is logged and counted."""

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import structlog

P = ParamSpec("P")
S = TypeVar("S", bound="Guarded")

_log = structlog.get_logger(__name__)


class Guarded:
    """Counts what its guarded methods could not record; the first failure of each is logged."""

    def __init__(self) -> None:
        self.unrecorded = 0
        self._failed: set[str] = set()
        self._counting = threading.Lock()

    def failed(self, name: str) -> None:
        """Note that something was not recorded."""
        with self._counting:
            self.unrecorded += 1
            is_news = name not in self._failed
            self._failed.add(name)
        if is_news:
            with contextlib.suppress(Exception):
                _log.exception("telemetry.not_recorded", what=name)


def guarded(record: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Have a method never raise."""

    @functools.wraps(record)
    def never_raising(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            record(self, *args, **kwargs)
        except Exception:
            self.failed(record.__name__)

    return never_raising
