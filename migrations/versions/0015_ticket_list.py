"""The list of tickets, the most urgent first, is read in an index, however many are closed. It replaces that of what is due next."""

from alembic import op

revision = "0015"
down_revision = "0014b"


def upgrade() -> None:
    op.execute(
        "create index tickets_listed on tickets (state, priority, critical desc, coalesce(limit_at, opened_at), id)"
    )
    op.drop_index("tickets_due", "tickets")
