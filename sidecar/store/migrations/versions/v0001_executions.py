"""The executions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _one_of(column: str, words: str) -> str:
    return " OR ".join(f"{column} = '{word}'" for word in words.split())


_SETTLED = "(finalized_at IS NOT NULL)"
_RULES = {
    "state": _one_of("state", "QUEUED RUNNING PAUSED SUCCEEDED FAILED CANCELLED"),
    "source": _one_of("source", "workflow schedule webhook"),
    "dispatch": _one_of("dispatch", "managed external push"),
    "recording": _one_of("recording", "sampled unsampled disabled"),
    "path": _one_of("finalization_path", "completed reaped cancelled rejected"),
    "finalized": f"({_one_of('state', 'CANCELLED FAILED SUCCEEDED')}) = {_SETTLED}",
    "settled_by": f"{_SETTLED} = (finalization_path IS NOT NULL)",
    "lease": "(state = 'RUNNING') = (lease_expires_at IS NOT NULL)",
    "token": "state <> 'RUNNING' OR attempt_token IS NOT NULL",
    "error": "state <> 'FAILED' OR error_type IS NOT NULL",
    "send_span": "recording <> 'sampled' OR send_outbox_id IS NOT NULL",
    "terminal_span": f"recording <> 'sampled' OR NOT {_SETTLED} OR terminal_outbox_id IS NOT NULL",
}


def _columns(kind: type[sa.types.TypeEngine[Any]], names: str, *, null: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=null) for name in names.split()]


def upgrade() -> None:
    op.create_table(
        "executions",
        *_columns(sa.Text, "namespace execution_id request_id workflow_id root_execution_id"),
        *_columns(sa.Text, "parent_execution_id", null=True),
        *_columns(sa.Text, "source trigger_type"),
        *_columns(sa.Text, "webhook_id path provider schedule_id", null=True),
        *_columns(sa.BigInteger, "scheduled_for", null=True),
        *_columns(sa.Text, "external_id", null=True),
        *_columns(sa.Text, "trace_id send_span_id terminal_span_id"),
        *_columns(sa.Text, "parent_span_id", null=True),
        *_columns(sa.BigInteger, "flags"),
        *_columns(sa.Text, "tracestate baggage recording"),
        *_columns(sa.Text, "sampler_attributes", null=True),
        *_columns(sa.Text, "queue content_type fingerprint"),
        *_columns(sa.Text, "retry", null=True),
        *_columns(sa.BigInteger, "attempt_timeout_us queue_deadline_at deadline_at", null=True),
        *_columns(sa.Text, "idempotency_key retry_of", null=True),
        *_columns(sa.Text, "dispatch"),
        *_columns(sa.BigInteger, "accepted_at sent_at"),
        *_columns(sa.BigInteger, "send_outbox_id", null=True),
        *_columns(sa.BigInteger, "run_at"),
        *_columns(sa.Text, "state"),
        *_columns(sa.BigInteger, "state_since version segment_index attempts deliveries_lost fence"),
        *_columns(sa.BigInteger, "attempt_number attempt_segment_index attempt_fence", null=True),
        *_columns(sa.LargeBinary, "attempt_token", null=True),
        *_columns(sa.Text, "attempt_span_id attempt_worker_id attempt_resource_id", null=True),
        *_columns(sa.BigInteger, "attempt_started_at attempt_deadline_at", null=True),
        *_columns(sa.Text, "attempt_former_span_id", null=True),
        *_columns(sa.BigInteger, "attempt_outbox_id lease_expires_at due_at started_at", null=True),
        *_columns(sa.Text, "start_resource_id start_minimal last_span_id", null=True),
        *_columns(sa.BigInteger, "cancel_requested_at cancel_grace_until", null=True),
        *_columns(sa.Text, "cancel_reason last_started_name", null=True),
        *_columns(sa.BigInteger, "last_started_at", null=True),
        *_columns(sa.Text, "last_completed_name", null=True),
        *_columns(sa.BigInteger, "last_completed_at", null=True),
        *_columns(sa.BigInteger, "open_steps steps queued_ns running_ns paused_ns retry_wait_ns"),
        *_columns(sa.BigInteger, "finalized_at", null=True),
        *_columns(sa.Text, "finalization_path output_content_type", null=True),
        *_columns(sa.Boolean, "output_missing", null=True),
        *_columns(sa.Text, "error_type error_message error_stack minimal", null=True),
        *_columns(sa.LargeBinary, "settlement_digest", null=True),
        *_columns(sa.BigInteger, "terminal_outbox_id", null=True),
        *_columns(sa.LargeBinary, "output", null=True),
        *_columns(sa.LargeBinary, "payload"),
        sa.PrimaryKeyConstraint("namespace", "execution_id"),
        *(sa.CheckConstraint(rule, name=f"executions_{name}") for name, rule in _RULES.items()),
    )
    _index("executions_ready", "namespace queue workflow_id run_at execution_id", "state = 'QUEUED'")
    _index("executions_due", "due_at", "due_at IS NOT NULL")
    _index("executions_held", "namespace attempt_worker_id", "state = 'RUNNING'")
    _index("executions_listed", "namespace accepted_at", None)


def _index(name: str, columns: str, condition: str | None) -> None:
    where = None if condition is None else sa.text(condition)
    op.create_index(name, "executions", columns.split(), sqlite_where=where, postgresql_where=where)
