"""One piece of work as a caller describes it, and the item that goes to the sidecar."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypedDict

import uuid_utils
from opentelemetry import trace

from sidecar.client import content
from sidecar.client.current import correlation_in
from sidecar.client.options import Deadlines, RetryPolicy, timestamp
from sidecar.client.propagation import carrier_of
from sidecar.conventions import names
from sidecar.v1 import execution_service_pb2 as api


class EnqueueOptions(TypedDict, total=False):
    """The options of an enqueue; see `Enqueue`."""

    queue: str
    execution_id: str | None
    request_id: str | None
    idempotency_key: str | None
    content_type: str | None
    retry: RetryPolicy | None
    deadlines: Deadlines | None
    run_at: datetime | None
    run_in: timedelta | None
    trigger_type: str | None
    external_id: str | None
    parent_execution_id: str | None
    root_execution_id: str | None
    retry_of: str | None
    concurrency_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    queue: str = ""
    execution_id: str | None = None
    request_id: str | None = None
    idempotency_key: str | None = None
    content_type: str | None = None
    retry: RetryPolicy | None = None
    deadlines: Deadlines | None = None
    run_at: datetime | None = None
    run_in: timedelta | None = None
    trigger_type: str | None = None
    external_id: str | None = None
    parent_execution_id: str | None = None
    root_execution_id: str | None = None
    retry_of: str | None = None
    concurrency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Enqueue(_Options):
    """What to run, and how it is known. What is left open the workflow's definition decides.

    The payload goes verbatim if it is bytes, else as JSON. Inside a handler the parent, the root and
    the request id default to those of the running execution; else the request id to the execution id.
    """

    workflow: str
    payload: object = None

    def item(self) -> api.EnqueueItem:
        """Return the message, with ids made and the caller's current context taken up."""
        data, content_type = content.encode(self.payload)
        item = api.EnqueueItem(
            workflow_id=self.workflow,
            queue=self.queue,
            payload=data,
            content_type=content_type if self.content_type is None else self.content_type,
            execution_id=self.execution_id or str(uuid_utils.uuid7()),
            idempotency_key=self.idempotency_key or "",
            trigger_type=self.trigger_type or "",
            external_id=self.external_id or "",
            carrier=carrier_of(),
            retry=self.retry.message() if self.retry else None,
            deadlines=self.deadlines.message() if self.deadlines else None,
            retry_of=self.retry_of or "",
            concurrency_key=self.concurrency_key or "",
        )
        self._correlate(item)
        self._schedule(item)
        return item

    def _correlate(self, item: api.EnqueueItem) -> None:
        outer = correlation_in()
        item.request_id = self.request_id or (outer.request_id if outer else item.execution_id)
        item.parent_execution_id = self.parent_execution_id or (outer.execution_id if outer else "")
        root = outer.root_execution_id or outer.execution_id if outer else ""
        item.root_execution_id = self.root_execution_id or root

    def _schedule(self, item: api.EnqueueItem) -> None:
        if self.run_at is not None:
            item.run_at.CopyFrom(timestamp(self.run_at))
        if self.run_in is not None:
            item.run_in.FromTimedelta(self.run_in)


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes out together, and the execution ids that were made for it."""

    items: list[api.EnqueueItem]
    minted: frozenset[str]


def batch(work: Iterable[Enqueue]) -> Batch:
    """Return the items of some work, the caller's span marked with what they have in common."""
    pairs = [(each, each.item()) for each in work]
    items = [item for _, item in pairs]
    mark(items)
    return Batch(items, frozenset(item.execution_id for each, item in pairs if not each.execution_id))


class Identified(Protocol):
    """Whatever bears the ids of an execution."""

    @property
    def execution_id(self) -> str:
        """Its id."""

    @property
    def request_id(self) -> str:
        """The request that caused it."""


def mark(work: Sequence[Identified]) -> None:
    """Put the ids on the caller's current span: what all of the work has in common.

    A handler's own span already bears the ids that it runs under.
    """
    span = trace.get_current_span()
    if not span.is_recording() or correlation_in() is not None:
        return
    for name, values in (
        (names.EXECUTION_ID, {each.execution_id for each in work}),
        (names.REQUEST_ID, {each.request_id for each in work}),
    ):
        if len(values) == 1:
            span.set_attribute(name, values.pop())
