"""Payloads and outputs: bytes go verbatim, anything else as JSON, nothing as nothing."""

import json
from typing import Final

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"


def encode(value: object) -> tuple[bytes, str]:
    """Return a value's bytes and content type.

    Raises:
        TypeError: when it is neither bytes nor expressible as JSON.
        ValueError: when it is a cycle, or holds what JSON has no word for.
    """
    if value is None:
        return b"", ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), BYTES
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(), JSON


def decode(data: bytes, content_type: str) -> object:
    """Return what was encoded; bytes of any other content type stay as they are."""
    if content_type.partition(";")[0].strip().lower() == JSON:
        value: object = json.loads(data)
        return value
    return data if data or content_type else None
