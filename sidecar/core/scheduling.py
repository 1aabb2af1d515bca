"""Scheduling: the verbs that move a schedule's standing, and what outcomes mean for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core.acceptance import accept
from sidecar.core.commands import Accept, Accepted
from sidecar.core.decrees import Fire, Fired, Steer
from sidecar.core.definitions import Schedule
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution, Key
from sidecar.core.refusals import Reason, Refused
from sidecar.core.schedules import Standing


def fire(folio: Folio, command: Fire) -> Fired:
    """Take an occurrence if the schedule still is as it was read and its former execution has ended.

    What fires beside the timetable needs neither, and holds up no occurrence that an open execution
    does not hold up already.
    """
    standing = folio.standings.get(command.key)
    if standing is None or not (command.beside or _is_as_read(standing, command)):
        return Fired(fired=False)
    if command.accept is None:
        _move(folio, standing, command)
        return Fired(fired=True)
    is_open = _is_open(folio, standing, command)
    if is_open and not command.beside:
        return Fired(fired=False, waits=True)
    answer = accept(folio, command.accept)
    taken = taken_by(command.accept, answer)
    if not command.beside:
        standing.last_scheduled_for = command.accept.execution.correlation.scheduled_for
        standing.skipped += taken is None
        _move(folio, standing, command)
    if taken is not None and not (command.beside and _existed(answer)):
        standing.fired += not _existed(answer)
        if not is_open:
            standing.last_execution_id = taken.correlation.execution_id
        folio.changed_standings[standing.key] = standing
    return Fired(fired=True, answer=answer)


def _is_as_read(standing: Standing, command: Fire) -> bool:
    return standing.version == command.version and not standing.paused


def _is_open(folio: Folio, standing: Standing, command: Fire) -> bool:
    """Return whether the former execution may still go on; one that was not read counts as open."""
    if command.former is None:
        return command.beside and standing.last_execution_id is not None
    if command.former[1] != standing.last_execution_id:
        return True
    former = folio.executions.get(command.former)
    return former is not None and not former.is_terminal


def taken_by(asked: Accept, answer: Accepted | Refused) -> Execution | None:
    """Return the occurrence's execution, a refused one too; None if its key stands for other work."""
    execution = answer.execution
    if isinstance(answer, Accepted) or (execution is not None and execution.key == asked.execution.key):
        return execution
    return None


def _existed(answer: Accepted | Refused) -> bool:
    return isinstance(answer, Accepted) and answer.existing


def _move(folio: Folio, standing: Standing, command: Fire) -> None:
    standing.next_at = command.next_at
    standing.skipped += command.skipped
    _touch(folio, standing)


def _touch(folio: Folio, standing: Standing) -> None:
    standing.version += 1
    folio.changed_standings[standing.key] = standing


def steer(folio: Folio, command: Steer) -> bool:
    """Pause a schedule, or resume it without its former failures. Repeating either changes nothing."""
    standing = folio.standings.get(command.key)
    if standing is None:
        return False
    if standing.paused and not command.paused:
        standing.next_at = command.next_at
    elif standing.paused == command.paused and (command.paused or not standing.failures):
        return True
    if not command.paused:
        standing.failures = 0
    standing.paused = command.paused
    _touch(folio, standing)
    return True


def stopped_reason(schedule: Schedule, standing: Standing) -> str:
    """Say why a schedule fires no more by itself, empty while it does."""
    if not schedule.max_failures or standing.failures < schedule.max_failures:
        return ""
    count = standing.failures
    return f"stopped after {count} failure{'s' * (count != 1)} in a row, the last: {standing.last_error}"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What ended executions mean for their schedule: whether former failures still count, what is added."""

    key: Key
    keeps: bool = True
    failures: int = 0
    last_error: str | None = None

    def and_then(self, execution: Execution) -> "Feedback":
        """Return what it means if this one ended next; a cancelled one means nothing."""
        match execution.state:
            case State.SUCCEEDED:
                return Feedback(self.key, False, 0, self.last_error)
            case State.FAILED:
                failure = execution.terminal.failure if execution.terminal else None
                return Feedback(
                    self.key, self.keeps, self.failures + 1, failure.type if failure else self.last_error
                )
            case _:
                return self


def feedback(outcomes: Iterable[Execution]) -> list[Feedback]:
    """Return what these ends, in their order, mean for each schedule concerned, in the order of the keys."""
    found: dict[Key, Feedback] = {}
    for execution in outcomes:
        key = schedule_of(execution)
        if key is not None:
            found[key] = found.get(key, Feedback(key)).and_then(execution)
    return [found[key] for key in sorted(found) if found[key] != Feedback(key)]


def schedule_of(execution: Execution) -> Key | None:
    """Return the schedule that set an execution off, None if none did."""
    correlation = execution.correlation
    return None if correlation.schedule_id is None else (correlation.namespace, correlation.schedule_id)


def unknown_schedule(namespace: str, schedule_id: str) -> Refused:
    """Return the refusal of a schedule that is not there."""
    return Refused(
        Reason.SCHEDULE_NOT_FOUND,
        f"no schedule {schedule_id!r} in namespace {namespace!r}; define it with `sidecar apply`",
        {"schedule_id": schedule_id},
    )
