"""DKIM signatures seen; mailboxes: how far each folder is read, which of its mails are dealt with, and how each account stands."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mailboxes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=30), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("old_below", sa.BigInteger(), nullable=False),
        sa.Column("since", _TIME, nullable=True),
        sa.Column("reconciled_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "folder"),
    )
    op.create_table(
        "mailbox_uids",
        sa.Column("mailbox_id", _ID, autoincrement=False, nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("message_id", _ID, nullable=True),
        sa.PrimaryKeyConstraint("mailbox_id", "uidvalidity", "uid"),
    )
    op.create_table(
        "sources",
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("connected_since", _TIME, nullable=True),
        sa.Column("read_at", _TIME, nullable=True),
        sa.Column("last_mail_at", _TIME, nullable=True),
        sa.Column("lag", sa.Integer(), nullable=False),
        sa.Column("next_retry_at", _TIME, nullable=True),
        sa.Column("token_expires_at", _TIME, nullable=True),
        sa.Column("silence_s", sa.Float(), nullable=False),
        sa.Column("told_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "signatures",
        sa.Column("mark", sa.String(length=40), nullable=False),
        sa.Column("message_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
