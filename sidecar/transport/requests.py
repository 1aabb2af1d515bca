"""Requests of the execution API, from the wire to the core's own words."""

import base64
import binascii
import re
from datetime import timedelta
from typing import TypedDict

from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import from_headers
from sidecar.core.enqueue import Request
from sidecar.core.legacy import JOB_TYPES, adopt
from sidecar.core.lifecycle import State
from sidecar.core.model import Dispatch, Key
from sidecar.core.ports import ListQuery
from sidecar.core.refusals import RefusalError
from sidecar.transport import policies
from sidecar.transport.fields import (
    bounded_int,
    duration,
    identifier,
    instant,
    optional_identifier,
    refuse,
    text,
)
from sidecar.transport.words import word
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api

DEFAULT_NAMESPACE = "default"
RESERVED_KEYS = ("schedule:", "webhook:")
"""What idempotency keys begin with that the sidecar makes itself."""
MAX_HANDED_IN = timedelta(days=30)

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def namespace(value: str) -> str:
    """Return the namespace, `default` when empty."""
    return identifier("namespace", value, DEFAULT_NAMESPACE)


def key(namespace_value: str, execution_id: str) -> Key:
    """Return the key that a request names."""
    return namespace(namespace_value), identifier("execution_id", execution_id)


def enqueue_item(namespace_value: str, item: api.EnqueueItem, caller: Carrier) -> Request:
    """Return one item of work.

    Raises:
        RefusalError: naming the first field that is malformed.
    """
    request = Request(
        namespace=namespace(namespace_value),
        workflow_id=identifier("item.workflow_id", item.workflow_id),
        queue=identifier("item.queue", item.queue, ""),
        payload=item.payload,
        content_type=text("item.content_type", item.content_type, 256),
        execution_id=identifier("item.execution_id", item.execution_id, ""),
        request_id=identifier("item.request_id", item.request_id, ""),
        idempotency_key=_own_key(item.idempotency_key),
        parent_execution_id=optional_identifier("item.parent_execution_id", item.parent_execution_id),
        root_execution_id=optional_identifier("item.root_execution_id", item.root_execution_id),
        trigger_type=identifier("item.trigger_type", item.trigger_type, "api"),
        external_id=optional_identifier("item.external_id", item.external_id),
        carrier=_carrier(item, caller),
        retry=policies.retry("item.retry", item.retry) if item.HasField("retry") else None,
        deadlines=policies.deadlines("item.deadlines", item.deadlines),
        **_start(item),
        retry_of=optional_identifier("item.retry_of", item.retry_of),
        concurrency_key=optional_identifier("item.concurrency_key", item.concurrency_key),
        dispatch=word("item.dispatch", item.dispatch, pb.Dispatch, Dispatch) or Dispatch.MANAGED,
        handed_in=_handed_in(item),
    )
    return adopt(request, _job_type(item.legacy)) if item.HasField("legacy") else request


def _own_key(value: str) -> str | None:
    if value.startswith(RESERVED_KEYS):
        refuse("item.idempotency_key", value, f"may not begin with {' or '.join(RESERVED_KEYS)}")
    return optional_identifier("item.idempotency_key", value)


def _handed_in(item: api.EnqueueItem) -> timedelta:
    ago = duration(item, "accepted_ago", "item.accepted_ago", positive=False) or timedelta()
    if ago > MAX_HANDED_IN:
        refuse("item.accepted_ago", str(ago), f"is longer than {MAX_HANDED_IN.days} days")
    return ago


def _job_type(legacy: api.LegacyPayload) -> str:
    if legacy.job_type not in JOB_TYPES:
        refuse("item.legacy.job_type", legacy.job_type, f"must be one of {', '.join(JOB_TYPES)}")
    return legacy.job_type


class _Start(TypedDict):
    run_at: int | None
    run_in: timedelta | None


def _start(item: api.EnqueueItem) -> _Start:
    run_in = duration(item, "run_in", "item.run_in", positive=False)
    if run_in is not None and item.HasField("run_at"):
        refuse("item.run_in", run_in, "cannot be given together with item.run_at")
    return _Start(run_at=instant(item, "run_at", "item.run_at"), run_in=run_in)


def _carrier(item: api.EnqueueItem, caller: Carrier) -> Carrier:
    """Return the item's own context, else the call's; a bad one never refuses work."""
    if not item.HasField("carrier"):
        return caller
    own = item.carrier
    headers = (("traceparent", own.traceparent), ("tracestate", own.tracestate), ("baggage", own.baggage))
    return from_headers((name, value) for name, value in headers if value)


def list_query(request: api.ListExecutionsRequest) -> ListQuery:
    """Return the page asked for."""
    bounded_int("execution_ids", len(request.execution_ids), 0, 1_000)
    bounded_int("page_size", request.page_size, 0, 1_000)
    return ListQuery(
        namespace=namespace(request.namespace),
        states=tuple(_state(value) for value in request.states),
        workflow_id=optional_identifier("workflow_id", request.workflow_id),
        execution_ids=tuple(identifier("execution_ids", value) for value in request.execution_ids),
        before=_page_token(request.page_token),
        limit=request.page_size or 100,
        request_id=optional_identifier("request_id", request.request_id),
        trace_id=_trace_id(request.trace_id),
        idempotency_key=optional_identifier("idempotency_key", request.idempotency_key),
        external_id=optional_identifier("external_id", request.external_id),
        schedule_id=optional_identifier("schedule_id", request.schedule_id),
        webhook_id=optional_identifier("webhook_id", request.webhook_id),
    )


def _trace_id(value: str) -> str | None:
    if value and not _TRACE_ID.fullmatch(value):
        refuse("trace_id", value, "must be 32 lower-case hexadecimal digits")
    return value or None


def _state(value: pb.ExecutionState.ValueType) -> State:
    name = pb.ExecutionState.Name(value) if value in pb.ExecutionState.values() else ""
    short = name.removeprefix("EXECUTION_STATE_")
    if short not in State.__members__:
        refuse("states", value, f"must be one of {', '.join(State)}")
    return State[short]


def page_token(accepted_at: int, execution_id: str) -> str:
    """Return the opaque token that continues after this execution."""
    return base64.urlsafe_b64encode(f"{accepted_at}:{execution_id}".encode()).decode()


def _page_token(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    try:
        at, _, execution_id = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
        return bounded_int("page_token", int(at), 0, 2**63 - 1), identifier("page_token", execution_id)
    except (binascii.Error, ValueError, RefusalError):
        refuse("page_token", token, "is not one that this sidecar gave out")
