"""SIGKILLs under load, and the invariants afterwards. ``python -m bench.kills [--kills 100] [--seed N]``.

Mails come in over SMTP from several senders that retry until they hear 250; replies go to a relay that counts them.
The daemon is killed at chosen moments: while DATA is open, right around the final dot and its commit, or while the relay
holds a reply. Then: every acknowledged mail has exactly one ticket event, and one reply each at the relay; a second one
only with the same Message-ID, after a kill between the relay's 250 and our mark.
"""

from __future__ import annotations

import argparse
import email
import random
import signal
import socket
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from bench.harness import LoopbackPeers, Running, free_port, until
from gateway.database.store import utc_now
from gateway.demo import Sample, built
from gateway.peers import Taken

MOMENTS = ("data", "commit", "relay", "random")


class Story:
    """Senders, the moments that were reached, and what was acknowledged."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self.port, self.rng = port, rng
        self.acknowledged: list[str] = []
        self.reached: dict[str, threading.Event] = {moment: threading.Event() for moment in MOMENTS}
        self.stop = threading.Event()
        self.number = 0
        self._lock = threading.Lock()

    def _next(self) -> int:
        with self._lock:
            self.number += 1
            return self.number

    def sender(self, pause_in_data: bool) -> None:
        while not self.stop.is_set():
            number = self._next()
            text = f"Hello,\n\nthe disk of tfz1cvkr (#234567) is slow, case {number}. Please have a look.\n"
            raw = built(Sample("", "Shop Ops <ops@shop.example>", f"Disk {number}", text), number, utc_now())
            while not self.stop.is_set():
                if self._deliver(raw, pause_in_data):
                    self.acknowledged.append(f"Disk {number}")
                    break
                self.stop.wait(0.05)

    def _deliver(self, raw: bytes, pause: bool) -> bool:
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=20) as client,
                client.makefile("rwb") as talk,
            ):

                def say(line: bytes) -> bytes:
                    talk.write(line + b"\r\n")
                    talk.flush()
                    return talk.readline()

                talk.readline()
                for command in (
                    b"HELO client.example",
                    b"MAIL FROM:<ops@shop.example>",
                    b"RCPT TO:<support@introserv.com>",
                    b"DATA",
                ):
                    answer = say(command)
                    if not answer or answer[:1] in b"45":
                        return False
                if pause:
                    talk.write(raw[:200])
                    talk.flush()
                    self.reached["data"].set()
                    self.stop.wait(self.rng.uniform(0.02, 0.1))
                    talk.write(raw[200:] + b"\r\n.\r\n")
                else:
                    talk.write(raw + b"\r\n.\r\n")
                talk.flush()
                self.reached["commit"].set()
                return talk.readline().startswith(b"250")
        except OSError:
            return False


def story(kills: int, seed: int, sections: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs it; the findings."""
    rng = random.Random(seed)
    port = free_port()
    told = Story(port, rng)

    def answer(taken: Taken) -> str:
        told.reached["relay"].set()
        told.stop.wait(rng.uniform(0, 0.03))
        return "250 2.0.0 OK"

    peers = LoopbackPeers(answer=answer)
    histogram: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="gateway-kills-") as name:
        folder = Path(name)
        given: dict[str, Any] = {
            "smtp": {"listen": [f"smtp://127.0.0.1:{port}"]},
            "replies": {"budget_domain": "100000/1h", "budget_total": "100000/1h", "budget_thread": "100000/1h"},
        }
        daemon = Running(folder, peers, **(given | (sections or {})))
        senders = [threading.Thread(target=told.sender, args=(index % 2 == 0,), daemon=True) for index in range(4)]
        for thread in senders:
            thread.start()
        plan = (
            [MOMENTS[0]] * round(kills * 0.32) + [MOMENTS[1]] * round(kills * 0.32) + [MOMENTS[2]] * round(kills * 0.22)
        )
        plan += [MOMENTS[3]] * (kills - len(plan))
        rng.shuffle(plan)
        for moment in plan:
            pause = threading.Event()
            pause.wait(rng.uniform(0.05, 0.3))
            if moment != "random":
                told.reached[moment].clear()
                told.reached[moment].wait(10)
                pause.wait(rng.uniform(0, 0.012))
            daemon.stop(signal.SIGKILL)
            histogram[moment] += 1
            daemon.start()
        told.stop.set()
        for thread in senders:
            thread.join(30)
        daemon.settled(120)
        tickets = daemon.rows("tickets", "list", "--limit", "100000")
        messages = daemon.rows("messages", "list", "--limit", "100000")
        outbox = daemon.rows("outbox", "list", "--limit", "100000")
        code = daemon.stop()
    replies: dict[str, list[str]] = defaultdict(list)
    for taken in peers.taken:
        message = email.message_from_bytes(taken.raw)
        replies[str(message["Subject"]).partition(" [")[0].removeprefix("Re: ")].append(str(message["Message-ID"]))
    peers.close()
    events = Counter(row["subject"] for row in tickets)
    return {
        "seed": seed,
        "kills": dict(histogram),
        "acknowledged": len(told.acknowledged),
        "messages": len(messages),
        "states": dict(Counter(row["state"] for row in messages)),
        "lost": [subject for subject in told.acknowledged if events[subject] != 1],
        "doubled": [subject for subject, count in events.items() if count != 1],
        "unanswered": [subject for subject in events if not replies[subject]],
        "answered_twice": [subject for subject, ids in replies.items() if len(set(ids)) != 1],
        "sent_again": sum(len(ids) - 1 for ids in replies.values()),
        "outbox": dict(Counter(row["state"] for row in outbox)),
        "exit": code,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261122)
    given = parser.parse_args()
    found = story(given.kills, given.seed)
    for key, value in found.items():
        print(f"{key:15} {value}")
    wrong = found["lost"] or found["doubled"] or found["unanswered"] or found["answered_twice"] or found["exit"]
    return 1 if wrong else 0


if __name__ == "__main__":
    until(lambda: True)
    sys.exit(main())
