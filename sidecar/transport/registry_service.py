"""RegistryService: what is defined, all or none of it at once, and told by kind and name."""

from contextlib import suppress

from sidecar.core.decrees import Define, Undefine
from sidecar.core.definitions import Definition, Kind, Schedule, kind_of, name_of
from sidecar.core.ports import Clock, Ledger
from sidecar.core.refusals import RefusalError, Refused, StoreUnavailableError
from sidecar.core.registry import Registry
from sidecar.transport import requests
from sidecar.transport.checks import Checks
from sidecar.transport.context import Context
from sidecar.transport.definition_requests import definitions, kinds
from sidecar.transport.definitions import stored
from sidecar.transport.fields import identifier
from sidecar.transport.words import required_word, value_of
from sidecar.v1 import registry_service_pb2 as api
from sidecar.v1 import registry_service_pb2_grpc as stubs


class RegistryService(stubs.RegistryServiceServicer):
    """Translates, validates, has it committed, and brings this sidecar's own catalog up to date."""

    def __init__(self, ledger: Ledger, registry: Registry, checks: Checks, clock: Clock) -> None:
        self._ledger = ledger
        self._registry = registry
        self._checks = checks
        self._clock = clock

    async def ApplyDefinitions(
        self, request: api.ApplyDefinitionsRequest, context: Context
    ) -> api.ApplyDefinitionsResponse:
        """Have definitions stand as given."""
        namespace = requests.namespace(request.namespace)
        wanted = definitions(request, self._checks)
        now = self._clock.now()
        first = [(d.schedule_id, self._first(d, now)) for d in wanted if isinstance(d, Schedule)]
        command = Define(namespace, wanted, tuple(first), request.prune, request.dry_run)
        answer = await self._ledger.submit(command)
        if isinstance(answer, Refused):
            raise RefusalError(answer)
        await self._refresh()
        results = [
            api.DefinitionResult(
                kind=value_of(api.DefinitionKind, kind),
                name=name,
                change=value_of(api.DefinitionChange, effect),
            )
            for kind, name, effect in answer.effects
        ]
        return api.ApplyDefinitionsResponse(results=results)

    def _first(self, schedule: Schedule, now: int) -> int | None:
        return self._checks.calendar.next_after(schedule.timing, now)

    async def ListDefinitions(
        self, request: api.ListDefinitionsRequest, context: Context
    ) -> api.ListDefinitionsResponse:
        """Return what is defined, as the store has it now."""
        namespace, wanted = requests.namespace(request.namespace), kinds(request)
        await self._registry.refresh()
        mine = [entry for entry in self._registry.catalog.entries if entry.namespace == namespace]
        found = sorted(
            (e for e in mine if kind_of(e.definition) in wanted), key=lambda e: _place(e.definition)
        )
        return api.ListDefinitionsResponse(definitions=[stored(entry) for entry in found])

    async def DeleteDefinition(
        self, request: api.DeleteDefinitionRequest, context: Context
    ) -> api.DeleteDefinitionResponse:
        """Remove one."""
        kind = required_word("kind", request.kind, api.DefinitionKind, Kind)
        command = Undefine(requests.namespace(request.namespace), kind, identifier("name", request.name))
        deleted = await self._ledger.submit(command)
        await self._refresh()
        return api.DeleteDefinitionResponse(deleted=deleted)

    async def _refresh(self) -> None:
        """Have what was committed hold here at once; if it cannot be read now, the next look will find it."""
        with suppress(StoreUnavailableError):
            await self._registry.refresh()


def _place(definition: Definition) -> tuple[int, str]:
    return list(Kind).index(kind_of(definition)), name_of(definition)
