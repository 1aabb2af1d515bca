"""The outbox; its ids are never used twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_STATES = ("pending", "delivered", "rejected", "dead_lettered", "dropped")


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("spans", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("stamped_at", sa.BigInteger),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("next_try_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("body", sa.LargeBinary),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in _STATES), name="outbox_state"),
        sa.CheckConstraint(
            "(state = 'pending' OR state = 'dead_lettered') = (body IS NOT NULL)", name="outbox_body"
        ),
        sa.CheckConstraint("(state = 'pending') = (stamped_at IS NULL)", name="outbox_stamped"),
        sqlite_autoincrement=True,
    )
    where = sa.text("state = 'pending'")
    op.create_index("outbox_pending", "outbox", ["signal", "id"], sqlite_where=where, postgresql_where=where)
