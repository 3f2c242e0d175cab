"""Six indexes that no question is answered from; each was a page more to write for every mail."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_index("ix_messages_received_at", "messages")
    op.drop_index("ix_tickets_author", "tickets")
    op.drop_index("ix_tickets_opened_at", "tickets")
    op.drop_index("ix_tickets_linked_to", "tickets")
    op.drop_index("ix_entries_message_id", "entries")
    op.drop_index("ix_thread_ids_ticket_id", "thread_ids")
