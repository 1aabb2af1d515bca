"""Plain values into messages of the API, field by field as the API itself describes them.

So a manifest knows every field that there is, and no other. Enumerations are words in lower case, durations
are like `30s`, times are ISO 8601 with a zone.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

MAX_PROBLEMS = 20
_PRIVATE = re.compile(r"\.verification(?!\.scheme$)|secret|token|password", re.IGNORECASE)
_WHOLE = {FieldDescriptor.CPPTYPE_UINT32: 2**32 - 1, FieldDescriptor.CPPTYPE_UINT64: 2**64 - 1}


class BadValueError(Exception):
    """A value that a field cannot take; the message says what it takes."""


Special = Callable[[Message, object], None] | str
"""Puts a value into a message in its own way, or raises `BadValueError`; a text says what to write."""


@dataclass(slots=True)
class Problems:
    """What is wrong with a manifest, each with its place."""

    found: list[str] = field(default_factory=list)

    def note(self, place: str, problem: str, value: object) -> None:
        """Note one problem; what may be or hold a secret is not shown."""
        self.found.append(f"{place}: {problem} (got {_shown(place, value)})")


def _shown(place: str, value: object) -> str:
    if isinstance(value, dict | list):
        return "fields" if isinstance(value, dict) else "a list"
    return "hidden" if _PRIVATE.search(place) else f"{value!r:.60}"


class Filler:
    """Fills messages; `specials` by message and key are fields that a manifest has its own way with."""

    def __init__(self, specials: Mapping[tuple[str, str], Special]) -> None:
        self._specials = specials
        self.problems = Problems()

    def fill(self, message: Message, fields: object, place: str) -> None:
        """Put fields into a message, and note what does not fit."""
        if not isinstance(fields, dict):
            self.problems.note(place, f"must have fields: {', '.join(self._known(message))}", fields)
            return
        for name, value in fields.items():
            if value is None:
                continue
            at = f"{place}.{name}"
            try:
                self._put(message, name, value, at)
            except BadValueError as error:
                self.problems.note(at, str(error), value)

    def _put(self, message: Message, name: str, value: object, place: str) -> None:
        special = self._specials.get((message.DESCRIPTOR.name, name))
        described = _described(message).get(name)
        if isinstance(special, str):
            raise BadValueError(f"is not a field; {special}")
        if special is not None:
            special(message, value)
        elif described is None:
            raise BadValueError(self._unknown(message, name))
        elif _is_taken(message, described):
            raise BadValueError("cannot be given together with another of its kind")
        elif described.is_repeated:
            self._extend(message, described, value, place)
        elif described.message_type is not None and not _is_time(described):
            getattr(message, name).SetInParent()
            self.fill(getattr(message, name), value, place)
        else:
            _set(message, described, value)

    def _extend(self, message: Message, described: FieldDescriptor, values: object, place: str) -> None:
        if not isinstance(values, list):
            raise BadValueError("must be a list")
        for index, value in enumerate(values):
            try:
                getattr(message, described.name).append(_scalar(described, value))
            except BadValueError as error:
                self.problems.note(f"{place}[{index}]", str(error), value)

    def _known(self, message: Message) -> list[str]:
        own = {name: s for (kind, name), s in self._specials.items() if kind == message.DESCRIPTOR.name}
        return sorted(name for name in {*own, *_described(message)} if not isinstance(own.get(name), str))

    def _unknown(self, message: Message, name: str) -> str:
        known = self._known(message)
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
        return f"is not a field; {hint}"


def _described(message: Message) -> dict[str, FieldDescriptor]:
    fields = message.DESCRIPTOR.fields
    return {described.name: described for described in fields if isinstance(described, FieldDescriptor)}


def _is_taken(message: Message, described: FieldDescriptor) -> bool:
    """Return whether another field stands where only one may."""
    group = described.containing_oneof
    return group is not None and message.WhichOneof(group.name) is not None


def _is_time(described: FieldDescriptor) -> bool:
    return described.message_type in (Duration.DESCRIPTOR, Timestamp.DESCRIPTOR)


def _set(message: Message, described: FieldDescriptor, value: object) -> None:
    if described.message_type is None:
        setattr(message, described.name, _scalar(described, value))
    elif described.message_type == Duration.DESCRIPTOR:
        getattr(message, described.name).FromTimedelta(duration(value))
    else:
        getattr(message, described.name).FromDatetime(_moment(value))


def _scalar(described: FieldDescriptor, value: object) -> object:
    kind = described.cpp_type
    if described.enum_type is not None:
        return _number(described.enum_type, value)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return boolean(value)
    if kind in _WHOLE:
        return _whole(value, _WHOLE[kind])
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _real(value)
    if not isinstance(value, str):
        raise BadValueError("must be text; put it in quotes")
    return value


def boolean(value: object) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise BadValueError("must be true or false")
    return value


def _whole(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise BadValueError(f"must be a whole number from 0 to {most}")
    return value


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError("must be a number")
    return float(value)


def _number(described: EnumDescriptor, value: object) -> int:
    first = described.values[0].name
    prefix = first.removesuffix("UNSPECIFIED")
    words = {each.name.removeprefix(prefix).lower(): each.number for each in described.values[1:]}
    if not isinstance(value, str) or value not in words:
        raise BadValueError(f"must be one of {', '.join(words)}")
    return words[value]


def duration(value: object) -> timedelta:
    """Return a duration of a text such as `30s`, or of a number of seconds."""
    from sidecar.config import parse_duration

    try:
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        found = parse_duration(text)
    except (ValueError, OverflowError):
        found = None
    if not isinstance(found, timedelta):
        raise BadValueError("must be a duration such as 500ms, 30s, 5m, 24h or 30d")
    return found


def _moment(value: object) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadValueError("must be a time with its zone, such as 2026-12-31T23:00:00Z")
