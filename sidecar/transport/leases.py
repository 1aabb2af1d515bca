"""What workers send, from the wire to the core's commands."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta

from sidecar.core.catalog import Catalog
from sidecar.core.commands import (
    Begin,
    Cancellation,
    Fault,
    LeaseRef,
    Release,
    Renew,
    Report,
    ReportStep,
    Settle,
    Success,
)
from sidecar.core.model import Failure, Resource
from sidecar.core.sessions import Session, Sink
from sidecar.transport.fields import (
    bounded_int,
    duration,
    identifier,
    refuse,
    required_text,
    span_id,
    text,
)
from sidecar.transport.requests import DEFAULT_NAMESPACE, key
from sidecar.v1 import worker_service_pb2 as work

MAX_ATTRIBUTES = 128
MAX_NAMES = 256
MAX_LANES = 1_024
MAX_CREDITS = 10_000
MAX_HELD = 10_000
MAX_SEQUENCE = 1_000_000
TOKEN_BYTES = 16

Declare = Callable[[dict[str, str], str], Resource]
"""Keeps the allowed part of a worker's resource and names it."""


def session(hello: work.Hello, declare: Declare, sink: Sink) -> Session:
    """Return the session that a hello asks for, without credits yet.

    Raises:
        RefusalError: naming the first field that is malformed.
    """
    bounded_int("hello.credits", hello.credits, 0, MAX_CREDITS)
    bounded_int("hello.held", len(hello.held), 0, MAX_HELD)
    bounded_int("hello.queues", len(hello.queues) * len(hello.workflows), 0, MAX_LANES)
    return Session(
        namespace=identifier("hello.namespace", hello.namespace, DEFAULT_NAMESPACE),
        worker_id=identifier("hello.worker_id", hello.worker_id),
        resource=_resource("hello", hello.resource, hello.sdk, declare),
        queues=_names("hello.queues", list(hello.queues)),
        workflows=_names("hello.workflows", list(hello.workflows)),
        sink=sink,
    )


def begin(request: work.BeginRequest, declare: Declare, catalog: Catalog) -> Begin:
    """Return the wish to begin a named execution.

    Raises:
        RefusalError: naming the first field that is malformed.
    """
    return Begin(
        key=key(request.namespace, request.execution_id),
        worker_id=identifier("worker_id", request.worker_id),
        resource=_resource("", request.resource, request.sdk, declare),
        begun_ago=duration(request, "begun_ago", "begun_ago", positive=False) or timedelta(),
        catalog=catalog,
    )


def _resource(under: str, attributes: Mapping[str, str], sdk: str, declare: Declare) -> Resource:
    name = f"{under}.resource".lstrip(".")
    bounded_int(name, len(attributes), 0, MAX_ATTRIBUTES)
    known = {text(name, k, 256): text(name, v) for k, v in attributes.items()}
    return declare(known, text(f"{under}.sdk".lstrip("."), sdk, 256))


def _names(field: str, values: list[str]) -> tuple[str, ...]:
    if not 1 <= len(values) <= MAX_NAMES:
        refuse(field, len(values), f"must name 1 to {MAX_NAMES}")
    return tuple(dict.fromkeys(identifier(field, value) for value in values))


def lease_ref(name: str, ref: work.LeaseRef) -> LeaseRef:
    """Return the proof of a lease."""
    if len(ref.token) != TOKEN_BYTES:
        refuse(f"{name}.token", ref.token, f"must be the {TOKEN_BYTES} bytes of the lease")
    if not 0 < ref.fence < 2**63:
        refuse(f"{name}.fence", ref.fence, "must be the fence of the lease")
    namespace = identifier(f"{name}.namespace", ref.namespace, DEFAULT_NAMESPACE)
    execution_id = identifier(f"{name}.execution_id", ref.execution_id)
    return LeaseRef((namespace, execution_id), ref.token, ref.fence)


def renew(beat: work.Heartbeat) -> Renew:
    """Return a heartbeat."""
    return Renew(lease_ref("heartbeats.lease", beat.lease))


def release(give: work.ReleaseLease) -> Release:
    """Return a lease given back."""
    return Release(lease_ref("releases.lease", give.lease), voluntary=True)


def report_step(report: work.StepReport) -> ReportStep:
    """Return a progress marker."""
    completed = report.phase == work.STEP_PHASE_COMPLETED
    if not completed and report.phase != work.STEP_PHASE_STARTED:
        refuse("steps.phase", report.phase, "must be STEP_PHASE_STARTED or STEP_PHASE_COMPLETED")
    started_after = duration(report, "started_after", "steps.started_after", positive=False)
    completed_after = duration(report, "completed_after", "steps.completed_after", positive=False)
    if started_after is None:
        refuse("steps.started_after", None, "is required")
    if completed and completed_after is None:
        refuse("steps.completed_after", None, "is required with STEP_PHASE_COMPLETED")
    return ReportStep(
        ref=lease_ref("steps.lease", report.lease),
        sequence=bounded_int("steps.sequence", report.sequence, 1, MAX_SEQUENCE),
        name=required_text("steps.name", report.name, 256),
        span_id=span_id("steps.span_id", report.span_id, required=True),
        parent_span_id=span_id("steps.parent_span_id", report.parent_span_id, required=False),
        started_after=started_after,
        completed_after=completed_after if completed else None,
        error_type=text("steps.error_type", report.error_type, 256) or None,
    )


def settle(settlement: work.Settlement) -> Settle:
    """Return a settlement, with the digest of the message as it came."""
    ref = lease_ref("settlement.lease", settlement.lease)
    digest = hashlib.blake2b(settlement.SerializeToString(deterministic=True), digest_size=16).digest()
    return Settle(ref, _report(settlement), digest)


def _report(settlement: work.Settlement) -> Report:
    match settlement.WhichOneof("outcome"):
        case "succeeded":
            success = settlement.succeeded
            content_type = text("settlement.succeeded.content_type", success.content_type, 256)
            return Success(success.output, content_type, success.output_missing)
        case "failed":
            return _fault(settlement.failed)
        case "cancelled":
            return Cancellation(text("settlement.cancelled.reason", settlement.cancelled.reason))
        case _:
            return refuse("settlement.outcome", None, "must be one of succeeded, failed, cancelled")


def _fault(failed: work.Failed) -> Fault:
    """Return a failure; its texts are kept as they are, cut to their bounds by the finalizer."""
    error = failed.error
    return Fault(
        failure=Failure(
            required_text("settlement.failed.error.type", error.type, 256), error.message, error.stack
        ),
        final=failed.final,
        retry_after=duration(failed, "retry_after", "settlement.failed.retry_after", positive=False),
    )
