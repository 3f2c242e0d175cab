"""SIGKILLs under load, and the invariants afterwards.

Mails come in over SMTP from several senders that retry until they hear 250; replies go to a relay that counts them.
The daemon is killed at chosen moments: while DATA is open, right around the final dot and its commit, or while the relay
holds a reply. Then: every acknowledged mail has exactly one ticket event, and one reply each at the relay; a second one
only with the same Message-ID, after a kill between the relay's 250 and our mark.
"""

from __future__ import annotations

import random
import signal
import socket
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.peers import Taken
from tests.peers.harness import LoopbackPeers, Running, free_port
from tests.stories import ledger
from tests.stories.ledger import Ledger

MOMENTS = ("data", "commit", "relay", "random")


class Story:
    """Senders, the moments that were reached, and what was acknowledged."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self.port, self.rng = port, rng
        self.ledger = Ledger()
        self.reached: dict[str, threading.Event] = {moment: threading.Event() for moment in MOMENTS}
        self.stop = threading.Event()

    def sender(self, pause_in_data: bool) -> None:
        while not self.stop.is_set():
            subject, raw = self.ledger.next()
            while not self.stop.is_set():
                if self._deliver(raw, pause_in_data):
                    self.ledger.heard(subject)
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
            "replies": ledger.MANY,
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
        findings = ledger.found(told.ledger, daemon, peers.taken)
        code = daemon.stop()
    peers.close()
    return {"seed": seed, "kills": dict(histogram)} | findings | {"exit": code}
