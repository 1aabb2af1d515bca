"""The rows of what is defined: opened for the commands of one commit, written with it, and read whole.

One row more counts the changes: whoever knows its number knows whether anything is new or gone.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Text, bindparam, delete, null, or_, select, update

from sidecar.core.commands import Command
from sidecar.core.decrees import Define, Undefine
from sidecar.core.definitions import Stored, Webhook, kind_of, name_of
from sidecar.core.folio import DefinitionKey, Folio
from sidecar.store.definition_texts import UnreadableDefinitionError, definition_from, definition_text
from sidecar.store.engine import Dialect
from sidecar.store.prepared import AnyRow, Prepared, Values, insertion, listed
from sidecar.store.tables import definitions

_c = definitions.c
_TURN = "definitions"
_COUNT = "", "revision", ""
_KEY = ("namespace", "kind", "name")
_CHANGES = "body", "path", "revision", "changed_at"
_REVISION = select(_c.revision).where(*(_c[n] == v for n, v in zip(_KEY, _COUNT, strict=True)))


class DefinitionRows:
    """Reads and writes definitions within a commit."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        namespaces = dialect.listing("namespaces", {"namespace": Text})
        paths = dialect.listing("paths", {"path": Text})
        mine = _c.namespace.in_(select(namespaces.columns["namespace"]).select_from(namespaces.rows))
        theirs = _c.path.in_(select(paths.columns["path"]).select_from(paths.rows))
        found = select(definitions).where(or_(mine, theirs))
        self._concerned = Prepared(dialect, found, ["namespaces", "paths"])
        this = [_c[name] == bindparam(f"was_{name}") for name in _KEY]
        names = [f"was_{name}" for name in _KEY]
        self._remove = Prepared(dialect, delete(definitions).where(*this), names)
        freed = update(definitions).values(path=null()).where(*this)
        self._free_path = Prepared(dialect, freed, names)
        new = insertion(dialect, definitions).values({c.name: bindparam(c.name) for c in _c})
        taken = {name: new.excluded[name] for name in _CHANGES}
        saved = new.on_conflict_do_update(index_elements=list(_KEY), set_=taken)
        self._save = Prepared(dialect, saved, [c.name for c in _c])

    def take_turn(self, connection: Connection, commands: Iterable[Command[Any]]) -> None:
        """Have other sidecars wait that define too, until the commit; before any row is locked."""
        if any(isinstance(command, Define | Undefine) for command in commands):
            self._dialect.take_turns(connection, [_TURN])

    def open(self, connection: Connection, folio: Folio, commands: Iterable[Command[Any]]) -> None:
        """Open what these commands compare with: their namespaces, and whoever has the paths they want."""
        concerned = [c for c in commands if isinstance(c, Define | Undefine)]
        if not concerned:
            return
        folio.registry_revision = _revision(connection)
        namespaces = {(command.namespace,) for command in concerned}
        paths = {(path,) for command in concerned for path in _paths(command)}
        for row in self._concerned.rows(connection, listed(sorted(namespaces)), listed(sorted(paths))):
            # What cannot be read counts as not there: applying it anew repairs it.
            with suppress(UnreadableDefinitionError):
                stored = _stored(row)
                folio.definitions[_key(stored)] = stored

    def save(self, connection: Connection, folio: Folio) -> bool:
        """Write what has changed, and return whether anything has."""
        changed, removed = folio.changed_definitions, folio.removed_definitions
        if not changed and not removed:
            return False
        self._remove.write(connection, sorted(removed))
        # Paths may go from one webhook to another.
        self._free_path.write(connection, sorted(changed))
        rows = [_values(key, changed[key]) for key in sorted(changed)]
        count = (*_COUNT, "", None, folio.registry_revision, folio.now)
        self._save.write(connection, [*rows, count])
        return True


def read(connection: Connection, known: int) -> tuple[int, list[Stored] | None]:
    """Return the number of changes so far, and everything that is defined if it is not the known one.

    Raises:
        UnreadableDefinitionError: naming the first that this version cannot read.
    """
    revision = _revision(connection)
    if revision == known:
        return revision, None
    rows = connection.execute(select(definitions).where(_c.namespace != "").order_by(*(_c[n] for n in _KEY)))
    return revision, [_stored(row) for row in rows]


def _revision(connection: Connection) -> int:
    return connection.execute(_REVISION).scalar() or 0


def _paths(command: Define | Undefine) -> Iterator[str]:
    if isinstance(command, Define):
        yield from (d.path for d in command.definitions if isinstance(d, Webhook))


def _stored(row: AnyRow) -> Stored:
    namespace, kind, name, body, _, revision, changed_at = row
    try:
        return Stored(namespace, definition_from(kind, body), revision, changed_at)
    except UnreadableDefinitionError as error:
        message = (
            f"{kind} {name!r} of namespace {namespace!r} cannot be read by this version: {error}; "
            "upgrade this sidecar, or apply the definition anew through one that runs"
        )
        raise UnreadableDefinitionError(message) from None


def _key(stored: Stored) -> DefinitionKey:
    return stored.namespace, kind_of(stored.definition), name_of(stored.definition)


def _values(key: DefinitionKey, stored: Stored) -> Values:
    definition = stored.definition
    path = definition.path if isinstance(definition, Webhook) else None
    return *key, definition_text(definition), path, stored.revision, stored.changed_at
