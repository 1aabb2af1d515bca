"""Executions as processes that are gone have left them in a spool."""

import uuid
from datetime import datetime, timedelta

from sidecar.client.spooled import Spooled, now
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

SUCCESS = work.Settlement(
    succeeded=work.Succeeded(output=b'{"exit_code":0}', content_type="application/json")
)


def spooled(
    target: str = "127.0.0.1:1",
    execution_id: str = "",
    *,
    namespace: str = "default",
    ago: timedelta = timedelta(minutes=10),
    settlement: work.Settlement | None = SUCCESS,
    settled_at: datetime | None = None,
) -> Spooled:
    """Return what a run left behind that ended a moment ago."""
    at = now() - ago
    item = api.EnqueueItem(
        workflow_id="nightly",
        execution_id=execution_id or str(uuid.uuid4()),
        carrier=pb.Carrier(traceparent="00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", baggage="k=v;p=1"),
        dispatch=pb.DISPATCH_EXTERNAL,
        retry=pb.RetryPolicy(max_attempts=1),
    )
    begin = work.BeginRequest(
        namespace=namespace,
        execution_id=item.execution_id,
        worker_id=str(uuid.uuid4()),
        resource={"service.name": "nightly"},
        sdk="test/1",
    )
    register = api.EnqueueExecutionRequest(namespace=namespace, item=item)
    told = Spooled(target, register, at, begin, at + timedelta(seconds=1))
    return told if settlement is None else told.ended(settlement, settled_at or now())
