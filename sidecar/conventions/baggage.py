"""W3C Baggage as text: combined and bounded, never decoded, so that properties survive.

Source: https://www.w3.org/TR/baggage/
"""

import re
from collections.abc import Iterator, Sequence

MAX_MEMBERS = 64
MAX_BYTES = 8_192

_OWS = " \t"
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")


def combine(values: Sequence[str]) -> str:
    """Return all header texts as one, verbatim while within the bounds, else its leading members.

    The space around a header's text is the transport's, not a part of it, and does not go on.
    """
    text = ",".join(trimmed for value in values if (trimmed := value.strip(_OWS)))
    if text.count(",") < MAX_MEMBERS and len(text) <= MAX_BYTES and _PRINTABLE.fullmatch(text):
        return text
    return ",".join(_leading(text.split(","))).strip(_OWS)


def _leading(members: Sequence[str]) -> Iterator[str]:
    """Yield whole members until a bound is reached; one that no header may hold is left out."""
    count, size = 0, -1
    for member in members:
        if not member.strip() or not _PRINTABLE.fullmatch(member):
            continue
        count, size = count + 1, size + 1 + len(member)
        if count > MAX_MEMBERS or size > MAX_BYTES:
            return
        yield member
