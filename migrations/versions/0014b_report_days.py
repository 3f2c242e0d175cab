"""What the report counts, by day: days that are over are counted once, and again when anything of them changes."""

import sqlalchemy as sa
from alembic import op

revision = "0014b"
down_revision = "0014"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: what the report looks at, by table: the moment that says which day, and the columns
LOOKED_AT = {
    "tickets": ("promised_at", ("promised_at", "first_response_at", "state", "breached", "department", "language")),
    "messages": ("received_at", ("received_at", "state", "reason")),
}


def upgrade() -> None:
    op.create_table(
        "report_days",
        sa.Column("zone", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("counted", sa.Text(), nullable=False),
    )
    op.create_table(
        "report_changes",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("day", sa.String(10), nullable=False),
    )
    op.create_index("tickets_promised", "tickets", ["promised_at"])
    for table, (moment, columns) in LOOKED_AT.items():
        for act, rows in (("insert", ("new",)), ("delete", ("old",)), ("update of " + ", ".join(columns), ("old", "new"))):
            for row in rows:
                _trigger(f"report_{table}_{act[:6]}_{row}", act, table, f"{row}.{moment}")


def _trigger(name: str, act: str, table: str, moment: str) -> None:
    """Rows of the last day are not counted ahead: a mail that comes in fires nothing."""
    if op.get_bind().dialect.name == "sqlite":
        then = f"insert into report_changes (day) values (substr({moment}, 1, 10))"
        old = f"{moment} < datetime('now', '-1 day')"
        op.execute(f"create trigger {name} after {act} on {table} when {old} begin {then}; end")
        return
    day = f"to_char({moment} at time zone 'UTC', 'YYYY-MM-DD')"
    op.execute(
        f"create function {name}() returns trigger language plpgsql as "
        f"$$ begin insert into report_changes (day) values ({day}); return null; end $$"
    )
    when = f"when ({moment} < now() - interval '1 day')"
    op.execute(f"create trigger {name} after {act} on {table} for each row {when} execute function {name}()")
