"""The executions table: column groups in the order of the model, indexes, and what it refuses."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from sidecar.core.correlation import Source
from sidecar.core.lifecycle import TERMINAL, State
from sidecar.core.model import Dispatch, Path, Recording
from sidecar.store.columns import DUE, QUEUED, RUNNING, Columns, may, metadata, need, one_of

CORRELATION: Columns = (
    *need(Text, "namespace", "execution_id", "request_id", "workflow_id", "root_execution_id"),
    *may(Text, "parent_execution_id"),
    *need(Text, "source", "trigger_type"),
    *may(Text, "webhook_id", "path", "provider", "schedule_id"),
    *may(BigInteger, "scheduled_for"),
    *may(Text, "external_id"),
    *may(Boolean, "fallback"),
)
ANCHOR: Columns = (
    *need(Text, "trace_id", "send_span_id", "terminal_span_id"),
    *may(Text, "parent_span_id"),
    *need(BigInteger, "flags"),
    *need(Text, "tracestate", "baggage", "recording"),
    *may(Text, "sampler_attributes", "link"),
)
TERMS: Columns = (
    *need(Text, "queue", "content_type", "fingerprint"),
    *may(Text, "retry"),
    *may(BigInteger, "attempt_timeout_us", "queue_deadline_at", "deadline_at"),
    *may(Text, "idempotency_key", "retry_of"),
    *need(Text, "dispatch"),
    *may(Text, "concurrency_key", "style"),
)
ACCEPTANCE: Columns = (*need(BigInteger, "accepted_at", "sent_at"), *may(BigInteger, "send_outbox_id"))
STANDING: Columns = (
    *need(BigInteger, "run_at"),
    *need(Text, "state"),
    *need(BigInteger, "state_since", "version", "segment_index", "attempts", "deliveries_lost", "fence"),
)
LEASED: Columns = (
    *may(BigInteger, "attempt_number", "attempt_segment_index", "attempt_fence"),
    *may(LargeBinary, "attempt_token"),
    *may(Text, "attempt_span_id", "attempt_worker_id", "attempt_resource_id"),
    *may(BigInteger, "attempt_started_at", "attempt_deadline_at"),
    *may(Text, "attempt_former_span_id", "attempt_live_span_id"),
    *may(BigInteger, "attempt_outbox_id"),
)
PROGRESS: Columns = (
    *may(BigInteger, "lease_expires_at", "due_at", "started_at"),
    *may(Text, "start_resource_id", "start_minimal", "last_span_id"),
    *may(BigInteger, "cancel_requested_at", "cancel_grace_until"),
    *may(Text, "cancel_reason"),
    *may(Text, "last_started_name"),
    *may(BigInteger, "last_started_at"),
    *may(Text, "last_completed_name"),
    *may(BigInteger, "last_completed_at"),
    *need(BigInteger, "open_steps", "steps", "queued_ns", "running_ns", "paused_ns", "retry_wait_ns"),
)
OUTCOME: Columns = (
    *may(BigInteger, "finalized_at"),
    *may(Text, "finalization_path", "output_content_type"),
    *may(Boolean, "output_missing"),
    *may(Text, "error_type", "error_message", "error_stack", "minimal"),
    *may(LargeBinary, "settlement_digest"),
    *may(BigInteger, "terminal_outbox_id"),
    *may(LargeBinary, "output"),
)
PAYLOAD: Columns = need(LargeBinary, "payload")

_ENDED = f"({one_of('state', sorted(TERMINAL))})"
_SETTLED = "(finalized_at IS NOT NULL)"
_RULES = {
    "state": one_of("state", State),
    "source": one_of("source", Source),
    "dispatch": one_of("dispatch", Dispatch),
    "recording": one_of("recording", Recording),
    "path": one_of("finalization_path", Path),
    "finalized": f"{_ENDED} = {_SETTLED}",
    "settled_by": f"{_SETTLED} = (finalization_path IS NOT NULL)",
    "lease": f"({RUNNING}) = (lease_expires_at IS NOT NULL)",
    "token": "state <> 'RUNNING' OR attempt_token IS NOT NULL",
    "error": "state <> 'FAILED' OR error_type IS NOT NULL",
    "send_span": "recording <> 'sampled' OR send_outbox_id IS NOT NULL",
    "terminal_span": f"recording <> 'sampled' OR NOT {_SETTLED} OR terminal_outbox_id IS NOT NULL",
}

executions = Table(
    "executions",
    metadata,
    *CORRELATION,
    *ANCHOR,
    *TERMS,
    *ACCEPTANCE,
    *STANDING,
    *LEASED,
    *PROGRESS,
    *OUTCOME,
    *PAYLOAD,
    PrimaryKeyConstraint("namespace", "execution_id"),
    *(CheckConstraint(rule, name=f"executions_{name}") for name, rule in _RULES.items()),
)


def _partial(name: str, condition: str, *columns: str) -> Index:
    where = text(condition)
    return Index(name, *(executions.c[c] for c in columns), sqlite_where=where, postgresql_where=where)


_partial("executions_by_external", "external_id IS NOT NULL", "namespace", "external_id")
_partial("executions_by_schedule", "schedule_id IS NOT NULL", "namespace", "schedule_id", "scheduled_for")
_partial("executions_by_webhook", "webhook_id IS NOT NULL", "namespace", "webhook_id", "accepted_at")
_partial("executions_ready", QUEUED, "namespace", "queue", "workflow_id", "run_at", "execution_id")
_partial("executions_due", DUE, "due_at")
_partial("executions_held", RUNNING, "namespace", "attempt_worker_id")
Index("executions_by_request", executions.c.namespace, executions.c.request_id)
Index("executions_by_trace", executions.c.trace_id)
# Without the execution id: PostgreSQL, before it has statistics, would look rows up by it here.
Index("executions_listed", executions.c.namespace, executions.c.accepted_at)
