"""The client's records as JSON documents: plain values, times in ISO 8601, no field left out."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sidecar.client import Execution, Trace, Verification

Document = dict[str, Any]


def execution(record: Execution) -> Document:
    """Return an execution, its correlation on the same level as the rest."""
    fields = asdict(record)
    document: Document = {**fields.pop("correlation"), **fields}
    document.pop("output")
    return {**document, **_output(record)}


def _output(record: Execution) -> Document:
    try:
        value = record.value()
    except ValueError:
        value = record.output
    if isinstance(value, bytes):
        return {"output": None, "output_base64": base64.b64encode(value).decode()}
    return {"output": value}


def trace(found: Trace) -> Document:
    """Return the spans of an execution."""
    return {"trace_id": found.trace_id, "spans": [asdict(span) for span in found.spans]}


def verification(found: Verification, *, adds_up: bool) -> Document:
    """Return the account, the states and the violations."""
    return {**asdict(found), "adds_up": adds_up, "ok": adds_up and not found.violations}


def text(document: Document | list[Document]) -> str:
    """Return a document as one line of JSON."""
    return json.dumps(document, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
