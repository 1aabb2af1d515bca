"""Steps: progress markers whose span is current while they run, so that the user's own spans nest."""

import asyncio
import logging
import secrets
from contextvars import Token
from types import TracebackType
from typing import Final, Self

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan

from sidecar.client.delivery import Delivery
from sidecar.client.failures import plain
from sidecar.client.outcomes import reported_type
from sidecar.client.propagation import headers_of, here, sibling
from sidecar.v1 import worker_service_pb2 as work

MAX_STEPS: Final = 1_000
_KEY: Final = context.create_key("sidecar-step")
_LOG: Final = logging.getLogger(__name__)


class Step:
    """A part of the work, told to the sidecar at its start and end; it never fails the run.

    Its span is recorded by the sidecar under the id made here. An exception marks it and goes on.
    """

    def __init__(self, delivery: Delivery, origin: context.Context, name: str, sequence: int) -> None:
        self._delivery = delivery
        self._origin = origin
        self._report = work.StepReport(
            lease=delivery.ref,
            sequence=sequence,
            name=plain(str(name), 256) or "step",
            phase=work.STEP_PHASE_STARTED,
            span_id=secrets.token_bytes(8),
        )
        self._span: NonRecordingSpan | None = None
        self._token: Token[context.Context] | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers for a call to another service, with the step's span as the parent.

        Before its start, or if it is not reported, the parent is that of `Run.headers`: one that exists.
        """
        ctx = here(self._origin)
        return headers_of(ctx if self._span is None else trace.set_span_in_context(self._span, ctx))

    def __enter__(self) -> Self:
        """Start: report it, and make its span current."""
        if self._report.sequence > MAX_STEPS:
            _LOG.warning("step %r is not reported: an attempt has at most %d", self._report.name, MAX_STEPS)
            return self
        ctx = here(self._origin)
        enclosing = context.get_value(_KEY, ctx)
        if isinstance(enclosing, bytes):
            self._report.parent_span_id = enclosing
        self._report.started_after.FromTimedelta(self._delivery.elapsed())
        self._send()
        self._token = context.attach(self._under(ctx))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """End: report it with its error's type, if any."""
        if self._token is None:
            return
        context.detach(self._token)
        self._token = None
        self._report.phase = work.STEP_PHASE_COMPLETED
        self._report.completed_after.FromTimedelta(self._delivery.elapsed())
        if error is not None:
            self._report.error_type = self._type_of(error)
        self._send()

    def _type_of(self, error: BaseException) -> str:
        """Return the error's type; that of giving up when asked to is why it was asked."""
        if isinstance(error, asyncio.CancelledError):
            return self._delivery.given_up_for()
        return reported_type(error)

    async def __aenter__(self) -> Self:
        """Start, in async code."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """End, in async code."""
        self.__exit__(kind, error, stack)

    def _send(self) -> None:
        report = work.StepReport()
        report.CopyFrom(self._report)
        self._delivery.report(self._delivery, report)

    def _under(self, ctx: context.Context) -> context.Context:
        ctx = context.set_value(_KEY, self._report.span_id, ctx)
        self._span = sibling(self._origin, self._report.span_id)
        return ctx if self._span is None else trace.set_span_in_context(self._span, ctx)
