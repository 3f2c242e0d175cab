"""A Dovecot box with thousands of mails of the corpora, emptied by a gateway that is killed again and again.

``python -m bench.mailbox [--mails 5000] [--kills 50] [--seed N] CORPORA``; needs root and dovecot-imapd. Half-way the
UIDVALIDITY changes; all the time a second mail program reads and deletes. Printed: where each mail ended, and what was
lost or taken twice. Before that, on the idle box: how long a new mail takes to its ticket and to its reply.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imapclient.exceptions import IMAPClientError

from gateway.demo import Sample, built
from tests.peers.dovecot import Dovecot
from tests.peers.harness import LoopbackPeers, Running, until

TAG = re.compile(rb"(?m)^X-Bench: (\d+)\r?$")


def tagged(corpora: Path, count: int) -> list[bytes]:
    """Mails of the corpora over and over, each with a number in a header and, so that it is another mail, at its end."""
    names = (corpora / "mails.txt").read_text().split("\n")
    raws = [(corpora / name).read_bytes() for name in names if name.strip()]
    # without a body, a number at the end would not make it another mail
    raws = [raw for raw in raws if len(raw) < 512 * 1024 and re.search(rb"\n\r?\n.", raw)]
    made = []
    for number in range(count):
        raw = raws[number % len(raws)]
        raw = raw[raw.index(b"\n") + 1 :] if raw.startswith(b"From ") else raw
        raw = raw.replace(b"\r\n", b"\n")
        made.append(b"X-Bench: %d\n" % number + raw + b"\nbench %d\n" % number)
    return made


class Other(threading.Thread):
    """Somebody else's mail program: reads, flags, and deletes a few mails that still lie in the INBOX."""

    def __init__(self, dovecot: Dovecot, seed: int, most: int) -> None:
        super().__init__(daemon=True)
        self._dovecot, self._random, self._most = dovecot, random.Random(seed), most
        self.deleted: set[int] = set()
        self.maybe: set[int] = set()  # the connection broke while one was being deleted
        self.read = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            with contextlib.suppress(IMAPClientError, OSError), self._dovecot.client() as client:
                while not self.ended.wait(0.2):
                    client.select_folder("INBOX")
                    uids = client.search(["ALL"])
                    for uid in self._random.sample(uids, min(3, len(uids))):
                        found = client.fetch([uid], ["BODY[HEADER]"])  # sets \Seen
                        self.read += 1
                        header = found.get(uid, {}).get(b"BODY[HEADER]") or b""  # NIL where the gateway was faster
                        tag = TAG.search(header)
                        if tag and len(self.deleted) < self._most and self._random.random() < 0.3:
                            self.maybe.add(int(tag[1]))
                            client.delete_messages([uid])
                            client.uid_expunge([uid])
                            self.deleted.add(int(tag[1]))


def latency(seed: int) -> tuple[float, float]:
    """Seconds from APPEND to the ticket and to the reply at the relay, with IDLE and a poll that is far away."""
    dovecot, peers = Dovecot(), LoopbackPeers()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        daemon = Running(Path(name), peers, imap=[dovecot.account(poll_interval="8m", silence="10m")])
        until(lambda: daemon.rows("status")[0]["sources"][0]["read_at"])
        sample = Sample(
            "", "Shop Ops <ops@shop.example>", "Disk", "Hello,\n\nthe disk of tfz1cvkr is slow, please look.\n"
        )
        raw = b"Return-Path: <ops@shop.example>\r\n" + built(sample, seed, datetime.now(UTC))
        began = time.monotonic()
        dovecot.append(raw)
        until(lambda: daemon.named("decided"))
        ticket = time.monotonic() - began
        until(lambda: peers.taken)
        reply = time.monotonic() - began
        daemon.stop()
    peers.close()
    dovecot.close()
    return ticket, reply


def measure(corpora: Path, count: int, kills: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    mails = tagged(corpora, count)
    dovecot, peers = Dovecot(), LoopbackPeers(zone={})
    inbox = dovecot.maildir()
    for part in (inbox, inbox / "new", inbox / "cur", inbox / "tmp"):
        part.mkdir(exist_ok=True)
    for number, raw in enumerate(mails):
        (inbox / "new" / f"{1_700_000_000 + number}.M{number}P1.bench").write_bytes(raw)
    for part in [inbox, *inbox.rglob("*")]:
        os.chown(part, *_mail_user())
    account = dovecot.account(
        done_folder="Done", failed_folder="Failed", start_from="all", poll_interval="2s", silence="60s"
    )
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        daemon = Running(folder, peers, imap=[account])
        other = Other(dovecot, seed, count // 100)
        other.start()
        moments: Counter[str] = Counter()
        stored = lambda: _one(folder, "select count(*) from messages")  # noqa: E731
        changed_at = 0
        for number in range(kills):
            goal = min(count - count // 50, stored() + chance.randint(1, 40))
            with contextlib.suppress(TimeoutError):
                until(lambda goal=goal: stored() >= goal, 60)
            threading.Event().wait(chance.random() * 0.03)
            left = dovecot_count(dovecot, "new") + dovecot_count(dovecot, "cur")
            moments["while the box is being emptied" if left else "after it was empty"] += 1
            daemon.stop(signal.SIGKILL)
            if number == kills // 2:
                # the server still finishes what the killed client has asked for; taken away beneath it, its index would
                # make it copy and not expunge
                threading.Event().wait(2)
                dovecot.new_uidvalidity()
                changed_at = stored()
            daemon.start()
        until(lambda: dovecot.count("INBOX") == 0, 600, "an empty INBOX")
        other.ended.set()
        other.join(20)
        daemon.settled(900)
        faults = len(daemon.other) + len(daemon.named("loop_fault"))
        daemon.stop()
        taken = Counter(
            int(found[1])
            for (data,) in _all(folder, "select data from raw where seq = 0 and message_id > 0")
            if (found := TAG.search(data[:200]))
        )
        moved = tags(dovecot, "Done") + tags(dovecot, "Failed")
        entries = _all(folder, "select message_id, count(*) from entries where direction = 'in' group by 1")
        found = {
            "mails": count, "kills": dict(moments), "seed": seed, "uidvalidity_changed_at": changed_at,
            "stored": stored(), "states": dict(_all(folder, "select state, count(*) from messages group by 1")),
            "deleted_by_the_other": len(other.deleted), "read_by_the_other": other.read,
            "lost": sorted(set(range(count)) - set(taken) - other.deleted - other.maybe),
            "twice": sorted(tag for tag, times in taken.items() if times > 1),
            "entries_twice": [key for key, times in entries if times > 1],
            "arrivals": _one(folder, "select count(*) from arrivals"),
            "moved_twice": sorted(tag for tag, times in moved.items() if times > 1),
            "moved_not": sorted(set(range(count)) - set(moved) - other.deleted - other.maybe),
            "done": dovecot.count("Done"), "failed": dovecot.count("Failed"), "inbox": dovecot.count("INBOX"),
            "faults": faults,
            "answered_twice": [key for key, times in Counter(
                re.search(rb"(?im)^message-id: *(\S+)", taken.raw)[1] for taken in peers.taken  # type: ignore[index]
            ).items() if times > 2],
        }  # fmt: skip
    peers.close()
    dovecot.close()
    return found


def tags(dovecot: Dovecot, folder: str) -> Counter[int]:
    """The numbers of the mails that lie in a folder, from the disk."""
    files = [path for part in ("new", "cur") for path in (dovecot.maildir(folder) / part).glob("*")]
    return Counter(int(found[1]) for path in files if (found := TAG.search(path.read_bytes()[:200])))


def dovecot_count(dovecot: Dovecot, part: str) -> int:
    return sum(1 for _ in (dovecot.maildir() / part).iterdir())


def _mail_user() -> tuple[int, int]:
    import grp
    import pwd

    return pwd.getpwnam("mail").pw_uid, grp.getgrnam("mail").gr_gid


def _all(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(
        sqlite3.connect(f"file:{folder}/state/gateway.db?mode=ro", uri=True, timeout=20)
    ) as database:
        return database.execute(query).fetchall()


def _one(folder: Path, query: str) -> int:
    return int(_all(folder, query)[0][0])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261122)
    given = parser.parse_args()
    ticket, reply = latency(given.seed)
    print(f"a new mail in the mailbox: its ticket after {ticket:.2f} s, its reply at the relay after {reply:.2f} s")
    found = measure(given.corpora, given.mails, given.kills, given.seed)
    for key, value in found.items():
        print(f"{key:24} {value}")
    bad = (
        found["moved_twice"]
        or found["moved_not"]
        or found["lost"]
        or found["twice"]
        or found["entries_twice"]
        or found["inbox"]
        or found["faults"]
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
