"""W3C Trace Context, level 2: reading what others sent, and writing what goes on.

Source: https://www.w3.org/TR/trace-context-2/
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidecar.conventions import baggage as w3c_baggage
from sidecar.conventions.carrier import BAGGAGE, TRACEPARENT, TRACESTATE, Carrier

SAMPLED = 0x01
RANDOM = 0x02
KNOWN_FLAGS = SAMPLED | RANDOM
MAX_MEMBERS = 32

_OWS = " \t"
_OTEL_KEY = "ot"
_THRESHOLD_KEY = "th"
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<rest>-.*)?"
)
_MEMBER = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9_\-*/@]{0,255})=(?P<value>[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}"
    r"[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A valid `traceparent`; flags hold only those that level 2 knows."""

    trace_id: str
    span_id: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the sender may have recorded this trace."""
        return bool(self.flags & SAMPLED)


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """The caller's place in its trace, and the texts that go on with it."""

    parent: TraceParent
    tracestate: str
    baggage: str


def parse(carrier: Carrier) -> RemoteContext | None:
    """Return the context that a carrier holds, None when there is no valid one."""
    parent = parse_traceparent([carrier.traceparent])
    if parent is None:
        return None
    state = combine_tracestate([carrier.tracestate])
    return RemoteContext(parent, state, w3c_baggage.combine([carrier.baggage]))


def from_headers(headers: Iterable[tuple[str, str]]) -> Carrier:
    """Return the conforming carrier of some headers; names in any case, repeated ones included.

    An invalid or repeated `traceparent` takes `tracestate` with it; baggage stands alone.
    """
    found: dict[str, list[str]] = {TRACEPARENT: [], TRACESTATE: [], BAGGAGE: []}
    for name, value in headers:
        if (lower := name.lower()) in found:
            found[lower].append(value)
    baggage = w3c_baggage.combine(found[BAGGAGE])
    parent = parse_traceparent(found[TRACEPARENT])
    if parent is None:
        return Carrier(baggage=baggage)
    text = format_traceparent(parent.trace_id, parent.span_id, parent.flags)
    return Carrier(text, combine_tracestate(found[TRACESTATE]), baggage)


def parse_traceparent(values: Sequence[str]) -> TraceParent | None:
    """Return the parent of exactly one header; None if it is absent, repeated or invalid.

    Of a version yet to come the first four fields are read, and what follows after a dash is ignored.
    """
    if len(values) != 1:
        return None
    match = _TRACEPARENT.fullmatch(values[0].strip(_OWS))
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["rest"]):
        return None
    if not match["trace"].strip("0") or not match["span"].strip("0"):
        return None
    return TraceParent(match["trace"], match["span"], int(match["flags"], 16) & KNOWN_FLAGS)


def combine_tracestate(values: Sequence[str]) -> str:
    """Return the members of all headers in order; nothing at all if one of them is malformed."""
    return _format(parse_tracestate(values))


def parse_tracestate(values: Sequence[str]) -> list[tuple[str, str]]:
    """Return the members in order; empty if one is malformed or there are more than 32.

    Empty members do not count, and neither they nor the space around members goes on. Only one entry per
    key is allowed, but to see to that is the sender's part, and a receiver may discard the others (level 2,
    "Mutating the tracestate field"): the first stands, since what is newer is put to the left.
    """
    members = [m for value in values for part in value.split(",") if (m := part.strip(_OWS))]
    matches = [_MEMBER.fullmatch(member) for member in members]
    if len(matches) > MAX_MEMBERS:
        return []
    pairs: dict[str, str] = {}
    for match in matches:
        if match is None:
            return []
        pairs.setdefault(match["key"], match["value"])
    return list(pairs.items())


def is_member(key: str, value: str) -> bool:
    """Return whether a tracestate may have this key and value."""
    return _MEMBER.fullmatch(f"{key}={value}") is not None


def without_threshold(tracestate: str) -> str:
    """Return a tracestate that claims no sampling threshold, for a trace recorded whatever was decided.

    Only the sub-key `th` of the member `ot` goes; its randomness `rv`, its other sub-keys and all other
    members stay. The member so changed comes first, as level 2 demands; one left with nothing goes.

    Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
    """
    members = dict(parse_tracestate([tracestate]))
    given = members.get(_OTEL_KEY, "").split(";")
    kept = [each for each in given if each.partition(":")[0] != _THRESHOLD_KEY]
    if kept == given:
        return _format(members.items())
    rest = ";".join(kept).rstrip(_OWS)
    del members[_OTEL_KEY]
    return _format([*([(_OTEL_KEY, rest)] if rest else []), *members.items()])


def format_traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """Return a version 00 `traceparent`; flags that level 2 does not know are zero."""
    return f"00-{trace_id}-{span_id}-{flags & KNOWN_FLAGS:02x}"


def _format(pairs: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs)
