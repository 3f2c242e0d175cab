"""Budgets are counted in an index alone; an index that another one begins with goes."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_index("ix_outbox_created_at", "outbox")
    op.drop_index("outbox_domain", "outbox")
    op.drop_index("outbox_budget", "outbox")
    op.create_index("outbox_total", "outbox", ["kind", "created_at"])
    op.create_index("outbox_domain", "outbox", ["kind", "domain", "created_at"])
    op.create_index("outbox_budget", "outbox", ["kind", "recipient", "created_at", "template"])
    op.drop_index("ix_thread_ids_rfc_id", "thread_ids")
