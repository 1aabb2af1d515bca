"""All tables: the executions, and what is kept beside them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from sidecar.store.columns import OUTBOX_ID, PENDING, may, metadata, need, one_of
from sidecar.store.executions import executions

__all__ = [
    "attempts",
    "definitions",
    "events",
    "executions",
    "idempotency_keys",
    "metadata",
    "outbox",
    "rates",
    "resources",
    "schedules",
    "steps",
]

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    *need(Text, "namespace", "key", "execution_id", "fingerprint"),
    *need(BigInteger, "expires_at"),
    PrimaryKeyConstraint("namespace", "key"),
)
attempts = Table(
    "attempts",
    metadata,
    *need(Text, "namespace", "execution_id"),
    *need(BigInteger, "number", "segment_index", "fence"),
    *need(LargeBinary, "token"),
    *need(Text, "span_id", "worker_id", "resource_id"),
    *need(BigInteger, "started_at"),
    *may(BigInteger, "deadline_at"),
    *may(Text, "former_span_id", "live_span_id"),
    *need(BigInteger, "ended_at"),
    *may(Text, "error_type", "error_message", "error_stack"),
    *may(LargeBinary, "digest"),
    *may(BigInteger, "outbox_id"),
    PrimaryKeyConstraint("namespace", "execution_id", "fence"),
)
steps = Table(
    "steps",
    metadata,
    *need(Text, "namespace", "execution_id"),
    *need(BigInteger, "fence", "sequence"),
    *need(Text, "name", "span_id", "parent_span_id"),
    *need(BigInteger, "started_at"),
    *may(BigInteger, "ended_at"),
    *may(Text, "error_type"),
    *may(BigInteger, "outbox_id"),
    PrimaryKeyConstraint("namespace", "execution_id", "fence", "sequence"),
)
events = Table(
    "events",
    metadata,
    Column("id", OUTBOX_ID, primary_key=True, autoincrement=True),
    *need(Text, "namespace", "execution_id", "kind"),
    *need(BigInteger, "at"),
    *need(Text, "detail"),
    Index("events_once", "namespace", "execution_id", "kind", "detail", unique=True),
)
resources = Table(
    "resources",
    metadata,
    Column("resource_id", Text, primary_key=True),
    *need(Text, "attributes", "sdk"),
)
definitions = Table(
    "definitions",
    metadata,
    *need(Text, "namespace", "kind", "name", "body"),
    *may(Text, "path"),
    *need(BigInteger, "revision", "changed_at"),
    PrimaryKeyConstraint("namespace", "kind", "name"),
    Index("definitions_path", "path", unique=True),
)
schedules = Table(
    "schedules",
    metadata,
    *need(Text, "namespace", "schedule_id"),
    *may(BigInteger, "next_at"),
    *need(Boolean, "paused"),
    *need(BigInteger, "failures", "fired", "skipped"),
    *may(Text, "last_error", "last_execution_id"),
    *may(BigInteger, "last_scheduled_for"),
    *need(BigInteger, "version"),
    PrimaryKeyConstraint("namespace", "schedule_id"),
    Index("schedules_due", "next_at"),
)
rates = Table(
    "rates",
    metadata,
    *need(Text, "namespace", "scope"),
    *need(BigInteger, "full_at"),
    PrimaryKeyConstraint("namespace", "scope"),
)
outbox = Table(
    "outbox",
    metadata,
    Column("id", OUTBOX_ID, primary_key=True, autoincrement=True),
    *need(Text, "signal", "kind", "state"),
    *need(BigInteger, "spans", "size", "created_at"),
    *may(BigInteger, "stamped_at"),
    *may(Text, "lease_owner"),
    *need(BigInteger, "lease_until", "next_try_at", "tries", "rejected"),
    *may(Text, "detail"),
    *may(LargeBinary, "body"),
    CheckConstraint(
        one_of("state", ("pending", "delivered", "rejected", "dead_lettered", "dropped")),
        name="outbox_state",
    ),
    CheckConstraint(
        "(state = 'pending' OR state = 'dead_lettered') = (body IS NOT NULL)", name="outbox_body"
    ),
    CheckConstraint("(state = 'pending') = (stamped_at IS NULL)", name="outbox_stamped"),
    Index("outbox_pending", "signal", "id", sqlite_where=text(PENDING), postgresql_where=text(PENDING)),
    sqlite_autoincrement=True,
)
