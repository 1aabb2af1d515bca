"""How everything came in: by which way how much of it, and whether each way kept its word."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from examples.audit.checks import Check
from examples.audit.deliveries import AGAIN, FORGERIES, Kind
from examples.audit.heard import NO_TRACE, Delivered, Heard
from examples.audit.stage import UNAUTHORIZED
from examples.audit.ways import HOOK, HOOK_PATH, PROVIDER, TALLY, Way
from sidecar.client import Execution, ScheduleStatus, State

REFUSED = "refused"
BAD_REQUEST = 400
SECOND = timedelta(seconds=1)
_SOURCES = {"workflow": Way.API, "webhook": Way.WEBHOOK, "schedule": Way.SCHEDULE}


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came in by one way, and what else there was that became no execution of its own."""

    way: str
    states: Counter[State]
    besides: str

    @property
    def count(self) -> int:
        """How many executions came in this way."""
        return self.states.total()


@dataclass(frozen=True, slots=True)
class Sent:
    """What was asked for: all that the caller told, the one-time schedules, and how all schedules stand."""

    heard: Heard
    planned: Mapping[str, datetime]
    schedules: Sequence[ScheduleStatus]


def way_of(execution: Execution) -> str:
    """Return the way that an execution came in; those that were not let in are a kind of their own."""
    if execution.finalization_path == "rejected":
        return REFUSED
    return _SOURCES[execution.correlation.source]


def by_way(executions: Iterable[Execution], sent: Sent) -> list[Arrivals]:
    """Return what came in, by way."""
    states: dict[str, Counter[State]] = {way: Counter() for way in (*Way, REFUSED)}
    for each in executions:
        states[way_of(each)][each.state] += 1
    besides = _besides(sent)
    return [Arrivals(way, counts, besides[way]) for way, counts in states.items()]


def checks(executions: Sequence[Execution], sent: Sent) -> Iterator[Check]:
    """Yield what has to hold of webhooks and schedules."""
    yield _webhooks([e for e in executions if e.correlation.source == "webhook"], sent.heard)
    yield _again(sent.heard)
    yield _forged(executions, sent.heard)
    yield _misfit(executions, sent.heard.of(Kind.MISFIT))
    times: dict[str, list[datetime]] = {each.schedule_id: [] for each in sent.schedules}
    for each in executions:
        if each.correlation.scheduled_for:
            times.setdefault(each.correlation.schedule_id, []).append(each.correlation.scheduled_for)
    yield _once(times, sent.planned)
    yield _every_second(sorted(times.get(TALLY, [])))
    yield _counted(times, sent.schedules)


def _webhooks(executions: Sequence[Execution], heard: Heard) -> Check:
    """Hold every execution of the webhook against the delivery that it belongs to: one for each, no other."""
    sent = {each.execution_id: each for each in heard.of(Kind.GENUINE, Kind.MISFIT)}
    strangers = [each for each in executions if each.execution_id not in sent]
    right = [
        each for each in executions if each.execution_id in sent and _fits(each, sent[each.execution_id])
    ]
    found = f"{len(sent)} signed and sent, {len(right)} executions, {len(strangers)} others"
    ok = not strangers and len(right) == len(sent) == len(heard.of(Kind.GENUINE, Kind.MISFIT))
    return Check(
        "every webhook is one execution, in its sender's trace",
        ok,
        found,
    )


def _fits(execution: Execution, delivered: Delivered) -> bool:
    found = execution.correlation
    ids = (found.webhook_id, found.path, found.provider, found.trigger_type)
    trace = delivered.trace_id in (NO_TRACE, execution.trace_id)
    key = execution.idempotency_key.endswith(f":{delivered.delivery_id}") or delivered.kind is Kind.MISFIT
    return ids == (HOOK, HOOK_PATH, PROVIDER, "webhook") and bool(found.request_id) and trace and key


def _again(heard: Heard) -> Check:
    first = {each.delivery_id: each.execution_id for each in heard.of(Kind.GENUINE)}
    again = heard.of(Kind.AGAIN)
    same = [e for e in again if e.existing and e.execution_id == first.get(e.delivery_id)]
    found = f"{len(again)} sent again, {len(same)} answered with the former execution"
    return Check("webhooks sent again ran once", len(same) == len(again) == min(AGAIN, len(first)), found)


def _forged(executions: Iterable[Execution], heard: Heard) -> Check:
    forged = heard.of(*FORGERIES)
    wanted = min(len(FORGERIES), len(heard.of(Kind.GENUINE)))
    away = sum(each.status == UNAUTHORIZED and not each.execution_id for each in forged)
    keys = tuple(f":{each.delivery_id}" for each in forged)
    queued = sum(each.idempotency_key.endswith(keys) for each in executions)
    found = f"{len(forged)} forged, {away} answered with 401, {queued} executions"
    return Check("forged webhooks leave nothing", away == len(forged) == wanted and not queued, found)


def _misfit(executions: Iterable[Execution], sent: Sequence[Delivered]) -> Check:
    answers = {each.execution_id: (each.status, each.reason) for each in sent}
    refused = [e for e in executions if way_of(e) == REFUSED]
    endings = [(e.state, e.attempts, e.error.type if e.error else "") for e in refused]
    ok = (
        list(answers.values()) == [(BAD_REQUEST, "PAYLOAD_INVALID")]
        and [e.execution_id for e in refused] == list(answers)
        and endings == [(State.FAILED, 0, "preprocessing.payload_invalid")]
    )
    found = ", ".join(f"{state} {error}" for state, _, error in endings) or "no record"
    return Check("what does not fit the schema is refused, and on record", ok, found)


def _once(times: Mapping[str, Sequence[datetime]], planned: Mapping[str, datetime]) -> Check:
    right = sum(list(times.get(schedule, ())) == [at] for schedule, at in planned.items())
    found = f"{len(planned)} schedules, {right} with one execution for the planned time"
    return Check("every one-time schedule is one execution", right == len(planned), found)


def _every_second(tallies: Sequence[datetime]) -> Check:
    gaps = [later - former for former, later in pairwise(tallies)]
    lost, double = sum(gap > SECOND for gap in gaps), sum(gap < SECOND for gap in gaps)
    found = f"{len(tallies)} seconds, {lost} gaps, {double} twice"
    return Check(
        "every second has one tally, through kill and restart",
        bool(tallies) and gaps == [SECOND] * len(gaps),
        found,
    )


def _counted(times: Mapping[str, Sequence[datetime]], schedules: Sequence[ScheduleStatus]) -> Check:
    fired, passed = sum(each.fired for each in schedules), sum(each.skipped for each in schedules)
    ok = not passed and all(len(times[each.schedule_id]) == each.fired for each in schedules)
    found = f"{fired} fired, {sum(map(len, times.values()))} executions, {passed} passed over"
    return Check("what fired is an execution", ok, found)


def _besides(sent: Sent) -> dict[str, str]:
    repeated = sum(each.existing for each in sent.heard.delivered)
    calls = sum(existing for answers in sent.heard.accepted.values() for _, existing in answers) - repeated
    forged = sum(each.status == UNAUTHORIZED for each in sent.heard.of(*FORGERIES))
    ticks = sum(each.fired for each in sent.schedules if each.schedule_id == TALLY)
    reasons = {f"{each.status} {each.reason}" for each in sent.heard.of(Kind.MISFIT)}
    return {
        Way.API: f"{calls} asked for again: existing",
        Way.WEBHOOK: f"{repeated} sent again: existing; {forged} forged: 401, nothing kept",
        Way.SCHEDULE: f"{len(sent.planned)} one-time, {ticks} by the second",
        REFUSED: f"by webhook: {', '.join(sorted(reasons))}",
    }
