"""The account of all executions: terminal executions = what became of their terminal spans."""

from collections.abc import Iterator
from dataclasses import fields

from rich.table import Table
from rich.text import Text

from sidecar.client import Account, State, Verification

_STATES = (State.QUEUED, State.RUNNING, State.PAUSED, State.SUCCEEDED, State.FAILED, State.CANCELLED)
PARTS = tuple(field.name for field in fields(Account) if field.name != "terminal")


def adds_up(account: Account) -> bool:
    """Say whether the parts make the whole."""
    parts: int = sum(getattr(account, part) for part in PARTS)
    return account.terminal == parts


def account_lines(account: Account) -> Iterator[Text]:
    """Yield the equation in words and in numbers."""
    words = ["terminal executions", *(part.replace("_", "-") for part in PARTS)]
    numbers = [str(account.terminal), *(str(getattr(account, part)) for part in PARTS)]
    widths = [max(len(word), len(number)) for word, number in zip(words, numbers, strict=True)]
    yield Text(_equation(words, widths))
    yield Text(_equation(numbers, widths), style="green" if adds_up(account) else "bold red")
    if not adds_up(account):
        yield Text("the sum does not fit", style="bold red")


def _equation(terms: list[str], widths: list[int]) -> str:
    padded = [term.rjust(width) for term, width in zip(terms, widths, strict=True)]
    return f"{padded[0]} = {' + '.join(padded[1:])}"


def states_line(found: Verification) -> Text:
    """Return the executions by state, those that there are none of included."""
    counts = {name.lower(): count for name, count in found.states.items()}
    shown = [*_STATES, *sorted(counts.keys() - set(_STATES))]
    return Text(" · ".join(f"{counts.get(state, 0)} {state}" for state in shown))


def violations_table(found: Verification) -> Table:
    """Return what breaks an invariant."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("NAMESPACE", "EXECUTION", "VIOLATION", "WHAT IS WRONG"):
        table.add_column(name, no_wrap=True)
    for each in found.violations:
        table.add_row(
            Text(each.namespace), Text(each.execution_id), Text(each.kind, style="red"), Text(each.message)
        )
    return table
