"""Restores, erasures, legal holds, and incidents that several tickets are about."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

WHEN = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column:
    return sa.Column("id", ID, primary_key=True, autoincrement=True)


def upgrade() -> None:
    op.create_table(
        "restores",
        _id(),
        sa.Column("copied_at", WHEN, nullable=False),
        sa.Column("restored_at", WHEN, nullable=False),
        sa.Column("queued", sa.String(8), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
    )
    op.create_table(
        "erasures",
        sa.Column("mark", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(6), nullable=False),
        sa.Column("erased_at", WHEN, nullable=False),
    )
    op.create_table(
        "holds",
        _id(),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", sa.String(330), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("since", WHEN, nullable=False),
        sa.UniqueConstraint("kind", "value"),
    )
    op.create_table(
        "incidents",
        _id(),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("value", sa.String(255), nullable=False),
        sa.Column("state", sa.String(10), nullable=False, index=True),
        sa.Column("known_since", WHEN, nullable=False),
        sa.Column("opened_at", WHEN, nullable=False),
        sa.Column("confirmed_at", WHEN),
        sa.Column("confirmed_by", sa.Text(), nullable=False),
        sa.Column("closed_at", WHEN),
    )
    op.create_table(
        "incident_tickets",
        sa.Column("incident_id", ID, primary_key=True, autoincrement=False),
        sa.Column("ticket_id", ID, primary_key=True, autoincrement=False),
        sa.Column("at", WHEN, nullable=False),
    )
    op.create_index("incident_tickets_ticket", "incident_tickets", ["ticket_id"])
