"""The way back: a backup under load is whole, a damaged one is refused, and a restored copy sends nothing twice."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from gateway import backup as backups
from gateway import config
from gateway.database import archive
from gateway.database import outbox as outbox_rows
from gateway.database.outbox import Choice
from gateway.database.store import Store
from gateway.model import OutboxItem
from gateway.tickets import outgoing, restored
from gateway.tickets.outgoing import Reply, Restored
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import NOW, office
from tests.test_daemon import signed

FEW = {"replies": {"budget_total": "10000/1h", "budget_domain": "10000/1h", "budget_address": "10000/1h"}}
SENDER = "ops@shop.example"


def answered(peers: LoopbackPeers) -> Counter[str]:
    """How many replies went out to each mail."""
    return Counter(str(message_from_bytes(taken.raw)["In-Reply-To"]) for taken in peers.taken)


def counted(database: str) -> dict[str, int]:
    store = Store(database)
    store.open(NOW)
    try:
        return store.read_now(
            lambda c: dict(c.exec_driver_sql("select state, count(*) from outbox group by state").fetchall())  # type: ignore[arg-type]
        )
    finally:
        store.close()


class Load:
    """Mails that keep coming in; ``taken`` are the numbers that were acknowledged with 250."""

    def __init__(self, daemon: Running, first: int) -> None:
        self.taken: list[int] = []
        self._stop, self._daemon, self._first = threading.Event(), daemon, first
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        number = self._first
        while not self._stop.is_set():
            if self._daemon.send(signed(number), SENDER)[0] == 250:
                self.taken.append(number)
            number += 1

    def end(self) -> int:
        self._stop.set()
        self._thread.join(60)
        return len(self.taken)


@pytest.mark.fault("X80")
def test_a_backup_under_load_and_a_restored_copy_that_sends_nothing_twice(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    refuses = True
    peers = LoopbackPeers(answer=lambda _: "451 4.3.0 later" if refuses else "250 2.0.0 OK")
    (tmp_path / "one").mkdir()
    first = Running(tmp_path / "one", peers, database={"url": database}, **FEW)
    running = [first]
    try:
        load = Load(first, 1)
        until(lambda: len(load.taken) >= 5, 60, "mails before the backup")
        seen = len(load.taken)
        target = tmp_path / "copy.tar"
        made = json.loads(first.command("backup", str(target), "--json").stdout)
        until(lambda: len(load.taken) > seen + 3, 60, "mails during and after the backup")
        total = load.end()
        # what was acknowledged before it began is in it, and it is one moment: nothing refers to what is not there
        assert seen <= made["counts"]["messages"] <= total and target.stat().st_mode & 0o077 == 0
        assert made["counts"]["keys"] == 1 and {"config.toml", "directory.sqlite"} <= set(made["files"])
        assert first.command("verify", str(target)).returncode == 0
        refuses = False
        first.command("outbox", "retry", "--all")
        until(lambda: len(answered(peers)) == total, 60, "the replies of the first service")
        refused = first.command("restore", str(target))
        assert refused.returncode == 1 and ("runs" in refused.stderr or "not empty" in refused.stderr
                                            or "connected" in refused.stderr), refused.stderr  # fmt: skip
        assert first.stop() == 0

        (tmp_path / "two").mkdir()
        other = f"sqlite:///{tmp_path / 'two' / 'gateway.db'}"
        if not database.startswith("sqlite"):
            other = request.getfixturevalue("postgresql")()
        second = Running(tmp_path / "two", peers, database={"url": other}, **FEW)
        running.append(second)
        assert second.stop() == 0
        done = second.command("restore", str(target), "--replace")
        assert done.returncode == 0, done.stderr
        settings = config.load(second.config)
        assert backups.live_problems(settings)[0] == []
        states = counted(other)
        waiting = states.get("held", 0)
        assert waiting > 0 and not {"queued", "sending"} & set(states)
        assert f"{waiting} replies and " in done.stdout and "hold" in done.stdout
        second.start()
        assert second.send(signed(9000), SENDER)[0] == 250
        until(lambda: len(answered(peers)) == total + 1, 60, "the reply to the new mail")
        second.settled()
        assert max(answered(peers).values()) == 1
        status = json.loads(second.command("status", "--json").stdout)
        assert any("held since a restore" in problem for problem in status["problems"])
        dropped = second.command("outbox", "discard", "--state", "held")
        assert dropped.returncode == 0, dropped.stderr
        assert "held" not in counted(other)
        assert second.stop() == 0
        assert max(answered(peers).values()) == 1 and len(answered(peers)) == total + 1
    finally:
        for one in running:
            if one.process is not None and one.process.poll() is None:
                one.stop(signal.SIGKILL)
        peers.close()


def reply(number: int) -> Reply:
    item = OutboxItem(f"m{number}", "received", "en", "anna@example.de", "auto", {})
    return Reply(item, since=NOW - timedelta(hours=1))


def rows(store: Store) -> list[tuple[str, str]]:
    query = "select state, last_error from outbox order by id"
    return store.read_now(lambda c: [tuple(row) for row in c.exec_driver_sql(query).fetchall()])  # type: ignore[misc]


@pytest.mark.parametrize(
    ("queued", "before", "after"),
    [
        ("hold", ("held", outgoing.HELD), ("held", outgoing.HELD)),
        ("discard", ("dead", "discarded"), ("dead", "discarded")),
        ("send", ("queued", ""), ("queued", "")),
    ],
)
def test_what_waited_and_what_is_written_later_about_older_mail(
    store: Store, queued: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    whose = office(store.keys, store.key_id)
    store.write_now(lambda c: outgoing.write(c, reply(1), whose, NOW))
    waiting = store.write_now(lambda c: restored.settle(c, queued, NOW - timedelta(minutes=30), NOW))
    assert (waiting.replies, waiting.mails) == (1, 0)
    store.load_keys()
    assert store.restored == (NOW, queued)
    later = office(store.keys, store.key_id, restored=Restored(*store.restored))
    claimed = store.write_now(lambda c: outgoing.write_claimed(c, reply(2), later, NOW))
    assert (claimed is None) == (queued != "send")
    fresh = replace(reply(3), since=NOW + timedelta(seconds=1))
    store.write_now(lambda c: outgoing.write(c, fresh, later, NOW + timedelta(seconds=1)))
    found = rows(store)
    assert found[0] == before and found[2] == ("queued", "")
    assert found[1] == after or queued == "send"
    if queued == "hold":
        sent = store.write_now(lambda c: outbox_rows.retry(c, Choice(ids=(1,)), NOW))
        assert sent == [1] and rows(store)[0] == ("queued", "")


@pytest.fixture
def place(tmp_path: Path) -> tuple[config.Settings, Path]:
    """The settings of a service with a database in ``tmp_path``, and its configuration file."""
    file = tmp_path / "config.toml"
    file.write_text(
        f'[gateway]\nstate_dir = "{tmp_path}"\n[relay]\nusername = "u"\npassword_file = "/nowhere/secret"\n'
    )
    settings = config.load(file)
    store = Store(settings.database_url)
    store.open(NOW)
    store.write_now(lambda c: outgoing.write(c, reply(1), office(store.keys, store.key_id), NOW))
    store.close()
    return settings, file


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_a_damaged_or_foreign_backup_changes_nothing(place: tuple[config.Settings, Path], tmp_path: Path) -> None:
    settings, file = place
    (tmp_path / "copies").mkdir()
    folder, manifest = backups.make(settings, file, tmp_path / "copies", NOW)
    assert manifest.left_out == ("/nowhere/secret",) and "secret" not in manifest.files
    tar, _ = backups.make(settings, file, tmp_path / "one.tar", NOW)
    before = (tmp_path / "gateway.db").read_bytes()
    flipped(folder / "database.sqlite")
    for broken, words in ((folder, "is damaged"), (tmp_path / "nothing", "no backup at"), (file, "cannot be read")):
        with pytest.raises(archive.ArchiveError, match=words):
            backups.restore(settings, broken, "hold", NOW)
    newer = json.loads((folder / "manifest.json").read_text()) | {"schema": "9999"}
    (folder / "manifest.json").write_text(json.dumps(newer))
    with pytest.raises(archive.ArchiveError, match=r"schema 9999, this release knows .*: install the newer release"):
        backups.restore(settings, folder, "hold", NOW)
    with pytest.raises(archive.ArchiveError, match="is there already"):
        backups.make(settings, file, tar, NOW)
    assert (tmp_path / "gateway.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_restore_moves_the_database_aside_with_its_log(place: tuple[config.Settings, Path], tmp_path: Path) -> None:
    settings, file = place
    tar, _ = backups.make(settings, file, tmp_path / "one.tar", NOW)
    database = tmp_path / "gateway.db"
    with closing(sqlite3.connect(database)) as connection:  # a service that was killed leaves its log behind
        connection.execute("pragma journal_mode=wal")
        connection.execute("update outbox set last_error = 'later'")
        connection.commit()
        shutil.copy(f"{database}-wal", tmp_path / "log")
        shutil.copy(f"{database}-shm", tmp_path / "index")
    shutil.copy(tmp_path / "log", f"{database}-wal")
    back = backups.restore(settings, tar, "hold", NOW + timedelta(hours=1))
    assert back.aside is not None
    with closing(sqlite3.connect(back.aside)) as connection:
        assert connection.execute("select last_error from outbox").fetchone() == ("later",)
    assert not Path(f"{database}-wal").exists() and (back.waiting.replies, back.waiting.mails) == (1, 0)
    store = Store(settings.database_url)
    store.open(NOW)
    try:
        assert rows(store) == [("held", outgoing.HELD)]
        assert store.restored == (NOW + timedelta(hours=1), "hold")
    finally:
        store.close()


def test_a_backup_of_an_older_release_is_migrated_as_it_is_restored(tmp_path: Path) -> None:
    from gateway.database import migrate
    from gateway.database.store import _migrations

    old = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    migrate.upgrade(old._writer_engine, _migrations(), "0008")
    with old._writer_engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("insert into keys values ('a', x'00', '2026-11-22 18:00:00.000000')")
    old._dispose()
    file = tmp_path / "config.toml"
    file.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n')
    settings = config.load(file)
    tar, manifest = backups.make(settings, file, tmp_path / "one.tar", NOW)
    assert manifest.schema == "0008"
    backups.restore(settings, tar, "send", NOW)
    assert backups.live_problems(settings) == ([], backups.live_problems(settings)[1])
    assert backups.live_problems(settings)[1]["restores"] == 1


def test_a_service_that_runs_is_not_restored_over(tmp_path: Path, place: tuple[config.Settings, Path]) -> None:
    settings, file = place
    tar, _ = backups.make(settings, file, tmp_path / "one.tar", NOW)
    with backups._alone(tmp_path), pytest.raises(archive.ArchiveError, match="the service runs: stop it"):
        backups.restore(settings, tar, "hold", NOW)
