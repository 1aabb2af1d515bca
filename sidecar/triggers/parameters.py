"""Parameters of the status pages: each known by name, given once, and well-formed."""

import re
from collections.abc import Collection, Iterable, Mapping

from sidecar.core.lifecycle import State
from sidecar.core.refusals import RefusalError, invalid

_ID = re.compile(r"[!-~]{1,256}")
_NUMBER = re.compile(r"[0-9]{1,6}")


def identifier(name: str, value: object) -> str:
    """Return an id.

    Raises:
        RefusalError: it is not 1 to 256 printable ASCII characters without spaces.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RefusalError(invalid(name, value, "must be 1 to 256 printable ASCII characters without spaces"))
    return value


def parameters(pairs: Iterable[tuple[str, str]], known: Collection[str]) -> Mapping[str, str]:
    """Return the parameters of a query.

    Raises:
        RefusalError: one is not known here, or came twice.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise RefusalError(invalid("query", name, f"is no parameter here; there are {', '.join(known)}"))
        if name in found:
            raise RefusalError(invalid(name, value, "must be given once"))
        found[name] = value
    return found


def number(name: str, value: str, low: int, high: int) -> int:
    """Return a whole number between two bounds, both included.

    Raises:
        RefusalError: it is something else.
    """
    if not _NUMBER.fullmatch(value) or not low <= int(value) <= high:
        raise RefusalError(invalid(name, value, f"must be a whole number between {low} and {high}"))
    return int(value)


def flag(name: str, value: str) -> bool:
    """Return whether something is asked for.

    Raises:
        RefusalError: it is neither 0 nor 1.
    """
    if value not in ("", "0", "1"):
        raise RefusalError(invalid(name, value, "must be 0 or 1"))
    return value == "1"


def state(name: str, value: str) -> State:
    """Return a state by its name in any case.

    Raises:
        RefusalError: there is no such state.
    """
    if value.upper() not in State.__members__:
        raise RefusalError(invalid(name, value, f"must be one of {', '.join(s.lower() for s in State)}"))
    return State[value.upper()]
