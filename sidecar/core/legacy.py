"""Legacy payloads: ids for work of producers that know nothing of correlation, found in it or derived."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sidecar.core.correlation import Source
from sidecar.core.enqueue import Request
from sidecar.core.refusals import RefusalError, invalid

JOB_TYPES: Mapping[str, tuple[Source, str]] = {
    "api": (Source.WORKFLOW, "api"),
    "schedule": (Source.SCHEDULE, "schedule"),
    "webhook": (Source.WEBHOOK, "webhook"),
}
"""Source and trigger type of each job type."""

MAX_READ = 4_194_304
"""Bytes; larger payloads are not looked into, and are refused elsewhere."""

_ID = re.compile(r"[!-~]{1,256}")


def adopt(request: Request, job_type: str) -> Request:
    """Return the request with the ids that its payload has, or that follow from where it came from.

    What the request itself says stands. A request id that is left empty becomes the execution's id.

    Raises:
        RefusalError: for a job type that there is not.
    """
    if job_type not in JOB_TYPES:
        raise RefusalError(invalid("job_type", job_type, f"must be one of {', '.join(JOB_TYPES)}"))
    source, trigger_type = JOB_TYPES[job_type]
    ids = _ids(request.payload)
    return replace(
        request,
        execution_id=request.execution_id or ids.get("execution_id") or _derived(request, source),
        request_id=request.request_id or ids.get("request_id", ""),
        source=source,
        trigger_type=trigger_type,
        fallback=True,
    )


def _ids(payload: bytes) -> dict[str, str]:
    """Return the well-formed ids of a payload, its own before those within `correlation`."""
    top = _object(payload)
    inner = top.get("correlation")
    found = [*_named(top), *(_named(inner) if isinstance(inner, dict) else ())]
    return dict(reversed(found))


def _object(payload: bytes) -> Mapping[str, object]:
    if len(payload) > MAX_READ:
        return {}
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _named(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, spellings in (
        ("execution_id", ("execution_id", "executionId")),
        ("request_id", ("request_id", "requestId")),
    ):
        for spelling in spellings:
            value = fields.get(spelling)
            if isinstance(value, str) and _ID.fullmatch(value):
                yield name, value


def _derived(request: Request, source: Source) -> str:
    """Return the id that every delivery of the same external id gets, empty without one."""
    if not request.external_id:
        return ""
    parts = (request.namespace, source.value, request.external_id)
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
