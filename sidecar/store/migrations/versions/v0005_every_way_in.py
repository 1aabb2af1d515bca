"""What every way in adds to an execution, and the ids that it is looked up by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXTS = "link concurrency_key style attempt_live_span_id"
_IDENTITY = (
    "namespace execution_id request_id workflow_id root_execution_id parent_execution_id source "
    "trigger_type webhook_id path provider schedule_id scheduled_for external_id fallback trace_id "
    "send_span_id terminal_span_id parent_span_id flags recording link accepted_at"
)
_FIXED = "the identity of an execution never changes"


def upgrade() -> None:
    op.add_column("executions", sa.Column("fallback", sa.Boolean))
    for name in _TEXTS.split():
        op.add_column("executions", sa.Column(name, sa.Text))
    op.add_column("attempts", sa.Column("live_span_id", sa.Text))
    op.create_index("executions_by_request", "executions", ["namespace", "request_id"])
    op.create_index("executions_by_trace", "executions", ["trace_id"])
    _index("executions_by_external", "namespace external_id", "external_id IS NOT NULL")
    _index("executions_by_schedule", "namespace schedule_id scheduled_for", "schedule_id IS NOT NULL")
    _index("executions_by_webhook", "namespace webhook_id accepted_at", "webhook_id IS NOT NULL")
    _fix_identity()


def _index(name: str, columns: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "executions", columns.split(), sqlite_where=where, postgresql_where=where)


def _fix_identity() -> None:
    old, new = (", ".join(f"{side}.{column}" for column in _IDENTITY.split()) for side in ("OLD", "NEW"))
    of = f"BEFORE UPDATE OF {_IDENTITY.replace(' ', ', ')} ON executions FOR EACH ROW"
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER executions_identity ON executions")
        op.execute(
            f"CREATE TRIGGER executions_identity {of} WHEN (ROW({old}) IS DISTINCT FROM ROW({new})) "
            f"EXECUTE FUNCTION sidecar_refuse('{_FIXED}')"
        )
    else:
        op.execute("DROP TRIGGER executions_identity")
        op.execute(
            f"CREATE TRIGGER executions_identity {of} WHEN ({old}) IS NOT ({new}) "
            f"BEGIN SELECT RAISE(ABORT, '{_FIXED}'); END"
        )
