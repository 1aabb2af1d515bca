"""The few pieces of the protobuf wire format that joining encoded fields by hand needs.

Source: https://protobuf.dev/programming-guides/encoding/
"""


def varint(number: int) -> bytes:
    """Return a non-negative integer as a base-128 varint."""
    if number < _KNOWN:
        return _VARINTS[number]
    return _encode(number)


def tag(field: int) -> bytes:
    """Return the key of a length-delimited field."""
    return varint(field << 3 | 2)


def delimited(field: int, content: bytes) -> bytes:
    """Return a length-delimited field with its key and length."""
    return tag(field) + varint(len(content)) + content


def _encode(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_KNOWN = 2_048
_VARINTS = tuple(map(_encode, range(_KNOWN)))
