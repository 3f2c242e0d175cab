"""The console: users, sessions, failed logins, drafts, saved views, and an index of the words of every conversation."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

WHEN = sa.DateTime(timezone=True)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _users()
    _desk()
    op.create_index("tickets_due", "tickets", ["state", "priority", "critical", "limit_at"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "create virtual table search using fts5(words, tokenize = \"unicode61 remove_diacritics 2\", prefix = '2 4')"
        )
        return
    op.execute("create table search (id bigint primary key, words tsvector not null)")
    op.execute("create index search_words on search using gin (words)")


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(60), nullable=False, unique=True),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("totp", sa.String(64), nullable=False),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        sa.Column("invite", sa.String(64), nullable=False),
        sa.Column("invite_until", WHEN),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", WHEN, nullable=False),
        sa.Column("seen_at", WHEN),
    )
    op.create_table(
        "console_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("created_at", WHEN, nullable=False),
        sa.Column("seen_at", WHEN, nullable=False),
        sa.Column("expires_at", WHEN, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
    )
    op.create_index("ix_console_sessions_user_id", "console_sessions", ["user_id"])
    op.create_table(
        "login_failures",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", WHEN, nullable=False),
        sa.Column("locked_until", WHEN),
    )


def _desk() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("ticket_id", BIG, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("outbox_id", BIG),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.UniqueConstraint("user_id", "ticket_id"),
    )
    op.create_index("ix_drafts_ticket_id", "drafts", ["ticket_id"])
    op.create_table(
        "saved_views",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.UniqueConstraint("user_id", "name"),
    )
