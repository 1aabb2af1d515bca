"""Every way in, as a test uses it: what sets an execution off, and the correlation that it must have.

A way in may be gone twice: it names its work by ids of its own, as whoever repeats a lost call does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import schedule_service_pb2 as timetable
from tests.processes import SidecarProcess
from tests.wire import PATIENCE, Wire, detail

HOUR = Duration(seconds=3600)
EXTERNAL = "ext-1"


@dataclass(frozen=True)
class SetOff:
    """One execution that was set off (its id), and what its correlation must say beside the ids."""

    execution_id: str
    expected: dict[str, Any]


WayIn = Callable[[Wire, SidecarProcess], SetOff]


def by_api(wire: Wire, _sidecar: SidecarProcess) -> SetOff:
    """A caller that gives all there is to give."""
    given: dict[str, Any] = {
        "execution_id": f"exec-{wire.namespace}",
        "request_id": "req-1",
        "parent_execution_id": "parent-1",
        "root_execution_id": "root-1",
        "external_id": EXTERNAL,
        "trigger_type": "manual",
    }
    answer = _tried(lambda: wire.enqueue(**given).execution.correlation.execution_id, wire)
    return SetOff(answer, {**given, "source": pb.SOURCE_WORKFLOW})


def by_a_message_of_many(wire: Wire, _sidecar: SidecarProcess) -> SetOff:
    given: dict[str, Any] = {"execution_id": f"exec-{wire.namespace}", "request_id": "req-1"}
    (result,) = wire.enqueue_many(given)
    refused = result.refused.metadata.get("execution_id", "")
    return SetOff(refused or result.accepted.execution.correlation.execution_id, given)


def legacy(job_type: str, source: pb.Source.ValueType) -> WayIn:
    """Return the way in of a producer that knows nothing of correlation."""

    def set_off(wire: Wire, _sidecar: SidecarProcess) -> SetOff:
        item = wire.item(external_id=f"{EXTERNAL}-{job_type}", payload=b'{"requestId": "req-1"}')
        item.execution_id = ""
        item.legacy.CopyFrom(api.LegacyPayload(job_type=job_type))
        request = api.EnqueueExecutionRequest(namespace=wire.namespace, item=item)
        answer = _tried(
            lambda: (
                wire.executions.EnqueueExecution(request, timeout=PATIENCE).execution.correlation.execution_id
            ),
            wire,
        )
        expected = {"request_id": "req-1", "source": source, "trigger_type": job_type, "fallback": True}
        return SetOff(answer, {**expected, "external_id": item.external_id})

    return set_off


def by_schedule(wire: Wire, _sidecar: SidecarProcess) -> SetOff:
    """A schedule that is run now, beside its timetable."""
    wire.define(defs.Schedule(schedule_id="hourly", workflow_id="audit", every=HOUR))
    request = timetable.RunScheduleRequest(
        namespace=wire.namespace, schedule_id="hourly", request_id="req-1", idempotency_key="run-1"
    )
    answer = _tried(
        lambda: wire.schedules.RunSchedule(request, timeout=PATIENCE).execution.correlation.execution_id, wire
    )
    expected = {"request_id": "req-1", "source": pb.SOURCE_SCHEDULE, "schedule_id": "hourly"}
    return SetOff(answer, {**expected, "trigger_type": "manual"})


def by_webhook(wire: Wire, sidecar: SidecarProcess) -> SetOff:
    """A delivery by HTTP."""
    path = f"in/{wire.namespace}"
    wire.define(defs.Webhook(webhook_id="hook", path=path, workflow_id="audit", provider="shop"))
    headers = {"x-request-id": "req-1", "webhook-id": "delivery-1", "content-type": "application/json"}
    answer = httpx.post(
        f"http://127.0.0.1:{sidecar.http_port}/hooks/{path}", content=b"{}", headers=headers, timeout=PATIENCE
    )
    document = answer.json()
    expected = {"request_id": "req-1", "source": pb.SOURCE_WEBHOOK, "trigger_type": "webhook"}
    return SetOff(
        document["execution_id"], {**expected, "webhook_id": "hook", "path": path, "provider": "shop"}
    )


WAYS_IN: dict[str, WayIn] = {
    "api": by_api,
    "many": by_a_message_of_many,
    "legacy api": legacy("api", pb.SOURCE_WORKFLOW),
    "legacy schedule": legacy("schedule", pb.SOURCE_SCHEDULE),
    "legacy webhook": legacy("webhook", pb.SOURCE_WEBHOOK),
    "schedule": by_schedule,
    "webhook": by_webhook,
}


def _tried(call: Callable[[], str], wire: Wire) -> str:
    """Return the execution id of a call's answer, or of the record that its refusal names."""
    try:
        return call()
    except grpc.RpcError as error:
        call_of: Any = error
        if call_of.code() is grpc.StatusCode.UNAVAILABLE:
            raise
        named = detail(error, error_details_pb2.ErrorInfo).metadata["execution_id"]
        assert wire.get(named).error.type.startswith("preprocessing.")
        return named
