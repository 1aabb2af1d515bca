"""What the database could not hold is refused before it gets there, so that only its command fails."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sidecar.core.commands import (
    Accept,
    Begin,
    Cancel,
    Command,
    Due,
    Fault,
    Reap,
    Rebase,
    Release,
    Renew,
    ReportStep,
    Settle,
)
from sidecar.core.decrees import Define, Fire, Steer
from sidecar.core.parcels import ClaimParcels, StampParcels
from sidecar.core.refusals import RefusalError, invalid

_MOST = 2**63
_LATEST = 2**62
"""Nanoseconds: the year 2116. A time and two durations still fit a column of 64 bits."""
_LONGEST = timedelta(microseconds=2**61 // 1_000)

Named = tuple[str, Any]


def unstorable(command: Command[Any]) -> RefusalError | None:
    """Return why a command cannot be kept, None if it can."""
    return next((refusal for name, value in _bounded(command) if (refusal := beyond(name, value))), None)


def beyond(name: str, value: int | timedelta | None, most: int = _MOST) -> RefusalError | None:
    """Return the refusal of a number, time or duration that is out of bounds."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        fits = abs(value) < _LONGEST
    else:
        fits = -most <= value < (_LATEST if name.endswith("_at") else most)
    return None if fits else RefusalError(invalid(name, value, "out of range"))


def _bounded(command: Command[Any]) -> Iterator[Named]:
    match command:
        case Accept():
            return _of_accept(command)
        case Settle() | Renew() | ReportStep() | Release():
            return _of_lease(command)
        case Reap(due=Due(fence=fence)) | Rebase(fence=fence):
            return iter((("fence", fence),))
        case Begin(begun_ago=begun_ago):
            return iter((("begun_ago", begun_ago),))
        case Cancel(grace=grace):
            return iter((("grace", grace),))
        case ClaimParcels(lease=lease):
            return iter((("lease", lease),))
        case StampParcels(stamps=stamps):
            return (named for s in stamps for named in (("outbox_id", s.outbox_id), ("rejected", s.rejected)))
        case _:
            return _of_registry(command)


def _of_registry(command: Command[Any]) -> Iterator[Named]:
    match command:
        case Define(first=first):
            return (("next_at", at) for _, at in first)
        case Fire():
            return _of_fire(command)
        case Steer(next_at=next_at):
            return iter((("next_at", next_at),))
        case _:
            return iter(())


def _of_accept(command: Accept) -> Iterator[Named]:
    execution, plan = command.execution, command.plan
    terms, retry = execution.terms, execution.terms.retry
    yield "run_at", execution.run_at
    yield "run_at", plan.run_at
    yield "accepted_at", execution.accepted_at
    yield "queue_deadline_at", terms.queue_deadline_at
    yield "deadline_at", terms.deadline_at
    yield "scheduled_for", execution.correlation.scheduled_for
    yield "flags", execution.anchor.flags
    yield "run_in", plan.run_in
    yield "in_queue", plan.in_queue
    yield "total", plan.total
    yield "key_ttl", command.key_ttl
    yield "attempt_timeout", terms.attempt_timeout
    yield "retry.initial_interval", retry.initial_interval
    yield "retry.max_interval", retry.max_interval


def _of_fire(command: Fire) -> Iterator[Named]:
    yield "next_at", command.next_at
    yield "version", command.version
    yield "skipped", command.skipped
    if command.accept is not None:
        yield from _of_accept(command.accept)


def _of_lease(command: Settle | Renew | ReportStep | Release) -> Iterator[Named]:
    yield "fence", command.ref.fence
    match command:
        case ReportStep(sequence=sequence, started_after=started, completed_after=completed):
            yield "sequence", sequence
            yield "started_after", started
            yield "completed_after", completed
        case Settle(report=Fault(retry_after=retry_after)):
            yield "retry_after", retry_after
        case _:
            pass
