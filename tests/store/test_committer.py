"""The committer: many commands a commit, a bad one fails alone, and no answer before the commit."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import cast

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from sidecar import failpoints
from sidecar.core.commands import Accept, Accepted, Claim, Command, Renew
from sidecar.core.lifecycle import State
from sidecar.core.refusals import OverloadedError, StoreUnavailableError
from tests.services.absent import or_absent
from tests.services.postgres import Postgres
from tests.services.postgres_programs import postgres_programs
from tests.store.held import HeldEncoder
from tests.store.workbench import Desk, Sql, claim, draft, success

OpenDesk = Callable[..., Desk]


class StrangeCommand(Command[None]):
    """A command that no verb knows."""


def test_what_waited_is_committed_together(url: str, open_desk: OpenDesk) -> None:
    encoder = HeldEncoder()
    desk = open_desk(url, encoder=encoder)
    encoder.hold()
    first = desk.begin(Accept(draft()))
    assert encoder.entered.wait(10)
    rest = [desk.begin(Accept(draft())) for _ in range(50)]
    desk.ask(desk.store.reader.lease_now())
    encoder.go_on.set()
    for answer in (first, *rest):
        assert not answer.result(10)[0].existing
    desk.close()
    assert desk.notes.commits == [1, 50]


def test_one_bad_command_among_a_hundred_fails_alone(desk: Desk, sql: Sql) -> None:
    bad = draft()
    bad.anchor = replace(bad.anchor, sampler_attributes=(("a", cast("str", object())),))
    commands = [Accept(draft()) for _ in range(99)]
    answers = desk.each(*commands[:50], Accept(bad), *commands[50:])
    assert [i for i, answer in enumerate(answers) if not isinstance(answer, Accepted)] == [50]
    assert isinstance(answers[50], TypeError)
    assert sql.run("SELECT count(*) FROM executions")[0][0] == 99
    assert len(desk.errors) == 1


def test_a_command_that_nobody_knows_fails_alone(desk: Desk) -> None:
    known, strange = desk.begin(Accept(draft())), desk.begin(StrangeCommand())
    assert not known.result(10)[0].existing
    assert "StrangeCommand" in str(strange.result(10)[0])
    with pytest.raises(TypeError, match="StrangeCommand"):
        desk.do(StrangeCommand())


def test_a_caller_that_gave_up_has_its_command_applied_all_the_same(url: str, open_desk: OpenDesk) -> None:
    encoder = HeldEncoder()
    desk = open_desk(url, encoder=encoder)
    encoder.hold()
    execution = draft()
    given_up = desk.begin(Accept(execution))
    assert encoder.entered.wait(10)
    given_up.cancel()
    encoder.go_on.set()
    with pytest.raises(CancelledError):
        given_up.result(10)
    again = desk.do(Accept(execution))
    assert isinstance(again, Accepted)
    assert again.existing


def test_closing_commits_what_was_handed_in_and_takes_nothing_more(url: str, open_desk: OpenDesk) -> None:
    encoder = HeldEncoder()
    desk = open_desk(url, encoder=encoder)
    encoder.hold()
    handed_in = [desk.begin(Accept(draft())) for _ in range(3)]
    assert encoder.entered.wait(10)
    desk.ask(desk.store.reader.lease_now())
    closing = threading.Thread(target=desk.store.ledger.close)
    closing.start()
    encoder.go_on.set()
    closing.join(10)
    assert [f.result(10)[0].existing for f in handed_in] == [False] * 3
    with pytest.raises(StoreUnavailableError, match="closing"):
        desk.do(Accept(draft()))


def test_more_than_the_queue_holds_is_refused_and_nothing_of_it_kept(
    url: str, open_desk: OpenDesk, sql_of: Callable[[str], Sql]
) -> None:
    """Invariant 7."""
    encoder = HeldEncoder()
    desk = open_desk(url, encoder=encoder, max_waiting=10)
    encoder.hold()
    first = desk.begin(Accept(draft()))
    assert encoder.entered.wait(10)
    second = desk.begin(*(Accept(draft()) for _ in range(8)))
    third = desk.begin(*(Accept(draft()) for _ in range(8)))
    with pytest.raises(OverloadedError):
        third.result(10)
    encoder.go_on.set()
    assert len(first.result(10)) + len(second.result(10)) == 9
    assert sql_of(url).run("SELECT count(*) FROM executions")[0][0] == 9


@pytest.mark.parametrize(
    "point", ["commit.begun", "settle.before_outbox", "settle.between", "settle.before_commit"]
)
def test_a_fault_before_the_commit_leaves_nothing_behind_and_is_tried_again(
    desk: Desk, sql: Sql, point: str
) -> None:
    delivery = desk.run_one()
    failpoints.arm(f"{point}=error")
    with pytest.raises(failpoints.InjectedError):
        desk.do(success(delivery))
    assert desk.get(delivery.ref.key[1]).state is State.RUNNING
    assert sql.run("SELECT count(*) FROM outbox WHERE kind = 'attempt'")[0][0] == 0
    failpoints.disarm()
    desk.do(success(delivery))
    assert desk.get(delivery.ref.key[1]).state is State.SUCCEEDED


@pytest.mark.parametrize("point", ["commit.after_commit", "claim.after_commit"])
def test_an_error_after_the_commit_is_read_back_and_answered_as_committed(desk: Desk, point: str) -> None:
    """Invariant 3: the claim is not made twice for not knowing that it was made."""
    desk.accept()
    failpoints.arm(f"{point}=error")
    (delivery,) = desk.do(claim(5)).deliveries
    stored = desk.get(delivery.ref.key[1])
    assert (stored.fence, stored.attempts, stored.version) == (1, 1, 2)
    assert desk.errors == []


def _fail_next_commit(engine: Engine) -> None:
    @event.listens_for(engine, "commit", once=True)
    def fail(_: object) -> None:
        raise OperationalError("COMMIT", None, ConnectionError("the line went dead"))


def test_an_error_at_commit_that_did_not_land_is_done_again(desk: Desk) -> None:
    execution = desk.accept()
    before = desk.store.ledger.healthy_since
    _fail_next_commit(desk.store.dialect.writer)
    (delivery,) = desk.do(claim(5)).deliveries
    assert delivery.ref.key == execution.key
    stored = desk.get(execution.key[1])
    assert (stored.fence, stored.version) == (1, 2)
    assert desk.store.ledger.healthy_since > before


def test_a_renewal_that_changes_nothing_costs_no_commit(desk: Desk) -> None:
    delivery = desk.run_one()
    _fail_next_commit(desk.store.dialect.writer)
    before = desk.store.ledger.healthy_since
    desk.do(Renew(delivery.ref))
    assert desk.store.ledger.healthy_since == before


def test_a_store_that_is_away_fails_commands_after_a_while_and_comes_back(open_desk: OpenDesk) -> None:
    with or_absent():
        programs = postgres_programs()
    with Postgres(programs) as server:
        desk = open_desk(server.create_database(), patience_seconds=0.2)
        desk.accept()
        server.stop()
        with pytest.raises(StoreUnavailableError, match="away"):
            desk.do(Accept(draft()))
        with pytest.raises(StoreUnavailableError):
            desk.get("any")
        server.start()
        assert isinstance(desk.do(Accept(draft())), Accepted)
        desk.close()


def test_a_backend_that_is_killed_in_the_middle_is_replaced(
    new_postgres: Callable[[], str], open_desk: OpenDesk, sql_of: Callable[[str], Sql]
) -> None:
    url, encoder = new_postgres(), HeldEncoder()
    desk, sql = open_desk(url, encoder=encoder), sql_of(url)
    encoder.hold()
    accepted = desk.begin(Accept(draft()))
    assert encoder.entered.wait(10)
    sql.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state = 'idle in transaction'"
    )
    encoder.go_on.set()
    assert not accepted.result(30)[0].existing


def test_of_two_sidecars_that_accept_the_same_one_creates_it(
    new_postgres: Callable[[], str], open_desk: OpenDesk
) -> None:
    """The loser finds its row count short, is replayed, and sees the winner's row."""
    url, encoder = new_postgres(), HeldEncoder()
    slow, quick = open_desk(url, encoder=encoder), open_desk(url)
    execution = draft(idempotency_key="k")
    other = draft(idempotency_key="k")
    encoder.hold()
    late = slow.begin(Accept(execution), Accept(draft()))
    assert encoder.entered.wait(10)
    first = quick.do(Accept(other))
    encoder.go_on.set()
    repeated, new = late.result(30)
    assert isinstance(first, Accepted)
    assert (first.existing, repeated.existing, new.existing) == (False, True, False)
    assert repeated.execution.key == other.key


def test_two_sidecars_never_claim_the_same(new_postgres: Callable[[], str], open_desk: OpenDesk) -> None:
    url = new_postgres()
    desks = [open_desk(url), open_desk(url)]
    desks[0].each(*(Accept(draft()) for _ in range(200)))
    claims: list[Claim] = [claim(10) for _ in range(20)]
    answers = [desk.begin(c) for c in claims for desk in desks]
    taken = [d.ref.key for answer in answers for d in answer.result(30)[0].deliveries]
    assert len(taken) == len(set(taken)) == 200
