"""Tracestate of level 2 for an OpenTelemetry API that knows level 1, so that its propagator loses no key."""

from collections.abc import ItemsView, Iterator, KeysView, Sequence, ValuesView
from typing import Self

from opentelemetry.trace import TraceState

from sidecar.conventions import trace_context as w3c


class Level2TraceState(TraceState):
    """The members in order, those included that `TraceState` itself would drop.

    Spans that begin under it and samplers that change it keep the type, so that nothing is lost on the way.
    """

    def __init__(self, entries: Sequence[tuple[str, str]] | None = None, text: str = "") -> None:
        super().__init__()
        self._members = dict(entries or ())
        self._text = text

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the members of a header, which is written again as it came; none of a malformed one."""
        pairs = w3c.parse_tracestate([text])
        return cls(pairs, text if pairs else "")

    def to_header(self) -> str:
        """Return the header."""
        return self._text or ",".join(f"{key}={value}" for key, value in self._members.items())

    def add(self, key: str, value: str) -> TraceState:
        """Return it with a member more, the first; itself if that is invalid, known or one too many."""
        return self if key in self._members else self.update(key, value)

    def update(self, key: str, value: str) -> TraceState:
        """Return it with the member set and first; itself if that is invalid or one too many."""
        others = [pair for pair in self._members.items() if pair[0] != key]
        if not w3c.is_member(key, value) or len(others) >= w3c.MAX_MEMBERS:
            return self
        return type(self)([(key, value), *others])

    def delete(self, key: str) -> TraceState:
        """Return it without a member."""
        if key not in self._members:
            return self
        return type(self)([pair for pair in self._members.items() if pair[0] != key])

    def completed_by(self, other: TraceState) -> TraceState:
        """Return it with what only the other has behind its own members, as far as there is room."""
        missing = [pair for pair in other.items() if pair[0] not in self._members]
        return type(self)([*self._members.items(), *missing][: w3c.MAX_MEMBERS])

    def keys(self) -> KeysView[str]:
        """Return the keys."""
        return self._members.keys()

    def values(self) -> ValuesView[str]:
        """Return the values."""
        return self._members.values()

    def items(self) -> ItemsView[str, str]:
        """Return the members."""
        return self._members.items()

    def __getitem__(self, key: str) -> str:
        """Return the value of a key."""
        return self._members[key]

    def __contains__(self, key: object) -> bool:
        """Return whether there is a member of this key."""
        return key in self._members

    def __iter__(self) -> Iterator[str]:
        """Return the keys."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._members)

    def __repr__(self) -> str:
        """Return the members as the API's own type shows them."""
        return str([f"{{key={key}, value={value}}}" for key, value in self._members.items()])
