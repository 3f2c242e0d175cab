"""Every text and JSON column takes whatever a mail may hold, on both databases and on both ways to them."""

from __future__ import annotations

import json as stdlib_json
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import JSON, BigInteger, Boolean, Float, Integer, LargeBinary, String, select

from gateway.database import clean, statements
from gateway.database.store import Store
from gateway.database.tables import METADATA, UtcDateTime, audit, outbox, thread_ids
from tests.samples import NOW

DIRTY, CLEAN = "a\x00b\ud800\udfffc ü", "a\ufffdb\ufffd\ufffdc ü"
COLUMNS = [
    (table, column)
    for table in METADATA.sorted_tables
    for column in table.columns
    if isinstance(column.type, clean.CleanString | clean.CleanJson)
]


def test_no_text_column_is_of_another_type() -> None:
    bare = [
        f"{table.name}.{column.name}"
        for table in METADATA.sorted_tables
        for column in table.columns
        if isinstance(column.type, String | JSON)
    ]
    assert bare == []
    assert len(COLUMNS) > 60


def row(table: Any, number: int) -> dict[str, Any]:
    """A row with something in every column."""
    values: dict[str, Any] = {}
    for column in table.columns:
        kind = column.type
        if isinstance(kind, Boolean):
            value: Any = False
        elif isinstance(kind, BigInteger | Integer):
            value = number
        elif isinstance(kind, Float):
            value = 1.0
        elif isinstance(kind, UtcDateTime):
            value = NOW
        elif isinstance(kind, LargeBinary):
            value = b"\x00"
        elif isinstance(kind, clean.CleanJson):
            value = []
        else:
            value = str(number)
        values[column.name] = value
    return values


def test_a_nul_among_letters_of_ascii_is_cleaned_too() -> None:
    assert clean.text("image/\x00png") == "image/\ufffdpng"
    assert clean.tree({"type": ["image/\x00png"]}) == {"type": ["image/\ufffdpng"]}


@pytest.mark.parametrize("way", ["put", "change", "core"])
def test_every_column_is_cleaned(store: Store, way: str) -> None:
    for number, (table, column) in enumerate(COLUMNS, 1000):
        json = isinstance(column.type, clean.CleanJson)
        length = None if json else column.type.impl.length
        dirty = {DIRTY: [DIRTY, {"x": DIRTY}]} if json else DIRTY[:length]
        wanted = {CLEAN: [CLEAN, {"x": CLEAN}]} if json else CLEAN[:length]
        keys = [key.name for key in table.primary_key.columns]
        values = row(table, number)

        def job(
            connection: Any, values: Any = values, column: Any = column, table: Any = table, dirty: Any = dirty
        ) -> None:
            if way == "core":
                connection.execute(table.insert().values({**values, column.name: dirty}))
            elif way == "put" or "id" not in values or column.name == "id" or table is audit:  # it is only added to
                statements.put(connection, table, {**values, column.name: dirty})
            else:
                statements.put(connection, table, values)
                statements.change(connection, table, values["id"], {column.name: dirty})

        store.write_now(job)
        where = [table.c[key] == (dirty if key == column.name else values[key]) for key in keys]
        assert (
            store.read_now(lambda c, column=column, where=where: c.execute(select(column).where(*where)).scalar())
            == wanted
        )  # type: ignore[misc]


def test_what_is_looked_for_is_cleaned_too(store: Store) -> None:
    store.write_now(lambda c: statements.put(c, thread_ids, {"rfc_id": DIRTY, "ticket_id": 1, "ours": False}))
    query = select(thread_ids.c.ticket_id).where(thread_ids.c.rfc_id.in_([DIRTY, "\x00"]))
    assert store.read_now(lambda c: c.execute(query).scalar()) == 1


def test_what_is_clean_stays_the_very_same() -> None:
    for words in ("", "plain", "ü € 漢 😀 \U0010ffff", "\t\r\n\x01\x1b"):
        assert clean.text(words) is words or clean.text(words) == words
    moment: dict[str, Any] = {"a": [1, 2.5, None, True, {"b": "c"}]}
    assert clean.tree(moment) == moment


@pytest.mark.parametrize("words", ["plain", DIRTY, "\\ud800 and \\u0000 as letters", "😀", "\\\x00", "ü\udfff"])
def test_json_is_cleaned_whether_or_not_it_has_anything_of_it(words: str) -> None:
    value = {"a": [words, 1, None], words: (words, {"b": words})}
    assert clean.written(value) == stdlib_json.dumps(clean.tree(value))


def test_fixed_values_of_prepared_statements_are_converted_as_well(store: Store) -> None:
    """The constants inside a statement go through the same conversion as its parameters."""
    query = select(outbox.c.id).where(
        outbox.c.template == "x\x00y", outbox.c.created_at <= datetime(2030, 1, 1, tzinfo=NOW.tzinfo)
    )
    values = row(outbox, 7) | {"template": "x\x00y", "context": {}}
    store.write_now(lambda c: statements.put(c, outbox, values))
    assert [found.id for found in store.read_now(lambda c: statements.fetch(c, query, {}))] == [7]
