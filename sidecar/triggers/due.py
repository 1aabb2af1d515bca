"""`POST /schedules/run-due`: an outside cron without gRPC drives the schedules."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import from_headers
from sidecar.core.model import Execution
from sidecar.core.refusals import RefusalError, invalid
from sidecar.triggers import documents
from sidecar.triggers.answers import DEFAULT_NAMESPACE, JSON, Answer, document
from sidecar.triggers.headers import Headers
from sidecar.triggers.parameters import identifier
from sidecar.triggers.requests import content_type, request_id

MAX_BODY = 16_384
MAX_EARLY = timedelta(minutes=1)

_FIELDS = ("namespace", "schedule_id", "request_id", "early")
_SECONDS = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)s")


class DueSchedules(Protocol):
    """What fires schedules that are due."""

    async def run_due(
        self, namespace: str, schedule_id: str | None, request_id: str, early: timedelta, carrier: Carrier
    ) -> tuple[Sequence[Execution], int]:
        """Fire what is due; return what that started, and how many occurrences passed without."""


async def run_due(schedules: DueSchedules, headers: Headers, body: bytes) -> Answer:
    """Fire what is due and return what that started.

    The body is empty or a JSON object with any of `namespace`, `schedule_id`, `request_id`, and `early` as
    seconds like `5s`. It must be declared as JSON, which no page of another site can have a browser send.

    Raises:
        MistakeError: it is not declared as JSON.
        RefusalError: a field is malformed or unknown, or SCHEDULE_NOT_FOUND.
        StoreUnavailableError: nothing could be fired; repeat it.
    """
    content_type(headers, (JSON,))
    given = _members(body)
    schedule_id = given.get("schedule_id")
    executions, skipped = await schedules.run_due(
        identifier("namespace", given.get("namespace", DEFAULT_NAMESPACE)),
        None if schedule_id is None else identifier("schedule_id", schedule_id),
        identifier("request_id", given["request_id"]) if "request_id" in given else request_id(headers),
        _early(given.get("early", "0s")),
        from_headers(headers),
    )
    started = [documents.execution(execution) for execution in executions]
    return document(200, {"executions": started, "skipped": skipped})


def _members(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise RefusalError(invalid("body", body[:80], "is not JSON")) from error
    if not isinstance(value, dict):
        raise RefusalError(invalid("body", value, "must be a JSON object"))
    for name in value:
        if name not in _FIELDS:
            raise RefusalError(invalid("body", name, f"is no field here; there are {', '.join(_FIELDS)}"))
    return value


def _early(value: object) -> timedelta:
    match = _SECONDS.fullmatch(value) if isinstance(value, str) else None
    if match is None or not timedelta() <= timedelta(seconds=float(match[1])) <= MAX_EARLY:
        raise RefusalError(invalid("early", value, "must be seconds between 0s and 60s, such as 5s"))
    return timedelta(seconds=float(match[1]))
