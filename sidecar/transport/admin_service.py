"""AdminService: the span tree from the rows, and the account of all terminal spans."""

from sidecar.conventions import names
from sidecar.core import spans
from sidecar.core.facts import Role, SpanFacts
from sidecar.core.fencing import unknown
from sidecar.core.model import Attempt, Recording, Step
from sidecar.core.ports import Audit, Reader, TraceRows
from sidecar.core.refusals import RefusalError
from sidecar.transport import requests
from sidecar.transport.context import Context
from sidecar.transport.fields import optional_identifier
from sidecar.transport.responses import timestamp
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import admin_service_pb2_grpc as stubs

_UNWRITTEN = {
    Recording.UNSAMPLED: admin.SPAN_DELIVERY_UNSAMPLED,
    Recording.DISABLED: admin.SPAN_DELIVERY_DISABLED,
}


class AdminService(stubs.AdminServiceServicer):
    """Translates, validates, asks the reader."""

    def __init__(self, reader: Reader, service_name: str) -> None:
        self._reader = reader
        self._service_name = service_name

    async def GetTrace(self, request: admin.GetTraceRequest, context: Context) -> admin.GetTraceResponse:
        """Return every span of an execution, rebuilt from its rows."""
        key = requests.key(request.namespace, request.execution_id)
        rows = await self._reader.trace_rows(key)
        if rows is None:
            raise RefusalError(unknown(key))
        facts = spans.tree(rows.execution, rows.attempts, rows.steps)
        return admin.GetTraceResponse(
            trace_id=rows.execution.anchor.trace_id, spans=[self._span(rows, f) for f in facts]
        )

    async def Verify(self, request: admin.VerifyRequest, context: Context) -> admin.VerifyResponse:
        """Return the account and whatever breaks an invariant."""
        audit = await self._reader.audit(optional_identifier("namespace", request.namespace))
        violations = [
            admin.Violation(namespace=b.key[0], execution_id=b.key[1], kind=b.kind, message=b.message)
            for b in audit.breaches
        ]
        states = {state.value: count for state, count in audit.states.items()}
        return admin.VerifyResponse(account=_account(audit), states=states, violations=violations)

    def _span(self, rows: TraceRows, facts: SpanFacts) -> admin.Span:
        return admin.Span(
            name=facts.name,
            kind=facts.kind.value,
            span_id=facts.span_id,
            parent_span_id=facts.parent_span_id or "",
            start_time=timestamp(facts.start_at),
            end_time=timestamp(facts.end_at),
            attributes={name: _shown(value) for name, value in facts.attributes},
            links=[admin.SpanLink(trace_id=link.trace_id, span_id=link.span_id) for link in facts.links],
            error_type=facts.error_type or "",
            error_message=facts.error_message,
            delivery=_delivery(rows, facts),
            service=self._service(rows, facts),
        )

    def _service(self, rows: TraceRows, facts: SpanFacts) -> str:
        if facts.resource_id is None:
            return self._service_name
        resource = rows.resources.get(facts.resource_id)
        declared = dict(resource.attributes) if resource else {}
        return str(declared.get("service.name", names.UNKNOWN_SERVICE))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _delivery(rows: TraceRows, facts: SpanFacts) -> admin.SpanDelivery.ValueType:
    if facts.end_at is None:
        return admin.SPAN_DELIVERY_OPEN
    recording = rows.execution.anchor.recording
    if recording in _UNWRITTEN:
        return _UNWRITTEN[recording]
    state = rows.deliveries.get(_outbox_id(rows, facts) or 0, "")
    return admin.SpanDelivery.Value(f"SPAN_DELIVERY_{state.upper() or 'UNSPECIFIED'}")


def _outbox_id(rows: TraceRows, facts: SpanFacts) -> int | None:
    if facts.role is Role.SEND:
        return rows.execution.send_outbox_id
    if facts.role is Role.TERMINAL:
        return rows.execution.terminal_outbox_id
    open_attempt = (rows.execution.attempt,) if rows.execution.attempt else ()
    owners: tuple[Attempt | Step, ...] = (*rows.attempts, *open_attempt, *rows.steps)
    return next((owner.outbox_id for owner in owners if owner.span_id == facts.span_id), None)


def _account(audit: Audit) -> admin.Account:
    return admin.Account(
        terminal=audit.terminal,
        delivered=audit.delivered,
        pending=audit.pending,
        rejected=audit.rejected,
        dead_lettered=audit.dead_lettered,
        dropped=audit.dropped,
        unsampled=audit.unsampled,
        disabled=audit.disabled,
    )
