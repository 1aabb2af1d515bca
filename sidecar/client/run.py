"""What a handler knows of the execution that it runs, and can do about it."""

import asyncio
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import NoReturn

from opentelemetry import context

from sidecar.client import content, current, records
from sidecar.client.delivery import Delivery
from sidecar.client.propagation import context_of, headers_of, here
from sidecar.client.records import Correlation
from sidecar.client.step import Step
from sidecar.client.verdicts import HandlerError, RunCancelledError


class Run:
    """The running attempt. Every method may be called from any thread."""

    def __init__(self, delivery: Delivery) -> None:
        lease = delivery.lease
        self.correlation: Correlation = records.correlation(lease.correlation)
        self.queue = lease.queue
        self.attempt = lease.attempt
        self.max_attempts = lease.max_attempts
        self.segment_index = lease.segment_index
        self._delivery = delivery
        self._sequence = count(1)
        self._context = current.place(self, context_of(lease.carrier))

    @property
    def execution_id(self) -> str:
        """The execution's id."""
        return self.correlation.execution_id

    @property
    def request_id(self) -> str:
        """The request that caused it."""
        return self.correlation.request_id

    @cached_property
    def payload(self) -> object:
        """What was enqueued: JSON decoded, anything else as bytes, None for nothing."""
        return content.decode(self._delivery.lease.payload, self._delivery.lease.content_type)

    @property
    def context(self) -> context.Context:
        """The OpenTelemetry context that the handler runs in: under the attempt's `process` span."""
        return self._context

    @property
    def deadline(self) -> timedelta | None:
        """The time that is left for this attempt, None without a limit."""
        limit = self._delivery.deadline
        return None if limit is None else max(limit - self._delivery.elapsed(), timedelta())

    @property
    def cancelled(self) -> bool:
        """True once the handler should stop: cancelled, past its deadline, or its lease lost."""
        return self._delivery.interrupted.done()

    @property
    def cancel_reason(self) -> str:
        """Why the handler should stop, empty while it should not."""
        return self._delivery.interrupted.result() if self.cancelled else ""

    async def wait_cancelled(self) -> str:
        """Wait until the handler should stop, and return why."""
        return await asyncio.shield(asyncio.wrap_future(self._delivery.interrupted))

    def raise_if_cancelled(self) -> None:
        """Stop here if the handler should stop.

        Raises:
            RunCancelledError: which settles the attempt as given up.
        """
        if self.cancelled:
            raise RunCancelledError(self.cancel_reason)

    def step(self, name: str) -> Step:
        """Return a step to run a part of the work in: `with run.step("parse"):`, or `async with`."""
        return Step(self._delivery, self._context, name, next(self._sequence))

    def headers(self) -> dict[str, str]:
        """Return `traceparent`, `tracestate` and `baggage` for a call to another service, if there are.

        The parent is the current span if it is of this trace, a step's or one of your own; else the attempt's
        `process` span. A step around a call gives the call a parent of its own. Tracestate and baggage go on
        as they came, with what has been changed since. The context of OpenTelemetry itself names the same
        parent; its own propagator of baggage leaves out properties (`;k=v`) and encodes anew.
        """
        return headers_of(here(self._context))

    def fail(
        self,
        message: str,
        *,
        error_type: str | None = None,
        retry_after: timedelta | None = None,
        final: bool = False,
    ) -> NoReturn:
        """End the attempt as failed.

        Raises:
            HandlerError: always.
        """
        raise HandlerError(message, error_type=error_type, retry_after=retry_after, final=final)


def current_run() -> Run | None:
    """Return the run that the current code belongs to, None outside a handler."""
    found = current.held_in(None)
    return found if isinstance(found, Run) else None


def headers() -> dict[str, str]:
    """Return `Run.headers` of the current run; outside a handler, the headers of the current context."""
    run = current_run()
    return headers_of() if run is None else run.headers()
