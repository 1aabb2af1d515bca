"""Defining: what is asked for stands after the commit, all of it or none, and says what that took."""

from collections.abc import Iterator, Mapping

from sidecar.core.decrees import Define, Defined, Effect, Undefine
from sidecar.core.definitions import Definition, Kind, Schedule, Stored, Webhook, kind_of, name_of
from sidecar.core.folio import DefinitionKey, Folio
from sidecar.core.refusals import Reason, Refused, invalid
from sidecar.core.schedules import Standing, Timing

MAX_DEFINITIONS = 10_000
"""Of one namespace."""

MAX_CHARACTERS = 8_388_608
"""Of all that one namespace defines, as every sidecar keeps it in memory and tells it in one answer."""

Wanted = Mapping[DefinitionKey, Definition]


def define(folio: Folio, command: Define) -> Defined | Refused:
    """Have definitions stand as given, and none else of the namespace if it is pruned."""
    wanted = {(command.namespace, kind_of(d), name_of(d)): d for d in command.definitions}
    surplus = sorted(_surplus(folio, command, wanted))
    standing = {key: s.definition for key, s in folio.definitions.items() if key not in surplus} | wanted
    refused = _conflict(standing, wanted) or _overflow(standing, command.namespace)
    if refused is not None:
        return refused
    effects = [(key, _effect(folio, key, definition)) for key, definition in wanted.items()]
    effects += [(key, Effect.DELETED) for key in surplus]
    if not command.dry_run:
        _change(folio, wanted, effects, dict(command.first))
    return Defined(tuple((kind, name, effect) for (_, kind, name), effect in effects))


def _surplus(folio: Folio, command: Define, wanted: Wanted) -> Iterator[DefinitionKey]:
    if command.prune:
        yield from (key for key in folio.definitions if key[0] == command.namespace and key not in wanted)


def _conflict(standing: Wanted, wanted: Wanted) -> Refused | None:
    holders: dict[str, DefinitionKey] = {}
    for key, definition in standing.items():
        if not isinstance(definition, Webhook):
            continue
        holder = holders.setdefault(definition.path, key)
        if holder != key and (key in wanted or holder in wanted):
            mine, theirs = (key, holder) if key in wanted else (holder, key)
            return _taken(definition.path, mine, theirs)
    return None


def _taken(path: str, mine: DefinitionKey, theirs: DefinitionKey) -> Refused:
    whose = f"webhook {theirs[2]!r}" + (f" of namespace {theirs[0]!r}" if theirs[0] != mine[0] else "")
    message = f"webhook {mine[2]!r} cannot have the path {path!r}: {whose} has it; choose another"
    return Refused(Reason.DEFINITION_CONFLICT, message, {"webhook_id": mine[2], "path": path})


def _overflow(standing: Wanted, namespace: str) -> Refused | None:
    mine = [definition for key, definition in standing.items() if key[0] == namespace]
    if len(mine) > MAX_DEFINITIONS:
        return invalid("definitions", len(mine), f"a namespace has at most {MAX_DEFINITIONS}")
    size = sum(len(repr(definition)) for definition in mine)
    if size > MAX_CHARACTERS:
        return invalid("definitions", size, f"a namespace has at most {MAX_CHARACTERS} characters of them")
    return None


def _effect(folio: Folio, key: DefinitionKey, definition: Definition) -> Effect:
    known = folio.definitions.get(key)
    if known is None:
        return Effect.CREATED
    return Effect.UNCHANGED if known.definition == definition else Effect.UPDATED


def _change(
    folio: Folio,
    wanted: Wanted,
    effects: list[tuple[DefinitionKey, Effect]],
    first: Mapping[str, int | None],
) -> None:
    if any(effect is not Effect.UNCHANGED for _, effect in effects):
        folio.registry_revision += 1
    for key, effect in effects:
        if effect is Effect.DELETED:
            _remove(folio, key)
            continue
        definition = wanted[key]
        if isinstance(definition, Schedule):
            _schedule(folio, key, definition, first.get(definition.schedule_id))
        if effect is not Effect.UNCHANGED:
            stored = Stored(key[0], definition, folio.registry_revision, folio.now)
            folio.definitions[key] = folio.changed_definitions[key] = stored
            folio.removed_definitions.discard(key)


def _schedule(folio: Folio, key: DefinitionKey, schedule: Schedule, first: int | None) -> None:
    """Begin a schedule, or begin its timetable anew where that has changed."""
    at = key[0], key[2]
    known, standing = folio.definitions.get(key), folio.standings.get(at)
    if standing is None:
        # One of the same name may have been here before: what was read of it must not fit this one.
        standing = folio.standings[at] = Standing(at, first, version=folio.now)
    elif known is not None and _timing(known.definition) == schedule.timing:
        return
    else:
        standing.next_at, standing.failures, standing.last_error = first, 0, None
        standing.version += 1
    folio.changed_standings[at] = standing
    folio.removed_standings.discard(at)


def _timing(definition: Definition) -> Timing | None:
    return definition.timing if isinstance(definition, Schedule) else None


def undefine(folio: Folio, command: Undefine) -> bool:
    """Remove one definition; the answer says whether it was there."""
    key = command.namespace, command.kind, command.name
    if key not in folio.definitions:
        return False
    folio.registry_revision += 1
    _remove(folio, key)
    return True


def _remove(folio: Folio, key: DefinitionKey) -> None:
    namespace, kind, name = key
    folio.definitions.pop(key, None)
    folio.changed_definitions.pop(key, None)
    folio.removed_definitions.add(key)
    if kind is Kind.SCHEDULE:
        folio.standings.pop((namespace, name), None)
        folio.changed_standings.pop((namespace, name), None)
        folio.removed_standings.add((namespace, name))
