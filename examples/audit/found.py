"""What the sidecar says when all is over: every execution, the staged ones, the account."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from examples.audit import plan
from examples.audit.crew import Crew
from examples.audit.plan import Request
from examples.audit.stage import ending
from sidecar.cli.account import adds_up
from sidecar.client import Execution, State, SyncClient, Trace, Verification

PAGE = 1_000
UNREADABLE = ("does_not_decode", "does_not_parse")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so, and what was found."""

    name: str
    ok: bool
    found: str


@dataclass(frozen=True, slots=True)
class Found:
    """Every execution by the name of its request, the staged ones in full, and the account."""

    executions: Mapping[str, Execution]
    staged: Mapping[str, Execution]
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


def look(client: SyncClient, crew: Crew, requests: Sequence[Request]) -> Found:
    """Ask the sidecar about everything."""
    names = crew.names()
    executions = {names.get(e.execution_id, e.execution_id): e for e in client.list(page_size=PAGE)}
    by_stage = {each.staged: each.name for each in requests if each.staged}
    staged = {stage: executions[name] for stage, name in by_stage.items() if name in executions}
    success = next((e for n, e in executions.items() if e.state is State.SUCCEEDED and n[0] != "["), None)
    shown = {
        "a success": success,
        **{stage: staged.get(stage) for stage in plan.STAGED if stage != plan.TWICE},
    }
    traces = {title: client.trace(e.execution_id) for title, e in shown.items() if e}
    verification = client.verify()
    checks = (
        *_staged_checks(staged, crew.accepted.get(by_stage[plan.TWICE], [])),
        *_checks(executions, {each.name for each in requests}, verification),
    )
    return Found(executions, staged, traces, verification, checks)


def _staged_checks(staged: Mapping[str, Execution], twice: Sequence[tuple[str, bool]]) -> Iterator[Check]:
    wanted = {
        plan.DEADLINE: "failed timeout after 1 attempt",
        plan.CANCELLED: "cancelled after 1 attempt",
        plan.TWICE: "succeeded after 1 attempt",
        plan.KILLED: "succeeded after 2 attempts",
        plan.SURVIVOR: "succeeded after 1 attempt",
    }
    for stage, end in wanted.items():
        found = ending(staged[stage]) if stage in staged else "never accepted"
        yield Check(f"staged: {stage}", found == end, found)
    once = (
        len(twice) == 2 and len({each for each, _ in twice}) == 1 and [e for _, e in twice].count(True) == 1
    )
    yield Check(
        "accepted twice, run once", once, f"{len(twice)} answers, {len({i for i, _ in twice})} execution"
    )


def _checks(
    executions: Mapping[str, Execution], asked: set[str], verification: Verification
) -> Iterator[Check]:
    missing = asked - executions.keys()
    open_ones = sum(not each.is_terminal for each in executions.values())
    wrong = len(verification.violations)
    yield Check(
        "every request is an execution", not missing, f"{len(asked)} requests, {len(missing)} missing"
    )
    yield Check(
        "every execution is terminal", not open_ones, f"{len(executions)} executions, {open_ones} open"
    )
    yield Check(
        "the account adds up", adds_up(verification.account), f"{verification.account.terminal} terminal"
    )
    yield Check("no invariant is broken", not wrong, f"{wrong} violations")
