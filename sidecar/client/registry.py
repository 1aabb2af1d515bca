"""The registry as a client has it: definitions applied, listed and deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sidecar.client.channel import Connection
from sidecar.client.io_thread import IoThread
from sidecar.client.records import instant, word
from sidecar.client.retrying import repeat
from sidecar.v1 import registry_service_pb2 as api
from sidecar.v1.definitions_pb2 import Definition


class Kind(StrEnum):
    """What can be defined."""

    WORKFLOW = "workflow"
    QUEUE = "queue"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Change:
    """What an apply did to one definition: `created`, `updated`, `unchanged` or `deleted`."""

    kind: Kind
    name: str
    change: str


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """A definition as it stands, as the API has it, without secrets."""

    kind: Kind
    name: str
    definition: Definition
    changed_at: datetime | None


Changes = list[Change]
Found = list[StoredDefinition]


class RegistryCalls:
    """The calls as coroutines for the I/O thread, for one namespace."""

    def __init__(self, connection: Connection, namespace: str, timeout: float) -> None:
        self._connection = connection
        self._namespace = namespace
        self._timeout = timeout

    async def apply(self, definitions: Iterable[Definition], *, prune: bool, dry_run: bool) -> Changes:
        """Make definitions stand as given."""
        request = api.ApplyDefinitionsRequest(
            namespace=self._namespace, definitions=definitions, prune=prune, dry_run=dry_run
        )
        stub = self._connection.registry
        response = await repeat(lambda left: stub.ApplyDefinitions(request, timeout=left), self._timeout)
        return [_change(result) for result in response.results]

    async def list(self, kinds: Sequence[Kind]) -> Found:
        """Read what is defined."""
        values = [_value(kind) for kind in kinds]
        request = api.ListDefinitionsRequest(namespace=self._namespace, kinds=values)
        stub = self._connection.registry
        response = await repeat(lambda left: stub.ListDefinitions(request, timeout=left), self._timeout)
        return [_stored(each) for each in response.definitions]

    async def delete(self, kind: Kind, name: str) -> bool:
        """Remove one definition."""
        request = api.DeleteDefinitionRequest(namespace=self._namespace, kind=_value(kind), name=name)
        stub = self._connection.registry
        response = await repeat(lambda left: stub.DeleteDefinition(request, timeout=left), self._timeout)
        return response.deleted


class Registry:
    """What is defined in the client's namespace, for async code."""

    def __init__(self, io: IoThread, calls: RegistryCalls) -> None:
        self._io = io
        self._calls = calls

    async def apply(
        self, definitions: Iterable[Definition], *, prune: bool = False, dry_run: bool = False
    ) -> Changes:
        """Make definitions stand as given, all or none; repeating it changes nothing.

        `prune` deletes whatever the namespace has and this does not name.

        Raises:
            SidecarError: the refusal; its message names the field, like `definitions[0].workflow.rate.per`.
        """
        return await self._io.bridge(self._calls.apply(definitions, prune=prune, dry_run=dry_run))

    async def list(self, *kinds: Kind) -> Found:
        """Read what is defined, by kind and name: these kinds, or all."""
        return await self._io.bridge(self._calls.list(kinds))

    async def delete(self, kind: Kind, name: str) -> bool:
        """Remove one definition; the answer says whether there was one. What it set off goes on."""
        return await self._io.bridge(self._calls.delete(kind, name))


class SyncRegistry:
    """The same for code that blocks."""

    def __init__(self, io: IoThread, calls: RegistryCalls) -> None:
        self._io = io
        self._calls = calls

    def apply(
        self, definitions: Iterable[Definition], *, prune: bool = False, dry_run: bool = False
    ) -> Changes:
        """Make definitions stand as given, all or none; see `Registry.apply`."""
        return self._io.block(self._calls.apply(definitions, prune=prune, dry_run=dry_run))

    def list(self, *kinds: Kind) -> Found:
        """Read what is defined, by kind and name: these kinds, or all."""
        return self._io.block(self._calls.list(kinds))

    def delete(self, kind: Kind, name: str) -> bool:
        """Remove one definition; the answer says whether there was one. What it set off goes on."""
        return self._io.block(self._calls.delete(kind, name))


def _value(kind: Kind) -> api.DefinitionKind.ValueType:
    return api.DefinitionKind.Value(f"DEFINITION_KIND_{Kind(kind).name}")


def _change(result: api.DefinitionResult) -> Change:
    kind = Kind(word(api.DefinitionKind, result.kind, "DEFINITION_KIND_"))
    return Change(kind, result.name, word(api.DefinitionChange, result.change, "DEFINITION_CHANGE_"))


def _stored(message: api.StoredDefinition) -> StoredDefinition:
    kind = Kind(message.definition.WhichOneof("kind") or "")
    return StoredDefinition(
        kind, name_of(message.definition), message.definition, instant(message, "changed_at")
    )


def name_of(definition: Definition) -> str:
    """Return the name that a definition is known by within its kind, empty without a kind."""
    match definition.WhichOneof("kind"):
        case "workflow":
            return definition.workflow.workflow_id
        case "queue":
            return definition.queue.queue
        case "webhook":
            return definition.webhook.webhook_id
        case "schedule":
            return definition.schedule.schedule_id
        case _:
            return ""
