"""Every schema that was ever released is migrated with a row in each of its tables, and none is opened by an older release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.runtime.migration import MigrationContext as Context
from sqlalchemy import JSON, Boolean, Connection, DateTime, Float, Integer, LargeBinary, MetaData, Numeric, text

from gateway.database import migrate
from gateway.database.store import NewerSchema, Store, _known, _migrations, head
from tests.samples import NOW

#: what a column holds where a word of the service's own is needed
WORDS = {
    "state": "done",
    "direction": "in",
    "status": "shown",
    "kind": "auto",
    "disposition": "opened",
    "reference": "T-0000000",
}


def value(column: Any) -> Any:
    """Something that fits."""
    kind = column.type
    if isinstance(kind, LargeBinary):
        return b"x" * 32
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, DateTime):
        return datetime(2026, 11, 22, 18, tzinfo=UTC)
    if isinstance(kind, JSON):
        return []
    if isinstance(kind, Integer | Numeric | Float):
        return 1
    return WORDS.get(column.name, "a")


def filled(connection: Connection) -> dict[str, int]:
    """A row in each table; rows by table."""
    there = MetaData()
    there.reflect(connection)
    counts = {}
    for table in there.sorted_tables:
        if table.name == "alembic_version" or table.name.startswith(
            ("search", "report_changes")
        ):  # filled by the others
            continue
        needed = [column for column in table.columns if not column.nullable or column.name in WORDS]
        connection.execute(table.insert().values({column.name: value(column) for column in needed}))
        counts[table.name] = 1
    return counts


def upgraded(url: str, revision: str) -> None:
    old = Store(url)
    migrate.upgrade(old._writer_engine, _migrations(), revision)
    with old._writer_engine.connect() as connection, connection.begin():
        counts = filled(connection)
    old._dispose()
    store = Store(url)
    store.open(NOW)
    try:
        for name, count in counts.items():
            found = store.read_now(lambda c, name=name: c.execute(text(f"select count(*) from {name}")).scalar())  # type: ignore[misc]
            assert found == count, f"{name} from {revision}"
        assert store.read_now(lambda c: Context.configure(c).get_current_revision()) == head()
        assert store.keys == {"a": b"x" * 32}
    finally:
        store.close()


@pytest.mark.parametrize("revision", sorted(_known()))
def test_on_sqlite(tmp_path: Path, revision: str) -> None:
    upgraded(f"sqlite:///{tmp_path / 'gateway.db'}", revision)
    copies = list(tmp_path.glob("gateway.db.*.backup"))
    assert len(copies) == (revision != head())


@pytest.mark.parametrize("revision", sorted(_known()))
def test_on_postgresql(postgresql: Callable[[], str], revision: str) -> None:
    upgraded(postgresql(), revision)


@pytest.mark.parametrize("older", sorted(_known())[:-1])
def test_a_downgrade_is_refused_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: str) -> None:
    """What an older release says of this one's database, and it changes nothing."""
    path = tmp_path / "gateway.db"
    store = Store(f"sqlite:///{path}")
    store.open(NOW)
    store.close()
    before = path.read_bytes()
    newest = head()
    known = {revision for revision in _known() if revision <= older}
    monkeypatch.setattr("gateway.database.store._known", lambda: known)
    monkeypatch.setattr("gateway.database.store.head", lambda: older)
    with pytest.raises(NewerSchema, match=f"schema {newest}, this release knows {older}: install the newer release"):
        Store(f"sqlite:///{path}").open(NOW)
    assert NewerSchema.exit_code == 2 and path.read_bytes() == before
