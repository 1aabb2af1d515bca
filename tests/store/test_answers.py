"""One answer for each command: what failed has its exception, what was refused at the door moved nothing."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.commands import Accept, Accepted, Command, LeaseRef, Plan, Renew, ReportStep
from sidecar.core.ports import ListQuery
from sidecar.core.refusals import OverloadedError, RefusalError, Refused
from sidecar.store.inbox import Inbox, Reply
from tests.store.held import HeldEncoder
from tests.store.workbench import Desk, Notes, claim, draft

OpenDesk = Callable[..., Desk]


class StrangeCommand(Command[None]):
    """A command that no verb knows."""


def test_a_failed_command_has_its_exception_as_its_answer_and_the_others_stand(desk: Desk) -> None:
    first, strange, last = desk.each(Accept(draft()), StrangeCommand(), Accept(draft()))
    assert isinstance(strange, TypeError)
    for accepted in (first, last):
        assert desk.get(accepted.execution.key[1]).version == 1


def test_a_meter_that_breaks_takes_nothing_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Notes, "committed", broken)
    assert isinstance(desk.do(Accept(draft())), Accepted)
    desk.close()
    assert [type(error) for error in desk.errors] == [ZeroDivisionError]


def test_what_waited_before_the_commit_is_counted_by_the_lease_clock(desk: Desk) -> None:
    arrived = desk.clock.monotonic() - 30
    accepted = desk.do(Accept(draft(), plan=Plan(arrived=arrived)))
    assert isinstance(accepted, Accepted)
    waited = accepted.execution.sent_at - accepted.execution.accepted_at
    assert 30 * 10**9 <= waited < 40 * 10**9


HUGE: dict[str, Callable[[], Command[Any]]] = {
    "run_at": lambda: Accept(draft(), plan=Plan(run_at=2**70)),
    "run_in": lambda: Accept(draft(), plan=Plan(run_in=timedelta.max)),
    "queue_deadline_at": lambda: Accept(draft(queue_deadline_at=2**64)),
    "deadline_at": lambda: Accept(draft(deadline_at=-(2**64))),
    "attempt_timeout": lambda: Accept(draft(attempt_timeout=timedelta(days=365 * 290))),
    "key_ttl": lambda: Accept(draft(idempotency_key="k"), timedelta.max),
    "fence": lambda: Renew(LeaseRef(("default", "e"), b"t", 2**63)),
    "sequence": lambda: ReportStep(
        LeaseRef(("default", "e"), b"t", 1), 2**63, "s", "a" * 16, "", timedelta()
    ),
}


@pytest.mark.parametrize("field", HUGE)
def test_a_number_that_no_column_holds_fails_its_own_command_before_the_database(
    desk: Desk, field: str
) -> None:
    before = desk.store.ledger.healthy_since
    good, bad, other = desk.each(Accept(draft()), HUGE[field](), Accept(draft()))
    assert isinstance(bad, RefusalError)
    assert bad.refused.metadata == {"field": field}
    assert (good.existing, other.existing) == (False, False)
    desk.close()
    assert (desk.errors, desk.notes.commits) == ([], [2])
    assert desk.store.ledger.healthy_since == before


def test_what_is_within_bounds_can_be_claimed_whatever_is_added(desk: Desk) -> None:
    longest = timedelta(days=365 * 73)
    desk.do(Accept(draft(attempt_timeout=longest), plan=Plan(in_queue=longest, total=longest)))
    desk.do(Accept(draft(), plan=Plan(run_at=2**62 - 1, run_in=longest, in_queue=longest)))
    assert len(desk.do(claim(2)).deliveries) == 1


def test_a_page_token_that_no_row_could_have_given_is_refused(desk: Desk) -> None:
    with pytest.raises(RefusalError, match="before"):
        desk.ask(desk.store.reader.page(ListQuery("default", before=(2**70, "e"))))


def test_what_goes_on_has_its_place_however_much_is_new(url: str, open_desk: OpenDesk) -> None:
    """Invariant 9: a full queue of new work makes nobody's heartbeat late."""
    encoder = HeldEncoder()
    desk = open_desk(url, encoder=encoder, max_waiting=5, max_waiting_bytes=20_000)
    before = desk.store.ledger.healthy_since
    encoder.hold()
    first = desk.begin(Accept(draft()))
    assert encoder.entered.wait(10)
    full = desk.begin(*(Accept(draft(payload=b"p" * 3_000)) for _ in range(5)))
    with pytest.raises(OverloadedError):
        desk.do(Accept(draft()))
    renewal = Renew(LeaseRef(("default", "nobody"), b"t", 1))
    heartbeats = desk.begin(*[renewal] * 30)
    with pytest.raises(OverloadedError):
        desk.each(*[renewal] * 30)
    after = desk.store.ledger.healthy_since
    encoder.go_on.set()
    assert len(first.result(10) + full.result(10)) == 6
    assert all(isinstance(answer, Refused) for answer in heartbeats.result(10))
    assert after > before


def test_only_a_refused_heartbeat_is_an_illness(url: str, open_desk: OpenDesk) -> None:
    encoder = HeldEncoder()
    desk = open_desk(url, encoder=encoder, max_waiting=2)
    before = desk.store.ledger.healthy_since
    encoder.hold()
    first = desk.begin(Accept(draft()))
    assert encoder.entered.wait(10)
    full = desk.begin(Accept(draft()), Accept(draft()))
    with pytest.raises(OverloadedError):
        desk.do(Accept(draft()))
    assert desk.store.ledger.healthy_since == before
    encoder.go_on.set()
    assert len(first.result(10) + full.result(10)) == 3


async def _answered(count: int) -> Reply:
    return Reply(asyncio.get_running_loop().create_future(), count)


def test_at_least_twenty_thousand_of_what_goes_on_may_wait() -> None:
    inbox = Inbox(10, 2**30)
    reply = asyncio.run(_answered(20_000))
    renewal = Renew(LeaseRef(("default", "e"), b"t", 1))
    inbox.put([renewal] * 20_000, reply)
    with pytest.raises(OverloadedError):
        inbox.put([renewal], reply)
    inbox.put([Accept(draft())] * 10, reply)
    taken = inbox.take(2**30)
    inbox.put([renewal] * sum(isinstance(e.command, Renew) for e in taken), reply)
