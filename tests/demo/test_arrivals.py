"""What the demo holds against webhooks and schedules notices when one of them breaks its word."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from examples.audit import arrivals, plan, ways
from examples.audit.arrivals import Sent
from examples.audit.deliveries import FORGERIES, Kind
from examples.audit.heard import Delivered, Heard
from examples.audit.ways import TALLY
from sidecar.client import Correlation, Execution, Failure, ScheduleStatus, State

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TRACE = "ab" * 16
ONCE = "audit-once-m1"


def webhook(execution_id: str, delivery: str, **fields: str) -> Execution:
    found = Correlation(
        "default",
        execution_id,
        "r",
        plan.WORKFLOW,
        source="webhook",
        trigger_type="webhook",
        webhook_id=ways.HOOK,
        path=ways.HOOK_PATH,
        provider=fields.get("provider", ways.PROVIDER),
    )
    key = f"webhook:10:{ways.HOOK}:{delivery}"
    trace_id = fields.get("trace_id", TRACE)
    return Execution(found, State.SUCCEEDED, 1, "default", 1, trace_id=trace_id, idempotency_key=key)


def occurrence(schedule: str, at: datetime) -> Execution:
    found = Correlation(
        "default", f"{schedule} {at}", "r", "", source="schedule", schedule_id=schedule, scheduled_for=at
    )
    return Execution(found, State.SUCCEEDED, 1, "default", 1)


def standing(schedule: str, fired: int, skipped: int = 0) -> ScheduleStatus:
    return ScheduleStatus(schedule, "", "", "", "", "", "", 0, (), False, "", 0, fired, skipped, None, "")


def refused() -> Execution:
    error = Failure("preprocessing.payload_invalid")
    found = replace(webhook("e-misfit", ""), state=State.FAILED, attempts=0, error=error, idempotency_key="")
    return replace(found, finalization_path="rejected")


def delivered(kind: Kind, delivery: str, status: int, execution_id: str = "", reason: str = "") -> Delivered:
    return Delivered(delivery, delivery, kind, status, execution_id, kind is Kind.AGAIN, reason, TRACE)


@dataclass
class World:
    """One good run, to be spoilt."""

    executions: list[Execution] = field(default_factory=list)
    sent: list[Delivered] = field(default_factory=list)
    schedules: list[ScheduleStatus] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids = [f"d{n}" for n in range(6)]
        self.executions += [webhook(f"e-{each}", each) for each in ids]
        self.executions += [occurrence(TALLY, BEGAN + SECOND * n) for n in range(4)]
        self.executions += [occurrence(ONCE, BEGAN), refused()]
        self.sent += [delivered(Kind.GENUINE, each, 202, f"e-{each}") for each in ids]
        self.sent += [delivered(Kind.AGAIN, each, 200, f"e-{each}") for each in ids[:5]]
        self.sent += [delivered(kind, f"forged-{kind}", 401) for kind in FORGERIES]
        self.sent.append(delivered(Kind.MISFIT, "misfit", 400, "e-misfit", "PAYLOAD_INVALID"))
        self.schedules += [standing(TALLY, 4), standing(ONCE, 1)]

    def broken(self) -> list[str]:
        """Return what does not hold."""
        return [each.name for each in arrivals.checks(self.executions, self.all_sent()) if not each.ok]

    def all_sent(self) -> Sent:
        heard = Heard()
        heard.delivered += self.sent
        return Sent(heard, {ONCE: BEGAN}, self.schedules)


def test_a_good_run_keeps_every_word() -> None:
    assert World().broken() == []


def test_what_came_in_is_counted_by_way() -> None:
    world = World()
    counts = {each.way: each.count for each in arrivals.by_way(world.executions, world.all_sent())}
    assert counts == {"api": 0, "webhook": 6, "schedule": 5, "refused": 1}


def lose_a_webhook(world: World) -> None:
    del world.executions[0]


def double_a_webhook(world: World) -> None:
    world.executions.append(webhook("another", "d0"))


def leave_the_trace(world: World) -> None:
    world.executions[0] = webhook("e-d0", "d0", trace_id="cd" * 16)


def forget_the_provider(world: World) -> None:
    world.executions[0] = webhook("e-d0", "d0", provider="")


def run_a_repeat(world: World) -> None:
    world.sent[6] = replace(world.sent[6], existing=False, execution_id="another")


def repeat_too_few(world: World) -> None:
    del world.sent[6]


def queue_a_forgery(world: World) -> None:
    world.executions.append(webhook("another", f"forged-{Kind.STALE}"))


def accept_a_forgery(world: World) -> None:
    world.sent[11] = replace(world.sent[11], status=202)


def let_the_misfit_in(world: World) -> None:
    world.executions[-1] = replace(world.executions[-1], attempts=1)


def forget_the_misfit(world: World) -> None:
    del world.executions[-1]


def lose_an_occurrence(world: World) -> None:
    del world.executions[10]


def fire_late(world: World) -> None:
    world.executions[10] = occurrence(ONCE, BEGAN + SECOND)


def lose_a_second(world: World) -> None:
    del world.executions[7]


def double_a_second(world: World) -> None:
    world.executions.insert(7, world.executions[7])


def pass_one_over(world: World) -> None:
    world.schedules[0] = standing(TALLY, 4, skipped=1)


WEBHOOKS = "every webhook is one execution, in its sender's trace"
AGAIN = "webhooks sent again ran once"
FORGED = "forged webhooks leave nothing"
MISFIT = "what does not fit the schema is refused, and on record"
ONE_TIME = "every one-time schedule is one execution"
EVERY_SECOND = "every second has one tally, through kill and restart"
FIRED = "what fired is an execution"


@pytest.mark.parametrize(
    ("spoil", "broken"),
    [
        (lose_a_webhook, [WEBHOOKS]),
        (double_a_webhook, [WEBHOOKS]),
        (leave_the_trace, [WEBHOOKS]),
        (forget_the_provider, [WEBHOOKS]),
        (run_a_repeat, [AGAIN]),
        (repeat_too_few, [AGAIN]),
        (queue_a_forgery, [WEBHOOKS, FORGED]),
        (accept_a_forgery, [FORGED]),
        (let_the_misfit_in, [MISFIT]),
        (forget_the_misfit, [WEBHOOKS, MISFIT]),
        (lose_an_occurrence, [ONE_TIME, FIRED]),
        (fire_late, [ONE_TIME]),
        (lose_a_second, [EVERY_SECOND, FIRED]),
        (double_a_second, [EVERY_SECOND, FIRED]),
        (pass_one_over, [FIRED]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_word_is_noticed(spoil: Callable[[World], None], broken: list[str]) -> None:
    world = World()
    spoil(world)
    assert world.broken() == broken
