"""The copies of a SQLite file before a migration: whole, or not there.

A copy is written under another name, synced, and renamed when it is whole; what a killed service left half-written is
removed before the next one is begun, so that its room is free again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import datetime
from pathlib import Path

KEPT = 2
ROOM = 1.2  #: of the size of the database: the copy, and what the migration itself writes
_PART, _JOURNAL = ".part", "-journal"


class NoRoom(Exception):
    """The disk has no room for a copy of so many octets; nothing was written."""


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clean(database: Path) -> list[Path]:
    """Removes what is half-written beside the database: parts, and copies that a journal still belongs to."""
    parts = list(database.parent.glob(f"{database.name}.*.backup{_PART}*"))
    for journal in database.parent.glob(f"{database.name}.*.backup{_JOURNAL}"):
        parts += [journal.with_name(journal.name.removesuffix(_JOURNAL)), journal]
    for part in parts:
        part.unlink(missing_ok=True)
    return parts


def _room(database: Path) -> int:
    stats = os.statvfs(database.parent)
    return stats.f_bavail * stats.f_frsize


def _schema(database: Path) -> str | None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("select version_num from alembic_version").fetchone()[0])
    return None


def _superseded(database: Path) -> list[Path]:
    """Copies with the very schema that is about to be left, oldest first: of this migration, which was killed after its
    copy was made. The database holds whatever they hold, and more."""
    schema = _schema(database)
    return [old for old in sorted(database.parent.glob(f"{database.name}.*.backup")) if _schema(old) == schema]


def make(database: Path, now: datetime) -> Path:
    """A copy by SQLite's online backup API; the last two are kept.

    Raises:
        NoRoom: there is no room for it.
        OSError, sqlite3.Error: it cannot be written; nothing is left of it.
    """
    clean(database)
    needed = round(database.stat().st_size * ROOM)
    for old in _superseded(database):
        if _room(database) < needed:
            old.unlink()
    if _room(database) < needed:
        raise NoRoom(f"no room for the copy before the migration: {needed} octets are needed in {database.parent}")
    target = database.with_name(f"{database.name}.{now:%Y%m%dT%H%M%S}.backup")
    part = target.with_name(target.name + _PART)
    with contextlib.ExitStack() as undo:
        undo.callback(clean, database)
        with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        _sync(part)
        part.rename(target)
        _sync(database.parent)
        undo.pop_all()
    for old in sorted(database.parent.glob(f"{database.name}.*.backup"))[:-KEPT]:
        old.unlink()
    return target
