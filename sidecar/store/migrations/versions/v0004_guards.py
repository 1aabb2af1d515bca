"""Triggers: an outcome and an identity never change, a fence and a version never go back."""

from alembic import op

revision = "0004"
down_revision = "0003"

_OUTCOME = (
    "state finalized_at finalization_path output output_content_type output_missing error_type "
    "error_message error_stack minimal settlement_digest terminal_outbox_id attempts fence started_at "
    "queued_ns running_ns paused_ns retry_wait_ns last_started_name last_completed_name"
)
_IDENTITY = (
    "namespace execution_id request_id workflow_id root_execution_id parent_execution_id source "
    "trigger_type webhook_id path provider schedule_id scheduled_for external_id trace_id send_span_id "
    "terminal_span_id parent_span_id flags recording accepted_at"
)
_SETTLED = "the outcome of a settled execution never changes"
_BACKWARDS = "the fence and the version of an execution never go back"
_FIXED = "the identity of an execution never changes"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _on_sqlite()


def _row(side: str, columns: str) -> str:
    return ", ".join(f"{side}.{column}" for column in columns.split())


def _on_sqlite() -> None:
    def refuse(name: str, of: str, when: str, message: str) -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE {of} ON executions FOR EACH ROW WHEN {when} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )

    changed = f"({_row('OLD', _OUTCOME)}) IS NOT ({_row('NEW', _OUTCOME)})"
    refuse("executions_settled", "", f"OLD.finalized_at IS NOT NULL AND {changed}", _SETTLED)
    refuse("executions_forwards", "", "NEW.fence < OLD.fence OR NEW.version < OLD.version", _BACKWARDS)
    moved = f"({_row('OLD', _IDENTITY)}) IS NOT ({_row('NEW', _IDENTITY)})"
    refuse("executions_identity", f"OF {_IDENTITY.replace(' ', ', ')}", moved, _FIXED)


def _on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION sidecar_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )

    def refuse(name: str, of: str, when: str, message: str) -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE {of} ON executions FOR EACH ROW WHEN ({when}) "
            f"EXECUTE FUNCTION sidecar_refuse('{message}')"
        )

    changed = f"ROW({_row('OLD', _OUTCOME)}) IS DISTINCT FROM ROW({_row('NEW', _OUTCOME)})"
    refuse("executions_settled", "", f"OLD.finalized_at IS NOT NULL AND {changed}", _SETTLED)
    refuse("executions_forwards", "", "NEW.fence < OLD.fence OR NEW.version < OLD.version", _BACKWARDS)
    moved = f"ROW({_row('OLD', _IDENTITY)}) IS DISTINCT FROM ROW({_row('NEW', _IDENTITY)})"
    refuse("executions_identity", f"OF {_IDENTITY.replace(' ', ', ')}", moved, _FIXED)
    for table in ("executions", "outbox"):
        op.execute(
            f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, "
            "autovacuum_vacuum_threshold = 1000)"
        )
