"""The copy before a migration is whole or not there, and what a killed service left of one is in nobody's way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.database import backups, inbox, migrate
from gateway.database.store import Store, StoreError, _migrations
from gateway.ingest.identity import digest_of
from gateway.model import RawMessage
from tests import disks
from tests.samples import NOW, envelope, mail

#: in a process of its own: opens the database, and is killed at the moment named
KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from gateway.database import backups, migrate
from gateway.database.store import Store, utc_now

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Halfway(sqlite3.Connection):
    def backup(self, target, **_):
        super().backup(target, pages=8, progress=die)

real = sqlite3.connect
if sys.argv[2] == "half":
    sqlite3.connect = lambda path, *a, **k: real(path, *a, factory=Halfway, **k)
elif sys.argv[2] == "before its name":
    backups._sync = die
elif sys.argv[2] == "in the migration":
    migrate.command.upgrade = die
Store("sqlite:///" + sys.argv[1]).open(utc_now())
"""


def old(folder: Path, size: int = 200_000) -> Path:
    """A database of the release before, with a mail in it."""
    path = folder / "gateway.db"
    store = Store(f"sqlite:///{path}")
    migrate.upgrade(store._writer_engine, _migrations(), "0004")
    with store._writer_engine.connect() as connection, connection.begin():
        store._load_keys(connection, NOW)
    store._dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into raw values (99, 0, ?)", (os.urandom(size),))
        connection.commit()
        connection.execute("pragma wal_checkpoint(truncate)")
    return path


def killed(path: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.*.backup"))


def whole(copy: Path) -> bool:
    with closing(sqlite3.connect(copy)) as connection:
        return bool(connection.execute("pragma integrity_check").fetchone() == ("ok",)) and bool(
            connection.execute("select count(*) from raw").fetchone() == (1,)
        )


@pytest.mark.fault("X53")
@pytest.mark.parametrize("moment", ["half", "before its name", "in the migration"])
def test_a_copy_is_whole_or_not_there(tmp_path: Path, moment: str) -> None:
    path = old(tmp_path)
    killed(path, moment)
    assert all(whole(copy) for copy in copies(path))
    assert len(copies(path)) == (moment == "in the migration")
    store = Store(f"sqlite:///{path}")
    store.open(NOW + timedelta(days=1))
    store.close()
    assert all(whole(copy) for copy in copies(path)) and len(copies(path)) >= 1
    assert list(tmp_path.glob("*.part*")) == [] and list(tmp_path.glob("*-journal")) == []


def test_what_an_older_release_left_half_written_is_removed(tmp_path: Path) -> None:
    path = old(tmp_path)
    half = tmp_path / "gateway.db.20260101T000000.backup"
    half.write_bytes(b"half")
    half.with_name(half.name + "-journal").write_bytes(b"hot")
    kept = tmp_path / "gateway.db.20260102T000000.backup"
    kept.write_bytes(path.read_bytes())
    made = backups.make(path, NOW)
    assert copies(path) == [kept, made]


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs with room for a database of 2 MB, one copy of it and its migration."""
    with disks.small_disk(tmp_path / "state", "6m") as folder:
        yield folder


@pytest.mark.fault("X53")
@pytest.mark.parametrize("moment", ["half", "before its name", "in the migration"])
def test_with_room_for_one_copy_the_next_start_goes_through(narrow: Path, moment: str) -> None:
    path = old(narrow, 2_000_000)
    for _ in range(3):
        killed(path, moment)
    store = Store(f"sqlite:///{path}")
    store.open(NOW + timedelta(days=1))
    accepted = store.write_now(lambda c: inbox.accept(c, RawMessage(mail(), envelope()), digest_of(mail())))
    assert accepted.created
    store.close()
    assert [whole(copy) for copy in copies(path)] == [True]


def test_without_room_nothing_is_migrated_and_the_reason_is_told(narrow: Path) -> None:
    path = old(narrow, 2_000_000)
    (narrow / "ballast").write_bytes(b"x" * 2_500_000)
    with pytest.raises(StoreError, match=r"not migrated: no room .* octets are needed in"):
        Store(f"sqlite:///{path}").open(NOW)
    assert copies(path) == []
    (narrow / "ballast").unlink()
    store = Store(f"sqlite:///{path}")
    store.open(NOW)
    store.close()


def test_only_the_last_two_are_kept(tmp_path: Path) -> None:
    path = old(tmp_path)
    made = [backups.make(path, NOW + timedelta(days=number)) for number in range(4)]
    assert copies(path) == made[2:]
