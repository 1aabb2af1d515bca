"""What the database itself refuses, whoever asks for it: raw SQL, past the store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy.exc import IntegrityError

from tests.store.workbench import Desk, Sql, success

REFUSED = {
    "no such state": "state = 'LOST'",
    "no such source": "source = 'rumour'",
    "no such dispatch": "dispatch = 'pigeon'",
    "no such recording": "recording = 'perhaps'",
    "no such path": "state = 'SUCCEEDED', finalization_path = 'luck', finalized_at = 1",
    "terminal without a time": "state = 'SUCCEEDED', finalization_path = 'completed', terminal_outbox_id = 1",
    "a time without being terminal": "finalized_at = 1",
    "terminal without its path": "state = 'SUCCEEDED', finalized_at = 1, terminal_outbox_id = 1",
    "a path without being terminal": "finalization_path = 'completed'",
    "running without a lease": "state = 'RUNNING', attempt_token = send_token",
    "running without a token": "state = 'RUNNING', lease_expires_at = 1",
    "a lease without running": "lease_expires_at = 1",
    "failed without a type": (
        "state = 'FAILED', finalized_at = 1, finalization_path = 'completed', terminal_outbox_id = 1"
    ),
    "terminal without its span": "state = 'SUCCEEDED', finalized_at = 1, finalization_path = 'completed'",
    "sampled without its send span": "send_outbox_id = NULL",
    "a fence that goes back": "fence = fence - 1",
    "a version that goes back": "version = version - 1",
    "another trace": "trace_id = 'f'",
    "another request": "request_id = 'f'",
}

SETTLED = {
    "another state": "state = 'CANCELLED'",
    "open again": "state = 'QUEUED', finalized_at = NULL, finalization_path = NULL",
    "another time": "finalized_at = finalized_at + 1",
    "another path": "finalization_path = 'reaped'",
    "another output": "output = NULL",
    "an error": "error_type = 'OSError'",
    "another span": "terminal_outbox_id = terminal_outbox_id + 1",
    "another digest": "settlement_digest = NULL",
    "other attempts": "attempts = attempts + 1",
    "other timings": "running_ns = running_ns + 1",
}


@dataclass(frozen=True)
class Ground:
    """A store with one execution that waits and one that is settled; what is refused leaves it so."""

    sql: Sql
    waiting: str
    settled: str

    def change(self, execution_id: str, change: str) -> None:
        token = "'x'::bytea" if self.sql.is_postgres else "x'00'"
        change = change.replace("send_token", token)
        self.sql.run(f"UPDATE executions SET {change} WHERE execution_id = '{execution_id}'")  # noqa: S608


@pytest.fixture(scope="module")
def ground(new_url: Callable[[], str]) -> Iterator[Ground]:
    desk = Desk(new_url()).start()
    delivery = desk.run_one()
    desk.do(success(delivery))
    yield Ground(Sql(desk.url), desk.accept().key[1], delivery.ref.key[1])
    desk.close()


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_a_row_that_breaks_a_rule_is_refused(ground: Ground, change: str) -> None:
    with pytest.raises(IntegrityError):
        ground.change(ground.waiting, change)


@pytest.mark.parametrize("change", SETTLED.values(), ids=SETTLED.keys())
def test_an_outcome_never_changes(ground: Ground, change: str) -> None:
    """Invariant 1: the database enforces it."""
    with pytest.raises(IntegrityError, match="the outcome of a settled execution never changes"):
        ground.change(ground.settled, change)


def test_an_outcome_may_be_written_again_as_it_is(ground: Ground) -> None:
    ground.change(ground.settled, "state = 'SUCCEEDED', output = output, version = version + 1")
    asked = f"SELECT version FROM executions WHERE execution_id = '{ground.settled}'"  # noqa: S608
    assert ground.sql.run(asked)[0][0] == 4


@pytest.mark.parametrize(
    "change",
    ["state = 'lost'", "body = NULL", "state = 'delivered', stamped_at = 1", "stamped_at = 1"],
)
def test_an_outbox_row_that_breaks_a_rule_is_refused(ground: Ground, change: str) -> None:
    with pytest.raises(IntegrityError):
        ground.sql.run(f"UPDATE outbox SET {change}")  # noqa: S608
