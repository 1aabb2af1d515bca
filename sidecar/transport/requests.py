"""Requests of the execution API, from the wire to the core's own words."""

import base64
import binascii
import math
from datetime import timedelta
from typing import TypedDict

from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import from_headers
from sidecar.core.enqueue import Deadlines, Request
from sidecar.core.lifecycle import State
from sidecar.core.model import Key, RetryPolicy
from sidecar.core.ports import ListQuery
from sidecar.core.refusals import RefusalError
from sidecar.transport.fields import (
    bounded_int,
    duration,
    identifier,
    instant,
    optional_identifier,
    refuse,
    text,
)
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api

DEFAULT_NAMESPACE = "default"
MAX_NON_RETRYABLE = 64
MAX_ATTEMPTS = 10_000


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
    return Request(
        namespace=namespace(namespace_value),
        workflow_id=identifier("item.workflow_id", item.workflow_id),
        queue=identifier("item.queue", item.queue, "default"),
        payload=item.payload,
        content_type=text("item.content_type", item.content_type, 256),
        execution_id=identifier("item.execution_id", item.execution_id, ""),
        request_id=identifier("item.request_id", item.request_id, ""),
        idempotency_key=optional_identifier("item.idempotency_key", item.idempotency_key),
        parent_execution_id=optional_identifier("item.parent_execution_id", item.parent_execution_id),
        root_execution_id=optional_identifier("item.root_execution_id", item.root_execution_id),
        trigger_type=identifier("item.trigger_type", item.trigger_type, "api"),
        external_id=optional_identifier("item.external_id", item.external_id),
        carrier=_carrier(item, caller),
        retry=_retry(item),
        deadlines=_deadlines(item),
        **_start(item),
        retry_of=optional_identifier("item.retry_of", item.retry_of),
    )


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


def _retry(item: api.EnqueueItem) -> RetryPolicy:
    if not item.HasField("retry"):
        return RetryPolicy()
    wire, default = item.retry, RetryPolicy()
    multiplier = wire.multiplier or default.multiplier
    if not (math.isfinite(multiplier) and 1 <= multiplier <= 100):
        refuse("item.retry.multiplier", wire.multiplier, "must be between 1 and 100")
    bounded_int("item.retry.non_retryable", len(wire.non_retryable), 0, MAX_NON_RETRYABLE)
    return RetryPolicy(
        max_attempts=bounded_int("item.retry.max_attempts", wire.max_attempts or 1, 1, MAX_ATTEMPTS),
        initial_interval=duration(wire, "initial_interval", "item.retry.initial_interval", positive=False)
        or default.initial_interval,
        max_interval=duration(wire, "max_interval", "item.retry.max_interval") or default.max_interval,
        multiplier=multiplier,
        non_retryable=tuple(identifier("item.retry.non_retryable", t) for t in wire.non_retryable),
    )


def _deadlines(item: api.EnqueueItem) -> Deadlines:
    wire = item.deadlines
    return Deadlines(
        in_queue=duration(wire, "in_queue", "item.deadlines.in_queue"),
        attempt=duration(wire, "attempt", "item.deadlines.attempt"),
        total=duration(wire, "total", "item.deadlines.total"),
    )


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
    )


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
