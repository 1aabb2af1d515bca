"""Bad input at every field of every call: a precise error that names the field, and nothing changed."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import registry_service_pb2 as registry
from sidecar.v1 import schedule_service_pb2 as timetable
from sidecar.v1 import worker_service_pb2 as work
from tests.conformance import bad_definitions as definitions
from tests.conformance import bad_schedules as schedules
from tests.conformance import bad_values as values
from tests.conformance.bad_values import Bad
from tests.wire import PATIENCE, Heard, RawWorker, Wire, detail, failed, reason_of


@pytest.mark.parametrize(
    ("message", "cases", "under"),
    [*values.COVERED, *definitions.COVERED, *schedules.COVERED],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_every_field_has_a_bad_value_or_none(message: type[Message], cases: list[Bad], under: str) -> None:
    """A new field of the API fails here until its bad values are listed."""
    good = {**values.ANY_VALUE_IS_GOOD, **definitions.ANY_VALUE_IS_GOOD}.get(message, {})
    wrong = {each for case in cases for each in (case.path, case.field)}
    for field in message.DESCRIPTOR.fields:
        path = under + field.name
        covered = any(each == path or each.startswith((f"{path}.", f"{path}[")) for each in wrong)
        assert covered != (field.name in good), path


Unary = Callable[[Wire], Callable[..., object]]
CALLS: list[tuple[Unary, type[Any], list[Bad]]] = [
    (lambda w: w.executions.EnqueueExecution, api.EnqueueExecutionRequest, values.ENQUEUE),
    (lambda w: w.executions.GetExecution, api.GetExecutionRequest, values.KEY),
    (lambda w: w.executions.ListExecutions, api.ListExecutionsRequest, values.LIST),
    (lambda w: w.executions.WaitExecution, api.WaitExecutionRequest, values.WAIT),
    (lambda w: w.executions.CancelExecution, api.CancelExecutionRequest, values.CANCEL),
    (lambda w: w.admin.GetTrace, admin.GetTraceRequest, values.KEY),
    (lambda w: w.registry.ApplyDefinitions, registry.ApplyDefinitionsRequest, definitions.DEFINE),
    (lambda w: w.registry.ListDefinitions, registry.ListDefinitionsRequest, definitions.LIST),
    (lambda w: w.registry.DeleteDefinition, registry.DeleteDefinitionRequest, definitions.DELETE),
    (lambda w: w.schedules.ListSchedules, timetable.ListSchedulesRequest, schedules.LIST),
    (lambda w: w.schedules.PauseSchedule, timetable.PauseScheduleRequest, schedules.KEY),
    (lambda w: w.schedules.ResumeSchedule, timetable.ResumeScheduleRequest, schedules.KEY),
    (lambda w: w.schedules.RunSchedule, timetable.RunScheduleRequest, schedules.RUN),
    (lambda w: w.schedules.RunDue, timetable.RunDueRequest, schedules.RUN_DUE),
    (lambda w: w.admin.Verify, admin.VerifyRequest, values.bad("namespace", *values.BAD_IDS)),
]


def good(kind: type[Any]) -> Any:
    """Return a request in which only the bad value is wrong."""
    request = kind()
    if kind is api.EnqueueExecutionRequest:
        request.item.workflow_id = "audit"
    elif kind is registry.ApplyDefinitionsRequest:
        request.definitions.extend(definitions.good())
    elif kind is registry.DeleteDefinitionRequest:
        request.kind, request.name = registry.DEFINITION_KIND_QUEUE, "q"
    elif kind.__module__ == timetable.__name__:
        request.schedule_id = "s"
    elif "execution_id" in kind.DESCRIPTOR.fields_by_name:
        request.execution_id = "e1"
    return request


@pytest.mark.parametrize(("method", "kind", "cases"), CALLS, ids=[c[1].DESCRIPTOR.name for c in CALLS])
def test_a_bad_field_is_named_and_nothing_changes(
    wire: Wire, method: Unary, kind: type[Any], cases: list[Bad]
) -> None:
    wire.enqueue(execution_id="e1")
    before = wire.get("e1")
    for case in cases:
        request = good(kind)
        request.namespace = wire.namespace
        case.put(request)
        with pytest.raises(grpc.RpcError) as refused:
            method(wire)(request, timeout=PATIENCE)
        assert_names(refused.value, case)
    assert wire.get("e1") == before
    assert count(wire) == 1


def assert_names(error: grpc.RpcError, case: Bad) -> None:
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, f"{case}: {error}"
    assert reason_of(error) in ("INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE")
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info.metadata["field"] == case.field, f"{case}: {info}"
    assert case.field in (error.details() or "")


def count(wire: Wire) -> int:
    """Return how many were let in; what is refused for what it asks is kept beside them, as refused."""
    return sum(each.finalization_path != pb.FINALIZATION_PATH_REJECTED for each in wire.found())


def test_a_bad_watch_is_refused(wire: Wire) -> None:
    for case in values.KEY:
        request = good(api.WatchExecutionRequest)
        case.put(request)
        with pytest.raises(grpc.RpcError) as refused:
            next(wire.executions.WatchExecution(request, timeout=PATIENCE))
        assert_names(refused.value, case)


@pytest.mark.parametrize("count_of_items", [0, 1_001])
def test_many_is_at_least_one_and_at_most_a_thousand(wire: Wire, count_of_items: int) -> None:
    request = api.EnqueueExecutionsRequest(items=[wire.item() for _ in range(count_of_items)])
    with pytest.raises(grpc.RpcError) as refused:
        wire.executions.EnqueueExecutions(request, timeout=PATIENCE)
    assert detail(refused.value, error_details_pb2.ErrorInfo).metadata["field"] == "items"


def test_a_bad_item_among_many_is_named_alone(wire: Wire) -> None:
    item_cases = [c for c in values.ENQUEUE if c.path.startswith("item.") and c.path != "item.payload"]
    items = [wire.item() for _ in item_cases]
    holders = [api.EnqueueExecutionRequest(item=item) for item in items]
    for holder, case in zip(holders, item_cases, strict=True):
        case.put(holder)
    request = api.EnqueueExecutionsRequest(namespace=wire.namespace, items=[h.item for h in holders])
    results = wire.executions.EnqueueExecutions(request, timeout=PATIENCE).results
    assert [r.refused.metadata["field"] for r in results] == [case.field for case in item_cases]
    assert count(wire) == 0


SETTLEMENT_CASES = [*values.SETTLEMENT, *values.RETRY_AFTER]


def settlement(lease: work.Lease, case: Bad) -> work.Settlement:
    message = work.Settlement(lease=lease.lease)
    if case.path == "failed.retry_after":
        message.failed.CopyFrom(failed("Broken"))
    elif case.path.startswith("lease."):
        message.succeeded.SetInParent()
    case.put(message)
    return message


def test_a_bad_settlement_is_refused_and_the_lease_stays(wire: Wire) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        before = wire.get("e1")
        for case in SETTLEMENT_CASES:
            with pytest.raises(grpc.RpcError) as refused:
                wire.workers.Settle(work.SettleRequest(settlement=settlement(lease, case)), timeout=PATIENCE)
            assert_names(refused.value, case)
        empty = work.SettleRequest(settlement=work.Settlement(lease=lease.lease))
        with pytest.raises(grpc.RpcError, match=r"settlement\.outcome"):
            wire.workers.Settle(empty, timeout=PATIENCE)
        assert wire.get("e1") == before
        assert worker.settle(lease).HasField("settled")


def test_bad_reports_in_a_frame_are_each_refused_alone(wire: Wire) -> None:
    with wire.worker() as worker:
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        before = wire.get("e1")
        beats = values.lease_cases("lease", "heartbeats.lease")
        gifts = values.lease_cases("lease", "releases.lease")
        worker.send(
            heartbeats=[put(work.Heartbeat(lease=lease.lease), case) for case in beats],
            releases=[put(work.ReleaseLease(lease=lease.lease), case) for case in gifts],
            steps=[put(good_step(lease), case) for case in values.STEP],
        )
        expected = [case.field for case in (*beats, *values.STEP, *gifts)]
        worker.until(lambda heard: len(heard.refused) == len(expected), "every refusal")
        assert [r.refused.metadata["field"] for r in worker.heard.refused] == expected
        assert wire.get("e1") == before
        assert worker.settle(lease).HasField("settled")


def put(message: Any, case: Bad) -> Any:
    case.put(message)
    return message


def good_step(lease: work.Lease) -> work.StepReport:
    return work.StepReport(
        lease=lease.lease,
        sequence=1,
        name="s",
        phase=work.STEP_PHASE_COMPLETED,
        span_id=b"12345678",
        started_after=Duration(),
        completed_after=Duration(),
    )


@pytest.mark.parametrize("case", values.HELLO, ids=str)
def test_a_bad_hello_ends_the_stream_with_its_reason(wire: Wire, case: Bad) -> None:
    worker = wire.worker()
    case.put(worker.hello)
    assert_names(ended(worker), case)


def test_a_stream_begins_with_a_hello(wire: Wire) -> None:
    worker = wire.worker()
    worker.hello.Clear()
    call = wire.workers.Work(iter([work.WorkRequest(credits=1)]))
    with pytest.raises(grpc.RpcError, match="hello"):
        next(call)


def ended(worker: RawWorker) -> grpc.RpcError:
    worker.open()

    def over(heard: Heard) -> bool:
        return heard.ended is not None

    worker.until(over, "the stream's end")
    assert isinstance(worker.heard.ended, grpc.RpcError), worker.heard
    return worker.heard.ended
