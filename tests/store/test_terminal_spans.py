"""Terminal spans are counted in what is stored: every outbox row, decoded. Invariants 1 and 2."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sidecar.core.commands import Accept, Cancel, Command, Plan, Reap
from sidecar.core.model import Execution
from sidecar.telemetry.encoding import OtlpEncoder
from tests.services.wire import spans_in
from tests.store.workbench import Desk, Sql, claim, draft, success

OWN = (("service.name", "execution-sidecar"),)


def stored_spans(sql: Sql) -> Counter[tuple[str, str]]:
    """Return how often each span, by trace and span id, is in the bodies of the outbox."""
    rows = sql.run("SELECT body FROM outbox WHERE signal = 'traces'")
    copies = (copy.span for row in rows for copy in spans_in(bytes(row[0])))
    return Counter((span.trace_id.hex(), span.span_id.hex()) for span in copies)


def rivals(desk: Desk, count: int) -> list[Command[Any]]:
    """Return, of as many executions that run, a settlement, a cancellation and a reaping of each."""
    soon = Plan(total=timedelta(milliseconds=1))
    desk.each(*(Accept(draft(), plan=soon) if n % 2 else Accept(draft()) for n in range(count)))
    deliveries = [d for _ in range(2) for d in desk.do(claim(count)).deliveries]
    due = desk.ask(desk.store.reader.due(2**61, count))
    cancels = [Cancel(d.ref.key, "", timedelta()) for d in deliveries]
    return [*map(success, deliveries), *map(success, deliveries), *cancels, *(Reap(d, True) for d in due)]


def test_however_an_execution_ends_its_terminal_span_is_stored_exactly_once(
    url: str, open_desk: Callable[..., Desk], sql_of: Callable[[str], Sql]
) -> None:
    desk = open_desk(url, encoder=OtlpEncoder(OWN))
    commands = rivals(desk, 120)
    random.Random(7).shuffle(commands)
    pending = [desk.begin(*commands[start : start + 3]) for start in range(0, len(commands), 3)]
    assert not any(isinstance(answer, Exception) for future in pending for answer in future.result(30))
    desk.each(*(Cancel(e.key, "", timedelta()) for e in desk.ask(desk.store.reader.running())))
    ended = all_of(desk, sql_of(url))
    found = stored_spans(sql_of(url))
    for execution in ended:
        anchor = execution.anchor
        expected = (int(execution.is_terminal), 1)
        ids = (anchor.terminal_span_id, anchor.send_span_id)
        assert tuple(found[anchor.trace_id, span_id] for span_id in ids) == expected
    assert set(found.values()) == {1}
    assert len({e.state for e in ended if e.is_terminal}) >= 2


def all_of(desk: Desk, sql: Sql) -> list[Execution]:
    return [desk.get(row[0]) for row in sql.run("SELECT execution_id FROM executions")]
