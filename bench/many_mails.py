"""Ten thousand mails in five minutes, from one sender and then from as many forged ones, against a real service with the
default budgets, while every ten seconds another verified customer writes: ``python -m bench.many_mails``.

What is counted is what reached a relay: acknowledgements to the flood, and how soon each customer had his.
"""

from __future__ import annotations

import argparse
import itertools
import smtplib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tests.peers.harness import TO, LoopbackPeers, Running, write_accounts
from tests.scene import ZONE
from tests.signing import with_signature

ONE = "somebody@stranger.example"
CUSTOMERS = 45  #: each of an account of his own
CONNECTIONS, EVERY = 8, 10.0
DOMAINS = 500  #: forged ones; they publish nothing and take mail
_numbers = itertools.count(1)


def _mail(author: str, text: str, signed: bool) -> bytes:
    number, domain = next(_numbers), author.rpartition("@")[2]
    raw = (
        f"From: {author}\r\nTo: {TO}\r\nSubject: Servers {number}\r\nDate: {formatdate()}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@{domain}>\r\n\r\n{text}\r\n"
    ).encode()
    return with_signature(raw, domain=domain) if signed else raw


def _one(number: int) -> tuple[str, bytes]:
    return ONE, _mail(
        ONE, f"Hello, what does your server with {number} GB cost, is it in Berlin or {number % 97}?", True
    )


def _forged(number: int) -> tuple[str, bytes]:
    author = f"user{number}@forged{number % DOMAINS}.example"
    return author, _mail(author, f"Hello, do you offer servers with {number} GB?", False)


def _accounts() -> dict[str, str]:
    names = range(CUSTOMERS)
    return {
        "accounts.csv": "account,name,language,status\n" + "".join(f"{n},Customer {n},de,active\n" for n in names),
        "addresses.csv": "account,address,role\n" + "".join(f"{n},customer{n}@example.de,owner\n" for n in names),
        "orders.csv": "order,account,service,status,ips\n",
    }


class Flood:
    """So many mails, evenly over a time, by several connections."""

    def __init__(self, port: int, mails: int, seconds: float, make: Callable[[int], tuple[str, bytes]]) -> None:
        self._port, self._mails, self._seconds, self._make = port, mails, seconds, make
        self.taken, self.refused = 0, 0
        self._begun = time.monotonic()

    def run(self) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._share, range(CONNECTIONS)))

    def _share(self, first: int) -> None:
        client = smtplib.SMTP("127.0.0.1", self._port, local_hostname="mx.flood.example", timeout=60)
        for number in range(first, self._mails, CONNECTIONS):
            due = self._begun + self._seconds * number / self._mails
            time.sleep(max(0.0, due - time.monotonic()))
            author, raw = self._make(number)
            try:
                client.sendmail(author, [TO], raw)
                self.taken += 1
            except (smtplib.SMTPException, OSError):
                self.refused += 1
                client = smtplib.SMTP("127.0.0.1", self._port, local_hostname="mx.flood.example", timeout=60)


def _customer(daemon: Running, wrote: list[float], over: threading.Event) -> None:
    while not over.wait(EVERY):
        author = f"customer{len(wrote)}@example.de"
        raw = _mail(author, "Guten Tag, mein Server ist seit gestern sehr langsam. Bitte sehen Sie nach.", True)
        wrote.append(time.monotonic())
        daemon.send(raw, author)


def flooded(mails: int, seconds: float, make: Callable[[int], tuple[str, bytes]]) -> dict[str, Any]:
    """One flood against a fresh service."""
    zone = ZONE | {f"forged{n}.example": {"MX": [[10, "mx.plain.example"]]} for n in range(DOMAINS)}
    got: dict[str, float] = {}

    def relay(taken: Any) -> str:
        to = taken.rcpt_tos[0]
        if to.endswith("@example.de"):
            got[to] = time.monotonic()
        return "250 2.0.0 OK"

    peers = LoopbackPeers(zone, relay)
    with tempfile.TemporaryDirectory() as name:
        write_accounts(Path(name), _accounts())
        daemon = Running(Path(name), peers)
        wrote: list[float] = []
        over = threading.Event()
        customer = threading.Thread(target=_customer, args=(daemon, wrote, over))
        customer.start()
        flood = Flood(daemon.smtp_port, mails, seconds, make)
        flood.run()
        took = time.monotonic() - flood._begun
        over.set()
        customer.join()
        daemon.settled(600)
        flooders = (ONE.partition("@")[2], "forged")
        acknowledged = sum(taken.rcpt_tos[0].partition("@")[2].startswith(flooders) for taken in peers.taken)
        daemon.stop()
    peers.close()
    delays = [
        got[f"customer{number}@example.de"] - at
        for number, at in enumerate(wrote)
        if f"customer{number}@example.de" in got
    ]
    return {
        "mails": flood.taken, "refused": flood.refused, "seconds": round(took, 1), "acknowledged": acknowledged,
        "customer_wrote": len(wrote), "customer_acknowledged": len(got),
        "customer_median_s": round(statistics.median(delays), 2) if delays else None, "customer_worst_s": round(max(delays), 2) if delays else None,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args()
    for what, make in (("one sender", _one), ("forged senders", _forged)):
        print(what, flooded(given.mails, 60 * given.minutes, make), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
