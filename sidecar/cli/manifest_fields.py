"""The fields that a manifest has its own way with: switches, schemas and payloads."""

import json
from collections.abc import Mapping
from pathlib import Path

from google.protobuf.message import Message

from sidecar.cli.message_fields import BadValueError, Special, boolean
from sidecar.cli.values import content_type_of
from sidecar.cli.yaml_text import MAX_BYTES
from sidecar.v1.definitions_pb2 import Schedule, Webhook, Workflow


def specials(folder: Path) -> Mapping[tuple[str, str], Special]:
    """Return them by message and key; files are looked for in `folder`."""

    def schema_file(message: Message, value: object) -> None:
        _put_schema(message, _text_of(folder, value))

    return {
        ("Workflow", "enabled"): _enable,
        ("Workflow", "disabled"): "write enabled: false",
        ("Workflow", "json_schema"): _inline_schema,
        ("Workflow", "json_schema_file"): schema_file,
        ("Webhook", "enabled"): _enable,
        ("Webhook", "disabled"): "write enabled: false",
        ("Schedule", "payload"): _payload,
    }


def contents(path: Path) -> bytes:
    """Return what is in a file, at most a byte more than a manifest may have.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _enable(message: Message, value: object) -> None:
    if isinstance(message, Workflow | Webhook):
        message.disabled = not boolean(value)


def _inline_schema(message: Message, value: object) -> None:
    if isinstance(value, str):
        _put_schema(message, value)
    elif isinstance(value, dict):
        _put_schema(message, _json(value))
    else:
        raise BadValueError("must be a JSON Schema, as fields or as JSON text")


def _put_schema(message: Message, schema: str) -> None:
    if not isinstance(message, Workflow):
        raise BadValueError("belongs to a workflow")
    if message.json_schema:
        raise BadValueError("give json_schema or json_schema_file, not both")
    message.json_schema = schema


def _text_of(folder: Path, value: object) -> str:
    if not isinstance(value, str):
        raise BadValueError("must be the name of a file")
    try:
        return contents(folder / value).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise BadValueError(f"cannot be read: {reason}") from None


def _payload(message: Message, value: object) -> None:
    if not isinstance(message, Schedule):
        raise BadValueError("belongs to a schedule")
    message.payload = value.encode() if isinstance(value, str) else _json(value).encode()
    message.content_type = message.content_type or content_type_of(message.payload)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
