"""Values of the command line, from text to what the client takes; a bad one is named with what to do."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import typer

from sidecar.client import State


def duration(text: str) -> timedelta:
    """Return a duration such as `500ms`, `30s` or `5m`."""
    from sidecar.config import parse_duration

    try:
        found = parse_duration(text)
    except (ValueError, OverflowError):
        found = None
    if not isinstance(found, timedelta):
        raise typer.BadParameter(f"{text!r} is not a duration such as 500ms, 30s, 5m, 24h or 30d")
    return found


def state(text: str) -> State:
    """Return a state by its name, in any case."""
    try:
        return State(text.lower())
    except ValueError:
        names = ", ".join(State)
        raise typer.BadParameter(f"{text!r} is not a state; there are: {names}") from None


def payload(text: str | None) -> tuple[bytes | None, str | None]:
    """Return the bytes and content type of TEXT, `@file` or `-` (standard input)."""
    if text is None:
        return None, None
    data = _read(text)
    return data, content_type_of(data)


def _read(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode("utf-8", "surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise typer.BadParameter(f"cannot read {text[1:]!r}: {reason}", param_hint="--payload") from None


def content_type_of(data: bytes) -> str:
    """Return JSON for what is JSON, so that the worker gets it decoded; else text or bytes."""
    try:
        json.loads(data)
    except ValueError:
        return _plain_type(data)
    return "application/json"


def _plain_type(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain; charset=utf-8"
