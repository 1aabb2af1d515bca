"""From the core's records to the wire."""

from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.conventions.carrier import Carrier
from sidecar.core.commands import Accepted, Delivery, LeaseRef, Renewed
from sidecar.core.correlation import Correlation
from sidecar.core.model import Execution, Recording, TerminalRecord
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

MAX_BRIEF = 1_024
MAX_BRIEF_TEXT = 256

_NANOS = 1_000_000_000


def timestamp(at: int | None) -> Timestamp | None:
    """Return nanoseconds since the epoch as a message field, None staying absent."""
    return None if at is None else Timestamp(seconds=at // _NANOS, nanos=at % _NANOS)


def carrier(value: Carrier) -> pb.Carrier:
    """Return header texts as a message."""
    return pb.Carrier(traceparent=value.traceparent, tracestate=value.tracestate, baggage=value.baggage)


def correlation(value: Correlation) -> pb.Correlation:
    """Return the whole correlation."""
    return pb.Correlation(
        namespace=value.namespace,
        execution_id=value.execution_id,
        request_id=value.request_id,
        parent_execution_id=value.parent_execution_id or "",
        root_execution_id=value.root_execution_id,
        source=pb.Source.Value(f"SOURCE_{value.source.name}"),
        workflow_id=value.workflow_id,
        trigger_type=value.trigger_type,
        webhook_id=value.webhook_id or "",
        path=value.path or "",
        provider=value.provider or "",
        schedule_id=value.schedule_id or "",
        scheduled_for=timestamp(value.scheduled_for),
        external_id=value.external_id or "",
        fallback=value.fallback,
    )


def execution(value: Execution) -> pb.Execution:
    """Return the record as it stands."""
    message = pb.Execution(
        correlation=correlation(value.correlation),
        queue=value.terms.queue,
        state=pb.ExecutionState.Value(f"EXECUTION_STATE_{value.state.name}"),
        version=value.version,
        attempts=value.attempts,
        segment_index=value.segment_index,
        accepted_at=timestamp(value.accepted_at),
        run_at=timestamp(value.run_at),
        started_at=timestamp(value.started_at),
        cancel_requested=value.cancel is not None,
        cancel_reason=value.cancel.reason if value.cancel else "",
        steps=_markers(value),
        trace_id=value.anchor.trace_id,
        sampled=value.anchor.recording is Recording.SAMPLED,
        worker_id=value.attempt.worker_id if value.attempt else "",
        idempotency_key=value.terms.idempotency_key or "",
        retry_of=value.terms.retry_of or "",
        concurrency_key=value.terms.concurrency_key or "",
        dispatch=pb.Dispatch.Value(f"DISPATCH_{value.terms.dispatch.name}"),
    )
    if value.terminal is not None:
        _outcome(message, value.terminal)
    return message


def brief(value: Execution) -> pb.Execution:
    """Return the record with its long texts cut and a large output left out, where many or none fit."""
    message = execution(value)
    if len(message.output) > MAX_BRIEF:
        message.ClearField("output")
    message.error.message = message.error.message[:MAX_BRIEF_TEXT]
    message.error.stack = message.error.stack[-MAX_BRIEF_TEXT:]
    if not message.error.type:
        message.ClearField("error")
    return message


def _outcome(message: pb.Execution, record: TerminalRecord) -> None:
    message.finalized_at.CopyFrom(timestamp(record.finalized_at) or Timestamp())
    message.finalization_path = pb.FinalizationPath.Value(f"FINALIZATION_PATH_{record.path.name}")
    message.output = record.output or b""
    message.output_content_type = record.output_content_type
    message.output_missing = record.output_missing
    message.minimal = record.minimal or ""
    if record.failure is not None:
        failure = record.failure
        message.error.CopyFrom(
            pb.ExecutionError(type=failure.type, message=failure.message, stack=failure.stack)
        )


def _markers(value: Execution) -> pb.StepMarkers:
    started, completed = value.last_started, value.last_completed
    return pb.StepMarkers(
        last_started=started.name if started else "",
        last_started_at=timestamp(started.at if started else None),
        last_completed=completed.name if completed else "",
        last_completed_at=timestamp(completed.at if completed else None),
    )


def accepted(value: Accepted) -> api.EnqueueExecutionResponse:
    """Return the answer to an enqueue, with the anchor as a carrier."""
    anchor = value.execution.anchor
    return api.EnqueueExecutionResponse(
        execution=execution(value.execution),
        existing=value.existing,
        carrier=carrier(anchor.carrier(anchor.send_span_id)),
    )


def lease_ref(ref: LeaseRef) -> work.LeaseRef:
    """Return the proof of a lease."""
    namespace, execution_id = ref.key
    return work.LeaseRef(namespace=namespace, execution_id=execution_id, token=ref.token, fence=ref.fence)


def renewal(ref: work.LeaseRef, renewed: Renewed) -> work.Renewal:
    """Return how long a lease goes on."""
    message = work.Renewal(lease=ref)
    message.ttl.FromTimedelta(renewed.ttl)
    return message


def cancel_signal(value: Execution, grace_left: timedelta) -> work.CancelSignal | None:
    """Return the wish to cancel that a worker is to be told, None if there is none."""
    if value.cancel is None:
        return None
    signal = work.CancelSignal(lease=held_ref(value), reason=value.cancel.reason)
    signal.grace.FromTimedelta(grace_left)
    return signal


def held_ref(value: Execution) -> work.LeaseRef:
    """Return the proof of the lease that an execution is under."""
    attempt = value.attempt
    return lease_ref(LeaseRef(value.key, attempt.token if attempt else b"", value.fence))


def lease(delivery: Delivery) -> work.Lease:
    """Return a delivery: the attempt's span is the parent of what the handler does."""
    value, attempt = delivery.execution, delivery.execution.attempt
    message = work.Lease(
        lease=lease_ref(delivery.ref),
        correlation=correlation(value.correlation),
        queue=value.terms.queue,
        attempt=attempt.number if attempt else value.attempts,
        max_attempts=value.terms.retry.max_attempts,
        segment_index=value.segment_index,
        payload=value.terms.payload,
        content_type=value.terms.content_type,
        carrier=carrier(
            value.anchor.carrier(attempt.parent_span_id if attempt else value.anchor.send_span_id)
        ),
    )
    message.ttl.FromTimedelta(delivery.ttl)
    if delivery.deadline is not None:
        message.deadline.FromTimedelta(delivery.deadline)
    return message
