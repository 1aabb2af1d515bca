"""The entry: makes the identity, decides sampling once, allocates every id, and has it all committed."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sidecar.conventions import names
from sidecar.conventions.baggage import combine
from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import parse
from sidecar.core.admission import AdmissionLimits, admit
from sidecar.core.commands import Accept, Accepted, Plan
from sidecar.core.model import Anchor, Correlation, Execution, RetryPolicy, Source, Terms
from sidecar.core.ports import Clock, Ids, Ledger, Sampler
from sidecar.core.refusals import Refused, refused_by
from sidecar.core.sessions import Lane


DEFAULT_QUEUE = "default"


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks for, already well-formed. Empty ids are filled in by the entry.

    What it leaves open (`queue` empty, `retry` None, single deadlines) the workflow's definition
    decides, then the default. `propagation` set wins over what workflow and queue say. `rates` are
    limits of the way in, beside theirs. `handed_in` is how long ago the caller gave it to a spool.
    """

    namespace: str
    workflow_id: str
    queue: str = ""
    payload: bytes = b""
    content_type: str = ""
    execution_id: str = ""
    request_id: str = ""
    idempotency_key: str | None = None
    parent_execution_id: str | None = None
    root_execution_id: str | None = None
    source: Source = Source.WORKFLOW
    trigger_type: str = "api"
    external_id: str | None = None
    webhook_id: str | None = None
    path: str | None = None
    provider: str | None = None
    schedule_id: str | None = None
    scheduled_for: int | None = None
    fallback: bool = False
    carrier: Carrier = Carrier()
    propagation: Propagation | None = None
    retry: RetryPolicy | None = None
    deadlines: Deadlines = NO_DEADLINES
    run_at: int | None = None
    run_in: timedelta | None = None
    retry_of: str | None = None
    concurrency_key: str | None = None
    dispatch: Dispatch = Dispatch.MANAGED
    rates: tuple[Rate, ...] = ()
    handed_in: timedelta = timedelta()


class Entry:
    """Where executions come in, whatever set them off."""

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        clock: Clock,
        sampler: Sampler,
        limits: AdmissionLimits,
        wake: Callable[[Lane, int], None],
    ) -> None:
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._sampler = sampler
        self._limits = limits
        self._wake = wake

    async def enqueue(self, requests: Sequence[Request]) -> list[Accepted | Refused]:
        """Accept each request on its own; answers come in order, after the commit.

        Raises:
            StoreUnavailableError: when nothing of this call is known to be durable; repeat it.
        """
        answers: dict[int, Accepted | Refused] = {}
        accepts: dict[int, Accept] = {}
        for index, request in enumerate(requests):
            refused = admit(request.payload, self._limits)
            if refused is not None:
                answers[index] = refused
            else:
                accepts[index] = self._accept(request)
        self._wake_lanes(accepts.values())
        results = await self._ledger.submit_many(list(accepts.values()))
        answers.update(zip(accepts, map(_answer, results), strict=True))
        return [answers[index] for index in range(len(requests))]

    def _accept(self, request: Request) -> Accept:
        limits = request.deadlines
        plan = Plan(
            arrived=self._clock.monotonic(),
            run_at=request.run_at,
            run_in=request.run_in or timedelta(),
            in_queue=limits.in_queue,
            total=limits.total,
        )
        return Accept(self._draft(request), self._limits.idempotency_window, plan)

    def _draft(self, request: Request) -> Execution:
        """Return the execution without its times, which the accept resolves."""
        correlation = self._correlation(request)
        return Execution(
            correlation=correlation,
            anchor=self._anchor(request, correlation),
            terms=_terms(request),
            accepted_at=0,
            run_at=0,
        )

    def _correlation(self, request: Request) -> Correlation:
        execution_id = request.execution_id or self._ids.execution_id()
        parent = request.parent_execution_id
        return Correlation(
            namespace=request.namespace,
            execution_id=execution_id,
            request_id=request.request_id or execution_id,
            workflow_id=request.workflow_id,
            root_execution_id=request.root_execution_id or parent or execution_id,
            parent_execution_id=parent,
            source=request.source,
            trigger_type=request.trigger_type,
            external_id=request.external_id,
        )

    def _anchor(self, request: Request, correlation: Correlation) -> Anchor:
        remote = parse(request.carrier)
        parent = remote.parent if remote else None
        trace_id = parent.trace_id if parent else self._ids.trace_id()
        sampling = self._sampler.decide(
            request.carrier if remote else Carrier(),
            trace_id,
            f"send {request.queue}",
            ((names.EXECUTION_ID, correlation.execution_id), (names.WORKFLOW_ID, correlation.workflow_id)),
        )
        return Anchor(
            trace_id=trace_id,
            send_span_id=self._ids.span_id(),
            terminal_span_id=self._ids.span_id(),
            parent_span_id=parent.span_id if parent else None,
            flags=sampling.flags,
            tracestate=sampling.tracestate,
            baggage=combine([request.carrier.baggage]),
            recording=sampling.recording,
            sampler_attributes=sampling.attributes,
        )

    def _wake_lanes(self, accepts: Iterable[Accept]) -> None:
        lanes: dict[Lane, int] = {}
        for accept in accepts:
            execution = accept.execution
            lane = (execution.correlation.namespace, execution.terms.queue, execution.correlation.workflow_id)
            lanes[lane] = lanes.get(lane, 0) + 1
        for lane, count in lanes.items():
            self._wake(lane, count)


def _answer(result: Accepted | Refused | Exception) -> Accepted | Refused:
    """Return one item's answer; a fault of the store is that item's alone."""
    return refused_by(result) if isinstance(result, Exception) else result


def _terms(request: Request) -> Terms:
    return Terms(
        queue=request.queue,
        payload=request.payload,
        content_type=request.content_type,
        fingerprint=fingerprint(request),
        retry=request.retry,
        attempt_timeout=request.deadlines.attempt,
        idempotency_key=request.idempotency_key,
        retry_of=request.retry_of,
    )


def fingerprint(request: Request) -> str:
    """Return a digest of the work asked for: what must be equal for a repeat to be the same work."""
    digest = hashlib.blake2b(digest_size=16)
    policy = (request.retry, request.deadlines, request.run_at, request.run_in)
    for part in (request.workflow_id, request.queue, request.content_type, repr(policy)):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    digest.update(request.payload)
    return digest.hexdigest()
