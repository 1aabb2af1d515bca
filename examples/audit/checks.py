"""What has to be so at the end, whatever way the work came in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from examples.audit import plan
from examples.audit.stage import ending
from sidecar.cli.account import adds_up
from sidecar.client import Execution, Verification


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so, and what was found."""

    name: str
    ok: bool
    found: str


def of_the_staged(staged: Mapping[str, Execution], twice: Sequence[tuple[str, bool]]) -> Iterator[Check]:
    """Yield what holds of the staged executions; `twice` are the answers to the key that was used twice."""
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


def of_all(
    executions: Mapping[str, Execution], asked: set[str], verification: Verification
) -> Iterator[Check]:
    """Yield what holds of all executions together; `asked` are the names of the requests."""
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
