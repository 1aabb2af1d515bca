"""The end of the demo on the screen: outcomes, span trees, the account, and where everything is."""

from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from examples.audit import plan, tracing
from examples.audit.arrivals import REFUSED
from examples.audit.checks import Check
from examples.audit.found import Found, outcome
from examples.audit.ways import Way
from sidecar.cli.account import account_lines, states_line
from sidecar.cli.trace_tree import trace_tree
from sidecar.client import State

SHOWN = 8
ENDS = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
TITLES = {
    Way.API: "one that was asked for by the API",
    Way.WEBHOOK: "one that came as a webhook, in its sender's trace",
    Way.SCHEDULE: "one that a schedule set off",
    REFUSED: "one that was not let in, and is on record all the same",
    plan.DEADLINE: "one that ran into its deadline",
    plan.CANCELLED: "one that was cancelled in the middle of a step",
    plan.KILLED: "one whose worker was killed in the middle of a step, retried",
    plan.SURVIVOR: "one that ran while the sidecar was killed and started again",
}


def show(console: Console, found: Found, report: Path) -> None:
    """Show how it all ended."""
    console.print(Rule("what became of every execution", style="dim"))
    console.print(_outcomes(found))
    console.print(Rule("how it came in", style="dim"))
    console.print(_ways(found))
    console.print(Rule("span trees, as the rows tell them (sidecar trace ID)", style="dim"))
    for title, trace in found.traces.items():
        console.print(Text(TITLES.get(title, title), style="bold underline"), trace_tree(trace), "", sep="\n")
    console.print(Rule("the account (sidecar verify)", style="dim"))
    for line in account_lines(found.verification.account):
        console.print(line)
    console.print(states_line(found.verification))
    console.print(Rule("what had to be so", style="dim"))
    for check in found.checks:
        console.print(_check(check))
    console.print(Rule(style="dim"))
    console.print(Text.assemble("report: ", (str(report), "bold")), soft_wrap=True)


def tell_delivery(console: Console, found: Found, kept: Path | None, *, listening: bool) -> None:
    """Say where the spans are."""
    account, where = found.verification.account, tracing.endpoint()
    if listening:
        console.print(f"a collector at {where} took {account.delivered} of {account.terminal} terminal spans")
    else:
        console.print(f"no collector listens at {where}: the spans wait in the outbox for one")
    if kept is not None:
        console.print(f"to look around: sidecar serve --store sqlite:///{kept}", soft_wrap=True)


def _outcomes(found: Found) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("EXECUTIONS", justify="right")
    table.add_column("OUTCOME")
    table.add_column("WHICH", overflow="fold")
    for ended, count in sorted(found.outcomes().items(), key=lambda each: -each[1]):
        table.add_row(str(count), Text(ended), Text(", ".join(_examples(found, ended))))
    table.add_row(str(found.retried), "took more than one attempt", "", style="dim")
    return table


def _ways(found: Found) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("EXECUTIONS", justify="right")
    table.add_column("WAY IN")
    for state in ENDS:
        table.add_column(state.upper(), justify="right")
    table.add_column("BESIDES", overflow="fold")
    for each in found.arrivals:
        ends = (str(each.states[state]) for state in ENDS)
        table.add_row(str(each.count), each.way, *ends, Text(each.besides))
    return table


def _examples(found: Found, wanted: str) -> list[str]:
    names = [name for name, execution in found.failures() if outcome(execution) == wanted]
    more = len(names) - SHOWN
    return names if more <= 0 else [*names[:SHOWN], f"and {more} more"]


def _check(check: Check) -> Text:
    mark = ("yes", "green") if check.ok else ("NO ", "bold red")
    return Text.assemble(mark, f"  {check.name}: {check.found}")
