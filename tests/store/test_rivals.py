"""Two sidecars on one database: what they both write they write in one order, so that none deadlocks."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from sidecar.core.commands import Accept
from tests.store.held import HeldEncoder
from tests.store.workbench import Desk, draft

OpenDesk = Callable[..., Desk]


def deadlocks_of(desk: Desk) -> list[str]:
    """Keep what a rival does to this desk's transactions."""
    found: list[str] = []

    @event.listens_for(desk.store.dialect.writer, "handle_error")
    def note(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) == "40P01":
            found.append(str(context.original_exception))

    return found


def meet(desks: list[Desk], encoders: list[HeldEncoder], batches: list[list[Accept]]) -> list[Any]:
    """Have both write at once what both have read to be new."""
    for encoder in encoders:
        encoder.hold()
    futures = [desk.begin(*batch) for desk, batch in zip(desks, batches, strict=True)]
    for encoder in encoders:
        assert encoder.entered.wait(10)
    for encoder in encoders:
        encoder.go_on.set()
    return [answer for future in futures for answer in future.result(60)]


@pytest.mark.parametrize("by", ["execution id", "idempotency key"])
def test_the_same_in_opposite_order_does_not_deadlock(
    new_postgres: Callable[[], str], open_desk: OpenDesk, by: str
) -> None:
    url, encoders = new_postgres(), [HeldEncoder(), HeldEncoder()]
    desks = [open_desk(url, encoder=encoder) for encoder in encoders]
    seen = [deadlocks_of(desk) for desk in desks]
    for turn in range(3):
        names = [f"{turn}-{number:03d}" for number in range(200)]
        batches = [[accept(by, name) for name in order] for order in (names, names[::-1])]
        answers = meet(desks, encoders, batches)
        assert sorted(answer.existing for answer in answers) == [False] * 200 + [True] * 200
    assert seen == [[], []]


def accept(by: str, name: str) -> Accept:
    return Accept(draft(name)) if by == "execution id" else Accept(draft(idempotency_key=name))
