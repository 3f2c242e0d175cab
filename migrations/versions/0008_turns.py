"""Whose turn it is at the relay is found in an index; since when a reply is tried and is dead; what is amiss by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("outbox", sa.Column("retry_from", WHEN))
    op.add_column("outbox", sa.Column("dead_at", WHEN))
    op.create_index("outbox_turn", "outbox", ["state", "urgent", "kind", "created_at"])
    op.create_table(
        "conditions",
        sa.Column("name", sa.String(30), primary_key=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("since", WHEN, nullable=False),
    )
