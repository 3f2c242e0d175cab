"""What an acknowledgement is counted by: the mailbox however its address is written, the degree of proof, where the mail
came from, and how it reads. Of the rows that are here, those of the last two days are still counted."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

_INDEXES = {
    "outbox_total": ["kind", "proof", "created_at"],
    "outbox_domain": ["kind", "proof", "domain", "created_at"],
    "outbox_budget": ["kind", "canonical", "proof", "created_at"],
}
_COUNTED = """
update outbox set canonical = lower(recipient), proof = case
    when kind <> 'auto' or template = 'status' then ''
    when exists (select 1 from tickets where tickets.id = outbox.ticket_id and trust = 'verified') then 'verified'
    else 'none' end
where created_at > :since
"""


def upgrade() -> None:
    for name, size in {"canonical": 330, "proof": 8, "origin": 16, "likeness": 120}.items():
        op.add_column("outbox", sa.Column(name, sa.String(length=size), nullable=False, server_default=""))
    since = sa.bindparam("since", datetime.now(UTC) - timedelta(days=2), sa.DateTime(timezone=True))
    op.execute(sa.text(_COUNTED).bindparams(since))
    for name, columns in _INDEXES.items():
        op.drop_index(name, "outbox")
        op.create_index(name, "outbox", columns)
