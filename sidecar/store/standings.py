"""The rows of where schedules stand: opened for the commands of one commit, written with it, and read."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from sidecar.core.commands import Command
from sidecar.core.decrees import Define, Fire, Steer, Undefine
from sidecar.core.definitions import Kind, Schedule
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import TERMINAL
from sidecar.core.model import Key
from sidecar.core.ports import DueSchedule
from sidecar.core.schedules import Standing
from sidecar.core.scheduling import Feedback, feedback, schedule_of
from sidecar.store.engine import Dialect
from sidecar.store.prepared import AnyRow, Prepared, Values, insertion, listed
from sidecar.store.tables import executions, schedules
from sidecar.store.texts import storable
from sidecar.store.writing import LostRaceError

_c = schedules.c
_KEY = ("namespace", "schedule_id")
_STANDING = [c.name for c in _c if c.name not in _KEY]

Versions = dict[Key, int]
"""The versions that standings had when they were opened."""


class StandingRows:
    """Reads and writes standings within a commit, always after its executions and in the order of keys.

    So rivals that lock both never wait for each other in a circle.
    """

    def __init__(self, dialect: Dialect) -> None:
        listing = dialect.listing("names", {"namespace": Text, "schedule_id": Text})
        same = and_(*(_c[name] == listing.columns[name] for name in _KEY))
        found = select(schedules).select_from(listing.rows.join(schedules, same))
        ordered = found.order_by(*(_c[name] for name in _KEY)).with_for_update(of=schedules)
        self._open = Prepared(dialect, ordered, ["names"])
        new: dict[str, Any] = {c.name: bindparam(c.name) for c in _c}
        created = insertion(dialect, schedules).values(new).on_conflict_do_nothing()
        self._create = Prepared(dialect, created, list(new))
        this = [_c[name] == bindparam(f"was_{name}") for name in _KEY]
        names = [f"was_{name}" for name in _KEY]
        changed = update(schedules).values({name: bindparam(name) for name in _STANDING})
        guarded = changed.where(*this, _c.version == bindparam("was_version"))
        self._change = Prepared(dialect, guarded, [*_STANDING, *names, "was_version"])
        self._remove = Prepared(dialect, delete(schedules).where(*this), names)
        self._feed = Prepared(dialect, _fed(this), ["keeps", "added", "last_error", *names, "some"])

    def open(self, connection: Connection, folio: Folio, commands: Iterable[Command[Any]]) -> Versions:
        """Lock the standings that these commands name, and those that may learn of an end meanwhile."""
        keys = {key for command in commands for key in _named(command)}
        if not keys:
            return {}
        ending = (e for e in folio.executions.values() if not e.is_terminal)
        keys.update(key for e in ending if (key := schedule_of(e)) is not None)
        standings = [_standing(row) for row in self._open.rows(connection, listed(sorted(keys)))]
        folio.standings.update((standing.key, standing) for standing in standings)
        return {standing.key: standing.version for standing in standings}

    def save(self, connection: Connection, folio: Folio, versions: Versions) -> bool:
        """Write what has changed, and return whether anything has.

        Raises:
            LostRaceError: if a standing is no longer as it was read; nothing may be committed then.
        """
        fed = self._feed_open(folio) if folio.outcomes else []
        changed = [folio.changed_standings[key] for key in sorted(folio.changed_standings)]
        if not (fed or changed or folio.removed_standings):
            return False
        self._remove.write(connection, sorted(folio.removed_standings))
        new = [_values(s) for s in changed if s.key not in versions]
        _all(self._create.write(connection, new), len(new))
        known = [(*_values(s)[len(_KEY) :], *s.key, versions[s.key]) for s in changed if s.key in versions]
        _all(self._change.write(connection, known), len(known))
        self._feed.write(connection, [_fed_values(each) for each in fed])
        return True

    def _feed_open(self, folio: Folio) -> list[Feedback]:
        """Tell the open standings of ends, and return what the others are to be told."""
        others: list[Feedback] = []
        for each in feedback(folio.outcomes):
            standing = folio.standings.get(each.key)
            if standing is None:
                others.append(each)
                continue
            standing.failures = each.failures + (standing.failures if each.keeps else 0)
            standing.last_error = each.last_error or standing.last_error
            folio.changed_standings[each.key] = standing
        return [each for each in others if each.key not in folio.removed_standings]


def _fed(this: list[Any]) -> Any:
    """Return the statement that counts ends; a success after a success writes nothing."""
    kept = _c.failures * bindparam("keeps", type_=BigInteger)
    error = bindparam("last_error", type_=Text)
    some = bindparam("some", type_=BigInteger)
    return (
        update(schedules)
        .values(
            failures=kept + bindparam("added", type_=BigInteger),
            last_error=func.coalesce(error, _c.last_error),
        )
        .where(*this, or_(_c.failures > literal_column("0"), some > literal_column("0")))
    )


def _fed_values(each: Feedback) -> Values:
    error = None if each.last_error is None else storable(each.last_error)
    return int(each.keeps), each.failures, error, *each.key, each.failures


def _named(command: Command[Any]) -> Iterator[Key]:
    match command:
        case Fire(key=key) | Steer(key=key):
            yield key
        case Define(namespace=namespace, definitions=definitions, dry_run=False):
            yield from ((namespace, d.schedule_id) for d in definitions if isinstance(d, Schedule))
        case Undefine(namespace=namespace, kind=Kind.SCHEDULE, name=name):
            yield namespace, name
        case _:
            pass


def _all(found: int, expected: int) -> None:
    if found != expected:
        raise LostRaceError("schedules", expected, found)


def _standing(row: AnyRow) -> Standing:
    namespace, schedule_id, next_at, paused, *rest = row
    return Standing((namespace, schedule_id), next_at, bool(paused), *rest)


def _values(standing: Standing) -> Values:
    error = None if standing.last_error is None else storable(standing.last_error)
    return (
        *standing.key,
        *(standing.next_at, standing.paused, standing.failures, standing.fired, standing.skipped),
        *(error, standing.last_execution_id, standing.last_scheduled_for, standing.version),
    )


def read(connection: Connection, namespace: str, schedule_id: str | None) -> list[Standing]:
    """Return where schedules of a namespace stand, by id: all, or one."""
    query = select(schedules).where(_c.namespace == namespace).order_by(_c.schedule_id)
    if schedule_id is not None:
        query = query.where(_c.schedule_id == schedule_id)
    return [_standing(row) for row in connection.execute(query)]


def due(
    connection: Connection,
    now: int,
    limit: int,
    after: DueSchedule | None,
    whose: tuple[str, str | None] | None,
) -> list[DueSchedule]:
    """Return what is due, oldest first, each with what became of its former execution."""
    place = (_c.next_at, _c.namespace, _c.schedule_id)
    former = and_(executions.c.namespace == _c.namespace, executions.c.execution_id == _c.last_execution_id)
    query = (
        select(schedules, executions.c.state, executions.c.finalized_at)
        .select_from(schedules.outerjoin(executions, former))
        .where(_c.next_at <= now, _c.paused.is_(False))
        .order_by(*place)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*place) > (after.standing.next_at, *after.standing.key))
    if whose is not None:
        query = query.where(_c.namespace == whose[0])
        query = query if whose[1] is None else query.where(_c.schedule_id == whose[1])
    return [_due(row) for row in connection.execute(query)]


def _due(row: AnyRow) -> DueSchedule:
    *standing, state, freed_at = row
    return DueSchedule(_standing(standing), state is not None and state not in _ENDED, freed_at)


_ENDED = frozenset(state.value for state in TERMINAL)


def next_at(connection: Connection, now: int) -> int | None:
    """Return the earliest next time after `now` of any schedule that is not paused."""
    query = select(func.min(_c.next_at)).where(_c.next_at > now, _c.paused.is_(False))
    found: int | None = connection.execute(query).scalar()
    return found
