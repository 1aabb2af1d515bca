"""Correlation: the identity of an execution, made once where it enters, and carried by all that it leaves."""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """What kind of entry set the execution off."""

    WORKFLOW = "workflow"
    SCHEDULE = "schedule"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Correlation:
    """The identity made once at the entry; the same object on every record, span and log line.

    `fallback`: ids were derived, as a legacy payload came without them.
    """

    namespace: str
    execution_id: str
    request_id: str
    workflow_id: str
    root_execution_id: str
    parent_execution_id: str | None = None
    source: Source = Source.WORKFLOW
    trigger_type: str = "api"
    webhook_id: str | None = None
    path: str | None = None
    provider: str | None = None
    schedule_id: str | None = None
    scheduled_for: int | None = None
    external_id: str | None = None
    fallback: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the row."""
        return self.namespace, self.execution_id
