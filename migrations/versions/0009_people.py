"""What people do to tickets: owner, tags, watchers, snooze, merges and links, presence, corrections, and the audit of it.
From when the promise to a customer is measured."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

WHEN = sa.DateTime(timezone=True)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = {"primary_key": True, "autoincrement": False}


def upgrade() -> None:
    op.add_column("tickets", sa.Column("owner", sa.String(100), nullable=False, server_default=""))
    op.add_column("tickets", sa.Column("watchers", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("tickets", sa.Column("snoozed_until", WHEN))
    op.add_column("tickets", sa.Column("merged_into", BIG))
    op.add_column("tickets", sa.Column("promised_at", WHEN))
    op.add_column("tickets", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("entries", sa.Column("kind", sa.String(8), nullable=False, server_default=""))
    _known()
    _partial("tickets_owner", "owner", "owner <> ''")
    _partial("tickets_snoozed", "snoozed_until", "snoozed_until is not null")
    _partial("tickets_merged", "merged_into", "merged_into is not null")
    _partial("tickets_linked", "linked_to", "linked_to is not null")
    _tables()
    _append_only()


def _known() -> None:
    """What is there already: remarks and changes are told apart, and conversations have moved on as far as they have."""
    op.execute(
        "update entries set kind = case when text in ('closed', 'closed as spam', 'reopened') then 'change' else 'note' end"
        " where direction = 'internal'"
    )
    op.execute("update tickets set promised_at = opened_at where round > 0")
    op.execute(
        "update tickets set version = (select count(*) from entries e where e.ticket_id = tickets.id"
        " and e.status = 'shown' and e.kind <> 'change')"
    )


def _partial(name: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "tickets", [column], sqlite_where=where, postgresql_where=where)


def _tables() -> None:
    op.create_table("ticket_tags", sa.Column("ticket_id", BIG, **KEY), sa.Column("tag", sa.String(50), primary_key=True))
    op.create_index("ix_ticket_tags_tag", "ticket_tags", ["tag"])
    op.create_table(
        "ticket_links",
        sa.Column("ticket_id", BIG, **KEY),
        sa.Column("other_id", BIG, **KEY),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
    )
    op.create_index("ix_ticket_links_other_id", "ticket_links", ["other_id"])
    op.create_table(
        "presence",
        sa.Column("ticket_id", BIG, **KEY),
        sa.Column("who", sa.String(100), primary_key=True),
        sa.Column("writing", sa.Boolean(), nullable=False),
        sa.Column("at", WHEN, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("what", sa.String(30), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("object", sa.String(100), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
    )
    op.create_index("audit_object", "audit", ["kind", "object"])
    op.create_table(
        "corrections",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("ticket_id", BIG, nullable=False),
        sa.Column("entry_id", BIG),
        sa.Column("message_id", BIG),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("field", sa.String(12), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
    )
    op.create_index("ix_corrections_ticket_id", "corrections", ["ticket_id"])


def _append_only() -> None:
    """What somebody did stays written down, also against a mistake in our own code."""
    if op.get_bind().dialect.name == "sqlite":
        for event in ("update", "delete"):
            op.execute(
                f"create trigger audit_no_{event} before {event} on audit"
                " begin select raise(abort, 'the audit is only added to'); end"
            )
        return
    op.execute(
        "create function audit_only_added_to() returns trigger language plpgsql as"
        " $$ begin raise exception 'the audit is only added to' using errcode = 'check_violation'; end $$"
    )
    op.execute(
        "create trigger audit_only_added_to before update or delete on audit"
        " for each row execute function audit_only_added_to()"
    )
