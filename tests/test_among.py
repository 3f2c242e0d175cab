"""Lists in questions to the database: one text for each question, however long its list is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, func, not_, select, update

from gateway.database.among import among
from gateway.database.statements import put_all
from gateway.database.store import Store
from gateway.database.tables import ticket_tags, tickets
from gateway.tickets import incidents
from tests.samples import NOW
from tests.test_desk import Desk
from tests.test_incidents import RULE, took

TAG = "t" * 50  #: as wide as the column


def _tagged(connection: Connection) -> None:
    rows = [{"ticket_id": number, "tag": "even" if number % 2 == 0 else TAG} for number in range(40)]
    put_all(connection, ticket_tags, rows)


def _found(connection: Connection, numbers: list[int]) -> set[int]:
    t = ticket_tags.c
    return set(connection.execute(select(t.ticket_id).where(among(t.ticket_id, numbers))).scalars())


def _of(connection: Connection, *tags: str) -> int:
    t = ticket_tags.c
    return int(connection.execute(select(func.count()).where(among(t.tag, tags))).scalar_one())


def test_it_finds_what_a_list_written_out_finds(store: Store) -> None:
    t = ticket_tags.c
    store.write_now(_tagged)
    for numbers in ([], [7], list(range(10, 30)), list(range(-70_000, 3))):  # more than any statement has parameters
        assert store.read_now(partial(_found, numbers=numbers)) == {one for one in numbers if 0 <= one < 40}
    of = lambda *tags: store.read_now(lambda connection: _of(connection, *tags))  # noqa: E731
    assert (of("even"), of(TAG), of("even", TAG), of()) == (20, 20, 40, 0)
    assert of(f"{TAG}x") == 0  # nothing is cut to the width of the column
    assert of("even\x00", "ev\ud800en", 'e"ven', "e'ven", "{even}") == 0
    rest = select(func.count()).where(not_(among(t.tag, ["even"])) & not_(among(t.ticket_id, [1, 2])))
    assert store.read_now(lambda connection: connection.execute(rest).scalar_one()) == 19
    changed = update(ticket_tags).where(among(t.ticket_id, {4, 6}) | (t.ticket_id == 8)).values(tag="odd")
    store.write_now(lambda connection: connection.execute(changed) and None)
    assert (of("odd"), of("even")) == (3, 17)


def test_sqlite_looks_for_it_in_the_index(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    store.open(NOW)
    for column in (tickets.c.id, tickets.c.reference):
        asked = str(select(tickets.c.state).where(among(column, [1])).compile(store._reader_engine))
        plan = store.read_now(lambda c, asked=asked: c.exec_driver_sql(f"explain query plan {asked}", ("[1]",)).all())  # type: ignore[misc]
        assert any("SEARCH tickets USING" in str(row) for row in plan), plan
    store.close()


@pytest.fixture
def texts(store: Store) -> Iterator[set[str]]:
    """What is asked of the database."""
    seen: set[str] = set()

    def asked(*given: object) -> None:
        seen.add(str(given[2]))

    event.listen(store._reader_engine, "before_cursor_execute", asked)
    yield seen
    event.remove(store._reader_engine, "before_cursor_execute", asked)


def _kept() -> int:
    """How many prepared statements the connections to SQLite keep."""
    gc.collect()
    return sum(type(one).__qualname__ == "Statement" and type(one).__module__ == "sqlite3" for one in gc.get_objects())


def test_however_many_tickets_are_compared_nothing_more_is_kept(store: Store, texts: set[str]) -> None:
    at, due = Desk(store), partial(incidents.due, rule=RULE, now=NOW)
    for number in range(2):
        took(at, number, f"my server 203.0.113.{number} is down")
    store.read_now(due)
    store.read_now(due)
    known, kept = set(texts), _kept()
    for number in range(2, 8):
        took(at, number, f"my server 203.0.113.{number} is down")
        texts.clear()
        store.read_now(due)
        assert texts <= known
    assert store.url.startswith("postgresql") or ((kept, _kept()) == (kept, kept) and kept)
