"""How modules come in: by the API, by webhook or by schedule, in which shares."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from examples.audit.modules import Module, spread

MANIFEST = Path(__file__).with_name("manifest.yaml")
HOOK, HOOK_PATH, PROVIDER = "audit-hook", "audit/modules", "audit-feed"
KEY_VARIABLE = "AUDIT_HOOK_SECRET"
TALLY, CLOCK = "audit-tally", "clock"
ONCE_PREFIX = "audit-once-"

WEBHOOK_PART, LEAST_WEBHOOKS = 10, 10
MOST_SCHEDULED = 8


class Way(StrEnum):
    """The way that a module comes in."""

    API = "api"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"


def shared_out(modules: Sequence[Module]) -> Iterator[tuple[Module, Way]]:
    """Yield every module with its way, in the order that they came in."""
    webhooks, scheduled = shares(len(modules))
    aside = spread(modules, webhooks + scheduled)
    by_schedule = {module.name for module in spread(aside, scheduled)}
    by_webhook = {module.name for module in aside} - by_schedule
    for module in modules:
        if module.name in by_schedule:
            yield module, Way.SCHEDULE
        else:
            yield module, Way.WEBHOOK if module.name in by_webhook else Way.API


def shares(modules: int) -> tuple[int, int]:
    """Return how many of so many modules come as webhooks, and how many have a schedule."""
    webhooks = min(max(modules // WEBHOOK_PART, LEAST_WEBHOOKS), modules // 3)
    return webhooks, min(MOST_SCHEDULED, modules // 6)


def schedule_of(module: str) -> str:
    """Return the id of the one-time schedule of a module."""
    return f"{ONCE_PREFIX}{module}"
