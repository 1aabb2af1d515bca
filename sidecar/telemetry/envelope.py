"""The resource and scope around spans and log records: encoded once, kept, and joined by hand."""

from collections.abc import Mapping, Sequence

from sidecar.conventions import names
from sidecar.core.model import Attributes, Resource
from sidecar.telemetry.attributes import AttributeWriter, utf8
from sidecar.telemetry.resource import worker_resource
from sidecar.telemetry.wire import delimited, tag, varint

_RESOURCE, _SCOPES, _RESOURCE_SCHEMA = 1, tag(2), 3
_SCOPE, _SCOPE_SCHEMA = 1, 3
_NAME, _VERSION, _ATTRIBUTES = 1, 2, 1
_RESOURCES = tag(1)
_MAX_KNOWN = 256
_MAX_ATTRIBUTES = 64
_MAX_VALUE = 4_096
_NOBODY: Attributes = ((names.SERVICE_NAME, names.UNKNOWN_SERVICE),)
_ITEM = 2
_MARGIN = 512


class Envelopes:
    """Puts encoded items of one resource into the bytes of one ResourceSpans or ResourceLogs.

    Source: `opentelemetry/proto/trace/v1/trace.proto`; the field numbers of logs are the same.
    """

    def __init__(self, own: Attributes, version: str) -> None:
        self._writer = AttributeWriter(_ATTRIBUTES, _MAX_ATTRIBUTES, _MAX_VALUE)
        scope = delimited(_NAME, utf8(names.SCOPE)) + delimited(_VERSION, utf8(version))
        schema = utf8(names.SCHEMA_URL)
        self._scope = delimited(_SCOPE, scope) + delimited(_SCOPE_SCHEMA, schema)
        self._schema = delimited(_RESOURCE_SCHEMA, schema)
        self._own = self._encoded(own)
        self._nobody = self._encoded(_NOBODY)
        self._known: dict[str, bytes] = {}

    def wrap(
        self, resource_id: str | None, items: Sequence[bytes], resources: Mapping[str, Resource]
    ) -> bytes:
        """Return the items under their resource and scope."""
        scopes = b"".join((self._scope, *(delimited(_ITEM, item) for item in items)))
        body = b"".join(
            (self.resource(resource_id, resources), _SCOPES, varint(len(scopes)), scopes, self._schema)
        )
        return _RESOURCES + varint(len(body)) + body

    def resource(self, resource_id: str | None, resources: Mapping[str, Resource]) -> bytes:
        """Return the encoded resource of an id; None is the sidecar's own."""
        if resource_id is None:
            return self._own
        known = self._known.get(resource_id)
        if known is None:
            known = self._learn(resource_id, resources)
        return known

    def overhead(self, resource_id: str | None, resources: Mapping[str, Resource]) -> int:
        """Return a bound on the bytes that wrapping adds to the items of one resource."""
        return len(self.resource(resource_id, resources)) + _MARGIN

    def _learn(self, resource_id: str, resources: Mapping[str, Resource]) -> bytes:
        declared = resources.get(resource_id)
        if declared is None:
            return self._nobody
        if len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[resource_id] = encoded = self._encoded(worker_resource(declared.attributes))
        return encoded

    def _encoded(self, attributes: Attributes) -> bytes:
        return delimited(_RESOURCE, self._writer.write(attributes)[0])
