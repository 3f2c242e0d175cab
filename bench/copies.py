"""Many tickets out of a few: every row of a database is copied with ids, names and times of its own, by its own SQL.

The rows that are copied came from real mail through the real machinery, so each table has what it has in real life. Times are
spread over two years. What is copied is settled, but for the newest tickets, which are open; a tenth of the originals keep their bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, text

from gateway.database.store import Store
from gateway.database.tables import METADATA, UtcDateTime

TABLES = (
    "messages",
    "raw",
    "tickets",
    "entries",
    "attachments",
    "facts",
    "traces",
    "thread_ids",
    "outbox",
    "signatures",
)
SPAN_S = 2 * 365 * 86400  #: of all copies
OPEN = 2000  #: tickets
RAW_SHARE = 0.1  #: of the originals
STEP = 5000  #: copies that one statement makes
ADDRESSED = {"author", "recipient", "canonical", "mail_from"}
IDS = {"id", "ticket_id", "entry_id", "message_id", "linked_to", "merged_into"}


def multiply(store: Store, copies: int, every_s: float, told: Callable[[str], None]) -> None:
    """Copies everything that is there so many times, one copy each ``every_s`` seconds until now."""
    for name in TABLES:
        store.write_now(lambda connection, name=name: _template(connection, name))  # type: ignore[misc]
    (stride,) = {store.read_now(_stride)}
    tickets = store.read_now(lambda c: c.execute(text("select count(*) from tickets")).scalar_one())
    dropped = store.write_now(_without_indexes)
    for name in TABLES:
        first = int(copies * (1 - RAW_SHARE)) + 1 if name == "raw" else 1
        for start in range(first, copies + 1, STEP):
            job = Copying(name, stride, copies, every_s, copies - OPEN // int(tickets), store.is_sqlite)
            store.write_now(lambda c, job=job, start=start: job.run(c, start, min(copies, start + STEP - 1)))  # type: ignore[misc]
        told(f"{name} copied")
    for statement in dropped:
        store.write_now(lambda connection, statement=statement: connection.execute(text(statement)))  # type: ignore[misc]
    told(f"{len(dropped)} indexes made")
    if not store.is_sqlite:
        store.write_now(_sequences)
    for name in TABLES:
        store.write_now(lambda connection, name=name: connection.execute(text(f"drop table template_{name}")))  # type: ignore[misc]


def _template(connection: Connection, name: str) -> None:
    connection.execute(text(f"create table template_{name} as select * from {name}"))


def _without_indexes(connection: Connection) -> list[str]:
    """Drops the indexes that are not constraints; the statements that make them again, which is faster than to keep them."""
    if connection.dialect.name == "sqlite":
        found = "select name, sql, tbl_name as owner from sqlite_master where type = 'index' and sql is not null"
        connection.exec_driver_sql("pragma cache_size=-200000")
    else:
        found = (
            "select indexname as name, indexdef as sql, tablename as owner from pg_indexes where schemaname = 'public' and not exists "
            "(select 1 from pg_constraint where conname = indexname)"
        )
    rows = [row for row in connection.execute(text(found)) if row.owner in TABLES]
    for row in rows:
        connection.execute(text(f"drop index {row.name}"))
    return [str(row.sql) for row in rows]


def _stride(connection: Connection) -> int:
    highest = (f"select coalesce(max(id), 0) as id from {name}" for name in TABLES if "id" in METADATA.tables[name].c)
    return int(connection.execute(text(f"select max(id) from ({' union all '.join(highest)}) as t")).scalar_one()) + 1


def _sequences(connection: Connection) -> None:
    for name in TABLES:
        if "id" in METADATA.tables[name].c:
            highest = f"select setval(pg_get_serial_sequence('{name}', 'id'), (select max(id) from {name}))"
            connection.execute(text(highest))


class Copying:
    """The copies of one table: ``k`` numbers them, the oldest first; those after ``settled`` are open."""

    def __init__(self, name: str, stride: int, copies: int, every_s: float, settled: int, sqlite: bool) -> None:
        self._name, self._stride, self._copies, self._every_s = name, stride, copies, every_s
        self._settled, self._sqlite = settled, sqlite

    def run(self, connection: Connection, first: int, last: int) -> None:
        """Copies ``first`` to ``last``."""
        table = METADATA.tables[self._name]
        names = ", ".join(f'"{column.name}"' for column in table.c)
        values = ", ".join(self._value(column) for column in table.c)
        if self._sqlite:
            numbers = (
                "(with recursive n(k) as (select :first union all select k + 1 from n where k < :last) select k from n)"
            )
        else:
            numbers = "(select generate_series(cast(:first as bigint), :last) as k)"
        copied = f"insert into {self._name} ({names}) select {values} from {numbers} as n cross join template_{self._name} as t"
        connection.execute(text(f"{copied} order by k"), {"first": first, "last": last})

    def _value(self, column: Any) -> str:
        name, whole = column.name, f'"{column.name}"'
        if name in IDS and isinstance(column.type, BigInteger | Integer):
            return f"{whole} + k * {self._stride}"
        special = self._special(f"{self._name}.{name}")
        if special is not None:
            return special
        if isinstance(column.type, UtcDateTime):
            return self._moved(whole)
        if name in ADDRESSED:
            return f"replace({whole}, '@', '.' || (k % 200000) || '@')"
        return whole

    def _moved(self, whole: str) -> str:
        seconds = f"(({self._copies} - k) * {self._every_s})"
        if self._sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f', {whole}, '-' || {seconds} || ' seconds') || '000'"
        return f"{whole} - {seconds} * interval '1 second'"

    def _special(self, column: str) -> str | None:
        past = f"k <= {self._settled}"
        numbered = "substr('0000000' || k, -8)" if self._sqlite else "right('0000000' || k, 8)"
        digits = "substr('0000000' || (k * 100 + id), -8)" if self._sqlite else "right('0000000' || (k * 100 + id), 8)"
        return {
            "messages.digest": f"{digits} || substr(digest, 1, 40)", "signatures.mark": f"{numbered} || substr(mark, 1, 20)",
            "messages.message_id": "k || '.' || message_id", "messages.state": "'done'", "messages.due_at": "null",
            "thread_ids.rfc_id": "k || '.' || rfc_id", "outbox.rfc_id": "k || '.' || rfc_id", "outbox.event": "event || '.' || k",
            "outbox.domain": "(k % 20000) || '.' || domain", "outbox.state": "'sent'", "outbox.next_at": "null",
            "outbox.sent_at": self._moved("created_at"), "tickets.reference": f"'X' || {digits}",
            "tickets.account": "(100000 + k % 50000) || ''",
            "tickets.state": f"case when {past} then 'closed' else state end",
            "tickets.closed_at": f"case when {past} then {self._moved('opened_at')} end",
            "tickets.clock_next_at": f"case when {past} then null else clock_next_at end",
            "tickets.first_response_at": f"case when {past} then {self._moved('opened_at')} else first_response_at end",
        }.get(column)  # fmt: skip
