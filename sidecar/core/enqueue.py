"""The entry: makes the identity, decides sampling once, allocates every id, and has it all committed."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sidecar.conventions.carrier import Carrier
from sidecar.core.admission import AdmissionLimits, screen
from sidecar.core.anchoring import Anchoring
from sidecar.core.catalog import Catalog, Rate, Rule
from sidecar.core.commands import Accept, Accepted, Plan
from sidecar.core.correlation import Correlation, Source
from sidecar.core.definitions import NO_DEADLINES, Deadlines, Propagation, Workflow
from sidecar.core.model import Dispatch, Execution, RetryPolicy, Terms
from sidecar.core.ports import Clock, Ids, Ledger, PayloadChecker, Sampler
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
        catalog: Callable[[], Catalog],
        checker: PayloadChecker,
    ) -> None:
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._anchoring = Anchoring(ids, sampler)
        self._limits = limits
        self._wake = wake
        self._catalog = catalog
        self._checker = checker

    async def enqueue(self, requests: Sequence[Request]) -> list[Accepted | Refused]:
        """Accept each request on its own; answers come in order, after the commit.

        Raises:
            StoreUnavailableError: when nothing of this call is known to be durable; repeat it.
        """
        accepts = [self.prepare(request) for request in requests]
        self._wake_lanes(accept for accept in accepts if accept.refusal is None)
        return [_answer(result) for result in await self._ledger.submit_many(accepts)]

    def prepare(self, request: Request) -> Accept:
        """Return the command that has one request accepted, its identity made and looked at.

        One that is refused is a command too: the refusal is made durable.
        """
        catalog = self._catalog()
        workflow = catalog.workflow(request.namespace, request.workflow_id)
        queue = request.queue or (workflow.queue if workflow else "") or DEFAULT_QUEUE
        rule = catalog.rule(request.namespace, queue, request.workflow_id)
        if request.rates:
            rule = replace(rule, rates=(*request.rates, *rule.rates))
        checked = workflow
        if workflow is not None and request.dispatch is Dispatch.EXTERNAL and not request.payload:
            checked = replace(workflow, json_schema="")  # an outside command has no payload to fit it
        refused = screen(request.payload, request.source, checked, rule, self._limits, self._checker)
        deadlines = _deadlines(request, workflow)
        draft = self._draft(request, _terms(request, queue, workflow, deadlines, rule), rule)
        return Accept(draft, self._limits.idempotency_window, self._plan(request, deadlines), refused, rule)

    def _plan(self, request: Request, deadlines: Deadlines) -> Plan:
        return Plan(
            arrived=self._clock.monotonic() - request.handed_in.total_seconds(),
            run_at=request.run_at,
            run_in=request.run_in or timedelta(),
            in_queue=deadlines.in_queue,
            total=deadlines.total,
        )

    def _draft(self, request: Request, terms: Terms, rule: Rule) -> Execution:
        """Return the execution without its times, which the accept resolves."""
        correlation = self._correlation(request)
        anchor = self._anchoring.anchor(
            correlation, terms.queue, request.carrier, request.propagation or rule.propagation, rule.sampling
        )
        return Execution(correlation=correlation, anchor=anchor, terms=terms, accepted_at=0, run_at=0)

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
            webhook_id=request.webhook_id,
            path=request.path,
            provider=request.provider,
            schedule_id=request.schedule_id,
            scheduled_for=request.scheduled_for,
            external_id=request.external_id,
            fallback=request.fallback,
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


def _deadlines(request: Request, workflow: Workflow | None) -> Deadlines:
    own = request.deadlines
    if workflow is None or workflow.deadlines is NO_DEADLINES:
        return own
    usual = workflow.deadlines
    return Deadlines(own.in_queue or usual.in_queue, own.attempt or usual.attempt, own.total or usual.total)


def _terms(
    request: Request, queue: str, workflow: Workflow | None, deadlines: Deadlines, rule: Rule
) -> Terms:
    retry = request.retry or (workflow.retry if workflow else None) or _ONCE
    return Terms(
        queue=queue,
        payload=request.payload,
        content_type=request.content_type,
        fingerprint=fingerprint(request),
        retry=retry,
        attempt_timeout=deadlines.attempt,
        idempotency_key=request.idempotency_key,
        retry_of=request.retry_of,
        dispatch=request.dispatch,
        concurrency_key=request.concurrency_key,
        style=rule.style,
    )


_ONCE = RetryPolicy()


def fingerprint(request: Request) -> str:
    """Return a digest of the work asked for: what must be equal for a repeat to be the same work.

    It is of what the caller said: a changed definition makes no other work of it.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _asked_for(request):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    digest.update(request.payload)
    return digest.hexdigest()


def _asked_for(request: Request) -> tuple[str, ...]:
    """Return what the caller said beside the payload; a webhook or schedule fills in the rest."""
    way_in = request.webhook_id or request.schedule_id
    if way_in is not None:
        return request.source, way_in, request.content_type
    policy = (request.retry or _ONCE, request.deadlines, request.run_at, request.run_in)
    return request.workflow_id, request.queue or DEFAULT_QUEUE, request.content_type, repr(policy)
