"""What people are shown: trees, tables and the account, without markup in what users chose."""

import io
import re

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from sidecar.cli import display
from sidecar.cli.account import account_lines, adds_up, states_line
from sidecar.cli.output import console
from sidecar.cli.trace_tree import trace_tree
from sidecar.client import Account, State
from tests.cli import samples


def shown(*each: RenderableType) -> str:
    stream = io.StringIO()
    writer: Console = console(stream)
    for one in each:
        writer.print(one)
    return stream.getvalue()


def test_the_tree_nests_as_the_parents_say_and_shows_the_terminal_span_last() -> None:
    lines = shown(trace_tree(samples.trace())).splitlines()
    texts = [line.lstrip(" │├└─") for line in lines]
    assert [text.split("  ")[0] for text in texts] == [
        f"trace {'ab' * 16} · 5 spans",
        "the caller's span c0ffee",
        "send default",
        "process default (attempt 1)",
        "read",
        "parse",
        "execution bill",
    ]
    depths = [len(line) - len(text) for line, text in zip(lines, texts, strict=True)]
    assert depths == [0, 4, 8, 12, 16, 16, 12]


def test_each_span_says_kind_service_duration_status_and_delivery() -> None:
    text = shown(trace_tree(samples.trace()))
    assert "send default  PRODUCER  sidecar  12.5 ms  ok  delivered" in text
    assert "parse  INTERNAL  sidecar  running  open  open" in text
    assert "execution bill  INTERNAL  sidecar  12.5 ms  timeout  delivered" in text


def test_a_pipe_gets_no_colours_and_no_wrapping() -> None:
    found = samples.execution(State.FAILED, cancel_reason="")
    long = "x" * 500
    text = shown(display.execution(found), Text(long, style="red"), display.executions([found]))
    assert "\x1b" not in text
    assert long in text.splitlines()


def test_brackets_in_what_users_chose_are_not_markup() -> None:
    text = shown(display.execution(samples.execution(State.FAILED, output=b"")))
    assert "timeout: over [2 s]" in text


@pytest.mark.parametrize(
    ("account", "fits"),
    [
        (samples.NOTHING, True),
        (Account(7, 1, 1, 1, 1, 1, 1, 1), True),
        (Account(8, 1, 1, 1, 1, 1, 1, 1), False),
        (Account(6, 1, 1, 1, 1, 1, 1, 1), False),
    ],
)
def test_the_account_is_added_up(account: Account, *, fits: bool) -> None:
    assert adds_up(account) is fits
    assert ("the sum does not fit" in shown(*account_lines(account))) is not fits


def test_the_equation_stands_under_its_words() -> None:
    words, numbers = shown(*account_lines(Account(412, 400, 12, 0, 0, 0, 0, 0))).splitlines()
    parts = ("delivered", "pending", "rejected", "dead-lettered", "dropped", "unsampled", "disabled")
    assert re.sub(r" +", " ", words) == f"terminal executions = {' + '.join(parts)}"
    assert re.sub(r" +", " ", numbers).strip() == "412 = 400 + 12 + 0 + 0 + 0 + 0 + 0"
    assert words.index("=") == numbers.index("=")


def test_every_state_is_counted() -> None:
    expected = "0 queued · 0 running · 0 paused · 2 succeeded · 0 failed · 0 cancelled"
    assert shown(states_line(samples.verification())).strip() == expected
