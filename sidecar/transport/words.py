"""Enumerations both ways: a value of the API and the core's word for it have the same name."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar

from sidecar.transport.fields import refuse

W = TypeVar("W", bound=Enum)
V_co = TypeVar("V_co", bound=int, covariant=True)

_OPEN = "UNSPECIFIED"


class WireEnum(Protocol[V_co]):
    """An enumeration of the API; 0, its first value, is the unspecified one."""

    def items(self) -> Sequence[tuple[str, V_co]]:
        """Return its names and numbers."""


def word(name: str, value: int, wire: WireEnum[int], kind: type[W]) -> W | None:
    """Return the core's word for a value, None for the unspecified one."""
    if not value:
        return None
    spelled = dict(_pairs(wire))
    found = spelled.get(value, "")
    if found not in kind.__members__:
        known = ", ".join(each for each in spelled.values() if each in kind.__members__)
        refuse(name, value, f"must be one of {known}")
    return kind[found]


def required_word(name: str, value: int, wire: WireEnum[int], kind: type[W]) -> W:
    """Return the core's word for a value that has to be given."""
    found = word(name, value, wire, kind)
    if found is None:
        refuse(name, value, f"is required: one of {', '.join(kind.__members__)}")
    return found


def value_of(wire: WireEnum[V_co], said: Enum | None) -> V_co:
    """Return the API's value for a word, the unspecified one for None."""
    wanted = _OPEN if said is None else said.name
    return next(number for number, each in _pairs(wire) if each == wanted)


def _pairs(wire: WireEnum[V_co]) -> list[tuple[V_co, str]]:
    values = wire.items()
    prefix = values[0][0].removesuffix(_OPEN)
    return [(number, spelled.removeprefix(prefix)) for spelled, number in values]
