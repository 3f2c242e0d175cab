"""A Maildir: plain files only, nothing in ``cur`` is written over, and nothing is taken in that has no room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.database import originals, tables
from gateway.database.store import DiskFull, Store
from gateway.ingest import settings as sections
from gateway.ingest import sources
from gateway.ingest.halt import Halt
from gateway.ingest.maildir import Maildir, _opened
from gateway.ingest.room import DiskRoom
from tests.peers.harness import LoopbackPeers, config_text
from tests.samples import NOW, mail


class Box:
    """A Maildir and its reader."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.path, self.store, self.min_free = folder / "box", store, 0
        for name in ("new", "cur", "tmp"):
            (self.path / name).mkdir(parents=True)
        settings = sections.Maildir.model_validate({"name": "box", "path": str(self.path)})
        fits = lambda octets: DiskRoom(folder, self.min_free).check(octets)  # noqa: E731
        self.halt = Halt()
        ledger = sources.StoredLedger(store, "box", "maildir", 600.0, lambda: NOW, lambda: None, None, fits)
        self.reader = Maildir(settings, ledger, self.halt, lambda: NOW, 1 << 20)

    def put(self, name: str, raw: bytes) -> None:
        (self.path / "new" / name).write_bytes(raw)

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.path / folder).iterdir())

    def taken(self) -> list[bytes]:
        rows = self.store.read_now(lambda c: c.execute(select(tables.messages.c.id)).scalars().all())
        return [bytes(self.store.read_now(partial(originals.load, key=row))) for row in rows]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    store.open(NOW)
    made = Box(tmp_path, store)
    yield made
    made.halt.close()
    store.close()


def test_only_plain_files_are_mails(box: Box, tmp_path: Path) -> None:
    """Whoever may write the Maildir reads no file of ours through it, and no pipe or device stops it."""
    secret = tmp_path / "secret"
    secret.write_bytes(mail("The password of the relay."))
    (box.path / "new" / "1.link").symlink_to(secret)
    (box.path / "new" / "2.nowhere").symlink_to(tmp_path / "nothing")
    os.mkfifo(box.path / "new" / "3.pipe")
    (box.path / "new" / "4.folder").mkdir()
    box.put("5.mail", mail("The disk is slow."))
    assert box.reader.look() == 1
    assert [b"disk is slow" in raw for raw in box.taken()] == [True]
    assert box.names("cur") == ["5.mail:2,"]
    assert box.names("new") == ["1.link", "2.nowhere", "3.pipe", "4.folder"]


def test_what_becomes_a_link_or_a_pipe_after_the_look_is_none_either(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(mail("The password of the relay."))
    (box.path / "new" / "1.link").symlink_to(secret)
    os.mkfifo(box.path / "new" / "2.pipe")
    for name in ("1.link", "2.pipe"):
        box.reader._take(box.path / "new" / name, NOW.timestamp())
    assert (box.taken(), box.names("cur")) == ([], [])
    with pytest.raises(OSError, match="symbolic"):
        _opened(str(box.path / "new" / "1.link"), os.O_RDONLY)


def test_nothing_in_cur_is_written_over(box: Box) -> None:
    (box.path / "cur" / "1.mail:2,").write_bytes(b"another mail")
    (box.path / "cur" / "2.mail:2,S").symlink_to("/nonexistent")
    box.put("1.mail", mail("One."))
    box.put("2.mail:2,S", mail("Two."))
    assert box.reader.look() == 2
    assert (box.path / "cur" / "1.mail:2,").read_bytes() == b"another mail"
    assert box.names("cur") == ["1.mail.1:2,", "1.mail:2,", "2.mail.1:2,S", "2.mail:2,S"]
    assert box.names("new") == []


def test_a_mail_waits_in_the_maildir_while_the_disk_has_no_room(box: Box) -> None:
    box.put("1.mail", mail())
    box.min_free = 1 << 60
    with pytest.raises(DiskFull, match=r"smtp\.min_free"):
        box.reader.look()
    assert (box.taken(), box.names("new")) == ([], ["1.mail"])
    box.min_free = 0
    assert (box.reader.look(), box.names("cur")) == (1, ["1.mail:2,"])


def test_accept_direct_says_try_again_while_the_disk_has_no_room(tmp_path: Path) -> None:
    peers = LoopbackPeers({})
    try:
        text = config_text(tmp_path, peers, smtp={"min_free": "900000GB"})
    finally:
        peers.close()
    (tmp_path / "gateway.toml").write_text(text)
    command = [sys.executable, "-m", "gateway", "--config", str(tmp_path / "gateway.toml"), "accept", "-", "--direct"]
    done = subprocess.run(command, input=mail(), capture_output=True, check=False)
    assert (done.returncode, b"less than smtp.min_free" in done.stderr) == (75, True)
    assert not list(tmp_path.rglob("gateway.db"))
