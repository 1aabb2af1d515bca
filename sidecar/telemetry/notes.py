"""Faults that end nothing, as log lines: of the store, of a call, of an agent."""

import asyncio

import structlog

from sidecar.core.refusals import StoreUnavailableError

_log = structlog.get_logger("sidecar")


def note_fault(error: Exception) -> None:
    """Tell what an agent met and outlived."""
    if isinstance(error, StoreUnavailableError):
        _log.warning("store.unavailable", error=str(error))
    else:
        _log.error("store.failed", exc_info=error)


def note_bug(method: str, error: Exception) -> None:
    """Tell of an exception in a call that no refusal stands for."""
    _log.error("call.failed", method=method, exc_info=error)


def note_end(task: "asyncio.Task[None]") -> None:
    """Tell that an agent died: it ends when it is told to, so anything else is a bug that must be seen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("agent.died", exc_info=error)
