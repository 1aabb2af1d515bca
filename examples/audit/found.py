"""What the sidecar says when all is over: every execution, the staged ones, the account."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from examples.audit import arrivals, checks, plan
from examples.audit.arrivals import REFUSED, Arrivals, Sent
from examples.audit.checks import Check
from examples.audit.plan import Request
from examples.audit.ways import TALLY, Way, schedule_of
from sidecar.client import Execution, State, SyncClient, Trace, Verification

PAGE = 1_000

Tallies = Sequence[tuple[datetime, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """Every execution by the name of its request, the staged ones in full, and the account."""

    executions: Mapping[str, Execution]
    staged: Mapping[str, Execution]
    arrivals: Sequence[Arrivals]
    tallies: Tallies
    traces: Mapping[str, Trace]
    verification: Verification
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether everything was as it should be."""
        return all(check.ok for check in self.checks)

    @property
    def retried(self) -> int:
        """How many took more than one attempt."""
        return sum(each.attempts > 1 for each in self.executions.values())

    def outcomes(self) -> Counter[str]:
        """Count the executions by outcome, failures by their `error.type`."""
        return Counter(outcome(each) for each in self.executions.values())

    def failures(self) -> list[tuple[str, Execution]]:
        """Return what did not succeed, staged ones last."""
        bad = [(name, e) for name, e in self.executions.items() if e.state is not State.SUCCEEDED]
        return sorted(bad, key=lambda each: (each[0].startswith("["), each[0]))


def outcome(execution: Execution) -> str:
    """Return the state, and the `error.type` of a failure."""
    return f"{execution.state}: {execution.error.type}" if execution.error else str(execution.state)


def look(client: SyncClient, requests: Sequence[Request], sent: Sent) -> Found:
    """Ask the sidecar about everything."""
    every = list(client.list(page_size=PAGE))
    executions = _named(every, requests, sent.heard.names())
    by_stage = {each.staged: each.name for each in requests if each.staged}
    staged = {stage: executions[name] for stage, name in by_stage.items() if name in executions}
    traces = {title: client.trace(e.execution_id) for title, e in _shown(executions, staged).items()}
    verification = client.verify()
    held = (
        *checks.of_the_staged(staged, sent.heard.accepted.get(by_stage[plan.TWICE], [])),
        *arrivals.checks(every, sent),
        *checks.of_all(executions, {each.name for each in requests}, verification),
    )
    by_way = arrivals.by_way(every, sent)
    return Found(executions, staged, by_way, _tallies(client, every), traces, verification, held)


def _named(
    executions: Iterable[Execution], requests: Sequence[Request], accepted: Mapping[str, str]
) -> dict[str, Execution]:
    scheduled = {schedule_of(each.module): each.name for each in requests if each.way is Way.SCHEDULE}

    def name(execution: Execution) -> str:
        found = execution.correlation
        if found.schedule_id == TALLY and found.scheduled_for:
            return f"[tally] {found.scheduled_for:%H:%M:%S}"
        known = scheduled.get(found.schedule_id) or accepted.get(found.execution_id)
        return known or found.execution_id

    return {name(each): each for each in executions}


def _shown(executions: Mapping[str, Execution], staged: Mapping[str, Execution]) -> dict[str, Execution]:
    """Return those whose span trees are shown: one of each way that succeeded, a refused one, the staged."""
    ordinary = [e for name, e in executions.items() if name[0] != "[" and e.state is State.SUCCEEDED]
    refused = [e for e in executions.values() if arrivals.way_of(e) == REFUSED]
    first = {arrivals.way_of(e): e for e in (*ordinary, *refused)}
    in_order = {way: first[way] for way in (*Way, REFUSED) if way in first}
    return {
        **in_order,
        **{stage: staged[stage] for stage in plan.STAGED if stage in staged and stage != plan.TWICE},
    }


def _tallies(client: SyncClient, executions: Iterable[Execution]) -> Tallies:
    """Return how many modules were measured by when, as the tallies have counted them."""
    counted = []
    for each in executions:
        if each.correlation.workflow_id == TALLY and each.state is State.SUCCEEDED and each.finalized_at:
            output = client.get(each.execution_id).value()
            counted.append((each.finalized_at, output["measured"] if isinstance(output, dict) else 0))
    return sorted(counted)
