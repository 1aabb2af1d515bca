"""Field by field: wire values to the core's, refusing what is malformed before anything changes."""

import re
from datetime import timedelta
from typing import NoReturn

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.core.refusals import RefusalError, invalid

MAX_ID_BYTES = 256
MAX_TEXT = 4_096
MAX_DURATION = timedelta(days=3_650)

_ID = re.compile(r"[!-~]+")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_NANOS = 1_000_000_000
_LAST_SECOND = 3_976_214_400


def refuse(name: str, value: object, problem: str) -> NoReturn:
    """Raise the refusal of one field."""
    raise RefusalError(invalid(name, value, problem))


def identifier(name: str, value: str, default: str | None = None) -> str:
    """Return an id: 1 to 256 printable ASCII characters without spaces. Empty takes the default."""
    if not value:
        if default is None:
            refuse(name, value, "is required")
        return default
    if len(value) > MAX_ID_BYTES:
        refuse(name, value, f"is longer than {MAX_ID_BYTES} characters")
    if not _ID.fullmatch(value):
        refuse(name, value, "may hold printable ASCII characters without spaces only")
    return value


def optional_identifier(name: str, value: str) -> str | None:
    """Return an id, None when the field is empty."""
    return identifier(name, value) if value else None


def text(name: str, value: str, limit: int = MAX_TEXT) -> str:
    """Return a line of text without control characters, bounded in length."""
    if len(value) > limit:
        refuse(name, value, f"is longer than {limit} characters")
    if not _PRINTABLE.fullmatch(value):
        refuse(name, value, "may not hold control characters")
    return value


def prose(name: str, value: str, limit: int = MAX_TEXT) -> str:
    """Return a text that may have several lines, bounded in length."""
    text(name, value.replace("\n", " ").replace("\t", " "), limit)
    return value


def required_text(name: str, value: str, limit: int = MAX_TEXT) -> str:
    """Return a line of text that is not empty."""
    if not value:
        refuse(name, value, "is required")
    return text(name, value, limit)


def duration(parent: Message, field: str, name: str, *, positive: bool = True) -> timedelta | None:
    """Return a duration field, None when absent."""
    if not parent.HasField(field):
        return None
    value: Duration = getattr(parent, field)
    shown = f"{value.seconds}s {value.nanos}ns"
    if abs(value.nanos) >= _NANOS or value.seconds * value.nanos < 0:
        refuse(name, shown, "is not a valid google.protobuf.Duration")
    if value.seconds < 0 or value.nanos < 0 or (positive and value.seconds == 0 and value.nanos < 1_000):
        refuse(name, shown, "must be greater than zero" if positive else "must not be negative")
    if value.seconds > MAX_DURATION.total_seconds():
        refuse(name, shown, f"is longer than {MAX_DURATION.days} days")
    return timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)


def instant(parent: Message, field: str, name: str) -> int | None:
    """Return a timestamp field in nanoseconds since the epoch, None when absent."""
    if not parent.HasField(field):
        return None
    value: Timestamp = getattr(parent, field)
    if not (0 <= value.seconds < _LAST_SECOND and 0 <= value.nanos < _NANOS):
        refuse(name, f"{value.seconds}s {value.nanos}ns", "must be between 1970 and 2095")
    return value.seconds * _NANOS + value.nanos


def span_id(name: str, value: bytes, *, required: bool) -> str:
    """Return a span id as hex: eight bytes, not all zero; empty if it may be."""
    if not value and not required:
        return ""
    if len(value) != 8 or not any(value):
        refuse(name, value, "must be eight bytes, not all zero")
    return value.hex()


def bounded_int(name: str, value: int, low: int, high: int) -> int:
    """Return a number that lies between `low` and `high`, both included."""
    if not low <= value <= high:
        refuse(name, value, f"must be between {low} and {high}")
    return value
