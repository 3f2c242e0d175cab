"""A steady load for hours, with memory and descriptors over time.

Mails come at a steady pace; every minute a line says what the service holds: memory of all its processes (PSS), open descriptors,
threads, processes, what waits. At the end the promises of ``ledger.py`` must hold, and the slopes of memory and descriptors over the
second half are printed (the first half fills caches).
"""

from __future__ import annotations

import contextlib
import os
import smtplib
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.harness import TO, LoopbackPeers, Running
from tests.stories import ledger
from tests.stories.ledger import Ledger

LOOK_S = 60.0


@dataclass(frozen=True)
class Look:
    """What the service holds ``at`` seconds after the begin."""

    at: float
    mails: int
    memory: int
    descriptors: int
    threads: int
    processes: int

    def __str__(self) -> str:
        return (f"{self.at / 60:7.1f} min {self.mails:7} mails {self.memory / 1e6:7.1f} MB {self.descriptors:5} descriptors "
                f"{self.threads:4} threads {self.processes:3} processes")  # fmt: skip


def look(daemon: Running, began: float, mails: int) -> Look:
    """Counts now."""
    pids = daemon.pids()
    return Look(
        time.monotonic() - began, mails, daemon.rss(), sum(_entries(pid, "fd") for pid in pids),
        sum(_entries(pid, "task") for pid in pids), len(pids),
    )  # fmt: skip


def _entries(pid: int, what: str) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/{what}"))
    return 0


def slope(looks: list[Look], what: str) -> float:
    """By how much it grows an hour: least squares over the second half."""
    later = looks[len(looks) // 2 :]
    xs, ys = [one.at / 3600 for one in later], [float(getattr(one, what)) for one in later]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


class Load(threading.Thread):
    """``rate`` mails a second over one connection each."""

    def __init__(self, port: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.ledger, self.stop, self._port, self._rate = Ledger(), threading.Event(), port, rate

    def run(self) -> None:
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            subject, raw = self.ledger.next()
            with contextlib.suppress(OSError, smtplib.SMTPException):
                with smtplib.SMTP("127.0.0.1", self._port, local_hostname="client.example", timeout=60) as client:
                    client.sendmail("ops@shop.example", [TO], raw)
                self.ledger.heard(subject)


def story(hours: float, rate: float, database: str | None = None, every: float = LOOK_S) -> dict[str, Any]:
    """Runs it, printing a line at each look; the findings."""
    peers, looks = LoopbackPeers(), list[Look]()
    options: dict[str, Any] = {"database": {"url": database}} if database else {}
    with tempfile.TemporaryDirectory(prefix="gateway-soak-") as name:
        smtp = {"listen": ["smtp://127.0.0.1:0"], "min_free": "0B"}
        daemon = Running(Path(name), peers, smtp=smtp, replies=ledger.MANY, **options)
        load = Load(daemon.smtp_port, rate)
        try:
            load.start()
            began = time.monotonic()
            while time.monotonic() - began < hours * 3600:
                threading.Event().wait(every)
                looks.append(look(daemon, began, len(load.ledger.acknowledged)))
                print(looks[-1], flush=True)
            load.stop.set()
            load.join(60)
            daemon.settled(300)
            findings = ledger.found(load.ledger, daemon, peers.taken)
        finally:
            findings_exit = daemon.stop()
            peers.close()
    growth = {f"{what}_an_hour": round(slope(looks, what), 1) for what in ("memory", "descriptors", "threads")}
    return findings | growth | {"exit": findings_exit}
