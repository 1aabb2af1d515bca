"""Scheduling: where a schedule stands, and the verbs that move it."""

from dataclasses import dataclass

from sidecar.core.model import Key


@dataclass(slots=True)
class Standing:
    """Where a schedule stands. Mutable only inside one commit; `version` grows with each change."""

    key: Key
    next_at: int | None
    paused: bool = False
    failures: int = 0
    fired: int = 0
    skipped: int = 0
    last_error: str | None = None
    last_execution_id: str | None = None
    last_scheduled_for: int | None = None
    version: int = 1
