"""A mail is found by what people know of it: the relay's queue id, its subject, Message-ID, author or time; and what is
overdue, unwatched or answered is found in an index, however many tickets there are."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

OVERDUE = "state = 'open' and breached and round_started_at is not null"
UNWATCHED = "state = 'open' and clock_next_at is null and round > 0"
ANSWERED = "first_response_at is not null"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _partial(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "tickets", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.add_column("messages", _text("queue_id"))
    op.add_column("messages", _text("subject"))
    op.add_column("arrivals", _text("queue_id"))
    op.add_column("outbox", _text("answer"))
    op.execute(
        "update messages set subject = (select subject from tickets where tickets.id = messages.ticket_id) "
        "where disposition = 'opened' and ticket_id in (select id from tickets)"
    )
    op.create_index("messages_received", "messages", ["received_at"])
    op.create_index("messages_rfc", "messages", ["message_id"])
    op.create_index("messages_author", "messages", ["author"])
    _partial("tickets_overdue", ["state", "limit_at"], OVERDUE)
    _partial("tickets_unwatched", ["state", "round"], UNWATCHED)
    _partial("tickets_answered", ["first_response_at"], ANSWERED)
