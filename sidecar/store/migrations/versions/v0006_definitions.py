"""What is defined, where its schedules stand, and how much of a rate is used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "definitions",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("path", sa.Text),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("definitions_path", "definitions", ["path"], unique=True)
    op.create_table(
        "schedules",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("schedule_id", sa.Text, primary_key=True),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("fired", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_execution_id", sa.Text),
        sa.Column("last_scheduled_for", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("schedules_due", "schedules", ["next_at"])
    op.create_table(
        "rates",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("full_at", sa.BigInteger, nullable=False),
    )
