"""Style: how the spans of an execution are written, resolved at accept."""

from dataclasses import dataclass
from enum import StrEnum


class LiveParent(StrEnum):
    """What the worker's own spans hang under while an attempt goes on."""

    PROCESS = "process"
    START = "start"


class TerminalSpan(StrEnum):
    """What the terminal span spans: accept to outcome, or the settlement alone."""

    FULL = "full"
    SUMMARY = "summary"


class SettlementLogs(StrEnum):
    """Which settlements also leave a log record."""

    UNSAMPLED = "unsampled"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Style:
    """How an execution's spans are written; resolved at accept, as the reaper needs it too."""

    live_parent: LiveParent = LiveParent.PROCESS
    terminal_span: TerminalSpan = TerminalSpan.FULL
    settlement_logs: SettlementLogs = SettlementLogs.UNSAMPLED


PLAIN = Style()
