"""The encoder: facts in, OTLP requests out, split to the bounds of an outbox row; it never raises."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import structlog

from sidecar.core.facts import LogFacts, SpanFacts
from sidecar.core.model import Attributes, Resource
from sidecar.core.ports import Encoded
from sidecar.telemetry.envelope import Envelopes
from sidecar.telemetry.limits import MAX_BYTES, MAX_SPANS, LogLimits, SpanLimits
from sidecar.telemetry.log_encoding import LogWriter
from sidecar.telemetry.resource import product_version
from sidecar.telemetry.span_encoding import SpanWriter

TRACES = "traces"
LOGS = "logs"

Item = tuple[str | None, bytes]
Facts = TypeVar("Facts", SpanFacts, LogFacts)

_log = structlog.get_logger(__name__)
_ROOM = MAX_BYTES // 4
_LENGTH = 6


class OtlpEncoder:
    """Implements `core.ports.Encoder`.

    The requests of one signal hold that signal's facts in the order given: the first `count`
    facts are in the first request, and so on.
    """

    def __init__(
        self, resource: Attributes, spans: SpanLimits | None = None, logs: LogLimits | None = None
    ) -> None:
        self._envelopes = Envelopes(resource, product_version())
        self._spans = SpanWriter(spans or SpanLimits())
        self._logs = LogWriter(logs or LogLimits())
        self.reduced = 0
        """How many records could not be encoded whole and went out as minimal ones."""

    def encode(
        self, facts: Sequence[SpanFacts | LogFacts], resources: Mapping[str, Resource]
    ) -> list[Encoded]:
        """Return one or more requests per signal, each within the span and byte bounds of a row."""
        spans: list[Item] = []
        logs: list[Item] = []
        for each in facts:
            if isinstance(each, SpanFacts):
                spans.append((each.resource_id, self._span(each)))
            else:
                logs.append((None, self._log_record(each)))
        return [*self._requests(TRACES, spans, resources), *self._requests(LOGS, logs, resources)]

    def _span(self, facts: SpanFacts) -> bytes:
        return self._guarded(self._spans.write, self._spans.write_minimal, facts)

    def _log_record(self, facts: LogFacts) -> bytes:
        return self._guarded(self._logs.write, self._logs.write_minimal, facts)

    def _guarded(
        self, whole: Callable[[Facts], bytes], minimal: Callable[[Facts], bytes], facts: Facts
    ) -> bytes:
        try:
            encoded = whole(facts)
            if len(encoded) <= _ROOM:
                return encoded
            problem = f"{len(encoded)} bytes, more than {_ROOM}"
        except Exception as error:  # the transaction must not fail for its telemetry
            problem = repr(error)
        self.reduced += 1
        _log.warning("telemetry.reduced_to_minimal", span_id=facts.span_id, problem=problem[:200])
        return minimal(facts)

    def _requests(
        self, signal: str, items: Sequence[Item], resources: Mapping[str, Resource]
    ) -> Iterator[Encoded]:
        for chunk in self._chunks(items, resources):
            yield Encoded(signal, self._body(chunk, resources), len(chunk))

    def _chunks(self, items: Sequence[Item], resources: Mapping[str, Resource]) -> Iterator[list[Item]]:
        chunk: list[Item] = []
        seen: set[str | None] = set()
        size = 0
        for resource_id, encoded in items:
            whole = len(encoded) + _LENGTH + self._envelopes.overhead(resource_id, resources)
            if chunk and (len(chunk) == MAX_SPANS or size + whole > MAX_BYTES):
                yield chunk
                chunk, seen, size = [], set(), 0
            size += len(encoded) + _LENGTH if resource_id in seen else whole
            seen.add(resource_id)
            chunk.append((resource_id, encoded))
        if chunk:
            yield chunk

    def _body(self, chunk: Sequence[Item], resources: Mapping[str, Resource]) -> bytes:
        groups: dict[str | None, list[bytes]] = {}
        for resource_id, encoded in chunk:
            groups.setdefault(resource_id, []).append(encoded)
        return b"".join(self._envelopes.wrap(rid, group, resources) for rid, group in groups.items())
