"""OTLP attributes as bytes: written by hand, for they are most of the work of encoding a span."""

import struct

from sidecar.conventions import names
from sidecar.core.model import Attributes, AttributeValue
from sidecar.telemetry.wire import delimited, tag, varint

_INT64 = range(-(2**63), 2**63)
_KEY, _VALUE, _ELEMENT = 1, 2, 1
_STRING, _ARRAY = tag(1), tag(5)
_BOOL, _INT, _DOUBLE = b"\x10", b"\x18", b"\x21"
_MAX_KNOWN_KEYS = 1_024
_MAX_ID = 256


def utf8(text: str) -> bytes:
    """Return text as UTF-8; lone surrogates, which UTF-8 cannot hold, as U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


class AttributeWriter:
    """Writes attributes as one repeated field, within limits on their number and length."""

    def __init__(self, field: int, count_limit: int, length_limit: int | None) -> None:
        self._tag = tag(field)
        self._count_limit = count_limit
        self._length_limit = length_limit
        self._keys: dict[str, bytes] = {}

    def write(self, attributes: Attributes) -> tuple[bytes, int]:
        """Return the encoded fields and how many attributes were dropped; of a repeated key the last."""
        pairs = dict(attributes)
        pairs.pop("", None)
        kept = list(pairs.items())[: self._count_limit]
        parts: list[bytes] = []
        for key, value in kept:
            content = self._any(value)
            prefix = self._keys.get(key) or self._learn(key)
            size = varint(len(content))
            parts += (self._tag, varint(len(prefix) + len(size) + len(content)), prefix, size, content)
        return b"".join(parts), len(pairs) - len(kept)

    def write_minimal(self, attributes: Attributes) -> tuple[bytes, int]:
        """Return no more than the execution's id and the mark that the rest had to be left out."""
        ids = tuple((k, v[:_MAX_ID]) for k, v in attributes if k == names.EXECUTION_ID and isinstance(v, str))
        encoded, _ = self.write((*ids[:1], (names.FINALIZATION_MINIMAL, True)))
        return encoded, len(attributes) - len(ids[:1])

    def _learn(self, key: str) -> bytes:
        encoded = delimited(_KEY, utf8(key)) + tag(_VALUE)
        if len(self._keys) < _MAX_KNOWN_KEYS:
            self._keys[key] = encoded
        return encoded

    def _any(self, value: AttributeValue) -> bytes:
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, bool):
            return _BOOL + varint(value)
        if isinstance(value, int):
            return self._integer(value)
        if isinstance(value, float):
            return _DOUBLE + struct.pack("<d", value)
        content = b"".join([delimited(_ELEMENT, self._string(each)) for each in value])
        return _ARRAY + varint(len(content)) + content

    def _string(self, text: str) -> bytes:
        content = utf8(text if self._length_limit is None else text[: self._length_limit])
        return _STRING + varint(len(content)) + content

    def _integer(self, number: int) -> bytes:
        # The specification: beyond 64 bits an integer becomes a decimal string.
        if number not in _INT64:
            return self._string(str(number))
        return _INT + varint(number & 0xFFFF_FFFF_FFFF_FFFF)
