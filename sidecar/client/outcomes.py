"""How a handler's end becomes a settlement: every value and every exception has exactly one."""

import logging
from typing import Final

from sidecar.client import content
from sidecar.client.delivery import Delivery
from sidecar.client.failures import failure_of, message_of, plain, type_of
from sidecar.client.options import duration
from sidecar.client.verdicts import HandlerError
from sidecar.conventions import names
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work

_LOG: Final = logging.getLogger(__name__)


def success(delivery: Delivery, value: object) -> work.Settlement:
    """Return a success; the output is left out if it cannot be expressed or is over the limit."""
    return work.Settlement(lease=delivery.ref, succeeded=_output(delivery, value))


def failure(delivery: Delivery, error: BaseException) -> work.Settlement:
    """Return a failure with the error's own type, message and stack."""
    return work.Settlement(lease=delivery.ref, failed=_failed(error, delivery.max_output_bytes))


def given_up(delivery: Delivery, error: BaseException | None = None) -> work.Settlement:
    """Return a cancellation, for the reason that the handler was told, else its own.

    A handler that gave way to its worker's own end has failed, and may be tried again elsewhere.
    """
    told = delivery.interrupted
    reason = told.result() if told.done() else message_of(error) if error else ""
    if reason == names.TYPE_WORKER_SHUTDOWN:
        gone = pb.ExecutionError(
            type=names.TYPE_WORKER_SHUTDOWN, message="the worker stopped before the handler had ended"
        )
        return work.Settlement(lease=delivery.ref, failed=work.Failed(error=gone))
    return work.Settlement(lease=delivery.ref, cancelled=work.Cancelled(reason=plain(reason, 4_096)))


def reduced(settlement: work.Settlement) -> work.Settlement:
    """Return the same outcome without what a sidecar may have refused in it."""
    small = work.Settlement()
    small.CopyFrom(settlement)
    match small.WhichOneof("outcome"):
        case "succeeded":
            small.succeeded.CopyFrom(work.Succeeded(output_missing=True))
        case "failed":
            small.failed.error.message = plain(small.failed.error.message, 1_024)
            small.failed.error.stack = ""
            small.failed.ClearField("retry_after")
        case _:
            small.cancelled.CopyFrom(work.Cancelled())
    return small


def _output(delivery: Delivery, value: object) -> work.Succeeded:
    execution_id = delivery.ref.execution_id
    try:
        data, content_type = content.encode(value)
    except Exception as error:
        _LOG.exception("%s succeeded, its output is left out: %s", execution_id, type_of(error))
        return work.Succeeded(output_missing=True)
    if len(data) > delivery.max_output_bytes:
        limit = delivery.max_output_bytes
        _LOG.error("%s succeeded, its output of %d bytes is over %d", execution_id, len(data), limit)
        return work.Succeeded(output_missing=True)
    return work.Succeeded(output=data, content_type=content_type)


def reported_type(error: BaseException) -> str:
    """Return the `error.type` of a failure: what the handler called it, else its cause's, else its own."""
    if not isinstance(error, HandlerError):
        return type_of(error)
    return error.error_type or type_of(error.__cause__ or error)


def _failed(error: BaseException, limit: int) -> work.Failed:
    if not isinstance(error, HandlerError):
        return work.Failed(error=failure_of(error, limit))
    cause = error.__cause__
    said = message_of(error) or (message_of(cause) if cause else "")
    after = error.retry_after
    return work.Failed(
        error=failure_of(error, limit, error_type=reported_type(error), message=said),
        final=error.final,
        retry_after=duration(after) if after is not None and after.total_seconds() >= 0 else None,
    )
