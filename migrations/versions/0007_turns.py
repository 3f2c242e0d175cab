"""The order of service: who sent a mail and where it stands; who is behind the others; claims that are told apart."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for table in ("messages", "arrivals"):
        op.add_column(table, sa.Column("sender", sa.String(length=120), nullable=False, server_default=""))
        op.add_column(table, sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("claim", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("update messages set turn = -1 where suspect")
    pending = sa.text("lower(state) = 'pending'")
    op.create_index(
        "messages_turn", "messages", ["turn", "id", "sender"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_table(
        "senders",
        sa.Column("sender", sa.String(length=120), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sender"),
    )
