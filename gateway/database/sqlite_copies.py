"""Copies of a SQLite database while the service works, and what is in them."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.database.archive import ArchiveError, check_room
from gateway.database.tables import METADATA

_BLOCK = 4 * 1024 * 1024


def copy(database: Path, target: Path) -> None:
    """The database as it is at one moment, by SQLite's online backup API in one step: writers go on meanwhile, and the
    copy is a file of its own, without a log beside it.

    Raises:
        ArchiveError: there is no room, or it cannot be read.
    """
    check_room(target.parent, database.stat().st_size, "the copy of the database")
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30.0)) as source,
            contextlib.closing(sqlite3.connect(target)) as made,
        ):
            source.backup(made)
            made.execute("pragma journal_mode=delete")
    except sqlite3.Error as error:
        raise ArchiveError(f"{database} cannot be copied: {error}") from error
    finally:
        _hand_over(database)


def _hand_over(database: Path) -> None:
    """The log files that root's look at a database makes beside it belong to the service's user, who could not write
    them else."""
    if os.geteuid() != 0:
        return
    owner = database.stat()
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.chown(f"{database}{suffix}", owner.st_uid, owner.st_gid)


def schema(database: Path) -> str:
    """The Alembic revision of the schema of a copy. ``sqlite3.Error`` where it is no database of ours."""
    with contextlib.closing(_open(database)) as connection:
        return str(connection.execute("select version_num from alembic_version").fetchone()[0])


def counts(database: Path) -> dict[str, int]:
    """Rows by table, of the tables that are there."""
    with contextlib.closing(_open(database)) as connection:
        there = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        names = sorted(there & set(METADATA.tables))
        counted = {name: connection.execute(f"select count(*) from {name}") for name in names}  # noqa: S608
        return {name: int(rows.fetchone()[0]) for name, rows in counted.items()}


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30.0)


def problems(database: Path, expected: Mapping[str, int] | None = None) -> list[str]:
    """What is wrong with a database: SQLite's own integrity check, and counts that are not those of the backup."""
    try:
        with contextlib.closing(_open(database)) as connection:
            said = [str(row[0]) for row in connection.execute("pragma integrity_check(20)")]
        found = [] if said == ["ok"] else [f"integrity check: {line}" for line in said]
        there = counts(database)
    except (sqlite3.Error, TypeError) as error:
        return [f"the database cannot be read: {error}"]
    return found + differences(expected or {}, there)


def differences(expected: Mapping[str, int], there: Mapping[str, int]) -> list[str]:
    """Counts that are not as they were."""
    return [
        f"{name}: {there.get(name, 0)} rows, the backup had {count}"
        for name, count in expected.items()
        if there.get(name, 0) != count
    ]


def holding(files: Iterable[Path], words: bytes) -> list[Path]:
    """Which files hold these octets, in whatever case they are written."""
    wanted = re.compile(re.escape(words), re.IGNORECASE)
    return [path for path in files if path.is_file() and _holds(path, wanted, len(words))]


def _holds(path: Path, wanted: re.Pattern[bytes], length: int) -> bool:
    kept = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if wanted.search(kept + block):
                return True
            kept = block[-length:]
    return False


def files_of(database: Path) -> list[Path]:
    """The files of a database: its own and its log."""
    return [database, Path(f"{database}-wal")]


def scrub(database: Path, words: bytes, tries: int = 20) -> bool:
    """Makes sure that what was deleted is in no file of a database; whether it is so. Deleted content is overwritten
    already (``secure_delete``); the log is emptied, and where octets are left in half-used pages, the file is written
    anew.

    Raises:
        ArchiveError: the database cannot be used.
    """
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=5.0, isolation_level=None)) as connection:
            connection.execute("pragma secure_delete=on")
            for attempt in range(tries):  # a reader in the middle of something keeps the log for a moment
                connection.execute("pragma wal_checkpoint(truncate)")
                if not holding(files_of(database), words):
                    return True
                if attempt in (tries // 4, tries // 2):
                    _vacuum(connection)
    except sqlite3.Error as error:
        raise ArchiveError(f"{database} cannot be cleaned: {error}") from error
    finally:
        _hand_over(database)
    return False


def _vacuum(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.OperationalError):  # it is busy: the next try comes
        connection.execute("vacuum")
