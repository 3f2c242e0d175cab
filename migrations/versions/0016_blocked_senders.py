"""Senders that persons have blocked; and a promise that a merge had moved behind its answer goes back to the ticket's begin."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "blocked_senders",
        sa.Column("sender", sa.String(330), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
    )
    op.execute(
        "update tickets set promised_at = opened_at where first_response_at < promised_at and opened_at <= first_response_at"
    )
