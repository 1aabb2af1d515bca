"""The headers of a webhook's request: immutable, in order, repeated ones kept apart."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

_OWS = " \t"


@dataclass(frozen=True, slots=True)
class Headers:
    """Pairs of lower-case name and value without surrounding white space; made by `of` and `from_wire`."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Return the headers of some names, in any case, and values."""
        return cls(tuple((name.lower(), value.strip(_OWS)) for name, value in pairs))

    @classmethod
    def from_wire(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return the headers of the bytes that a server read; each byte is one character."""
        return cls.of((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs)

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a header in order of arrival, empty if it is absent; the name in any case."""
        wanted = name.lower()
        return tuple(value for given, value in self.pairs if given == wanted)

    def only(self, name: str) -> str | None:
        """Return the value of a header that came exactly once, None if it is absent or repeated."""
        values = self.every(name)
        return values[0] if len(values) == 1 else None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs in order of arrival."""
        return iter(self.pairs)


def raw(value: str) -> bytes:
    """Return the bytes that a header's value stood for on the wire; never raises."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
