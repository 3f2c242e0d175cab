"""Floods against a running service while customers report outages: ``python -m bench.attack [--seconds 30] [FLOOD ...]``.

Each flood (``bench/floods/``) runs in a process of its own against a fresh service. Meanwhile two customers send a mail a
second, each from an address of his own and over connections of his own, and try again each second as a mail server would:
one whose mail came from there before, and one whom the service meets for the first time. The table says how many mails
were acknowledged (and at the first try), how many were answered at the relay, the slowest of both, and how many were lost
or opened two tickets. Exit 1 when a mail was lost, or not answered within five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import multiprocessing
import resource
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.floods import Flood, Target, load
from gateway.database.store import utc_now
from gateway.demo import ZONE, Sample, built
from gateway.peers import Taken
from tests.peers.harness import TO, LoopbackPeers, Running, until

PROMISE_S = 5.0
RETRY_S = 1.0
SCREENSHOT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1024  #: 256 KB, with every second mail
AFTERWARDS_S = 60.0
WORDS = (
    "it does not answer a ping", "the website is down", "SSH times out", "nothing is reachable",
    "the server is offline", "it went down after the maintenance", "no connection to any port",
)  # fmt: skip


@dataclass
class Mail:
    """One mail of a customer; times on the monotonic clock, in seconds."""

    subject: str
    sent: float
    acknowledged: float | None = None
    answered: float | None = None
    tries: int = 0


@dataclass
class Customer:
    """Sends an outage each second from ``source``, by SMTP, until all of them are acknowledged."""

    name: str
    author: str
    source: str
    port: int
    mails: list[Mail] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def reports(self, seconds: float) -> None:
        """A mail a second, each in a thread: one that has to wait delays no other."""
        pause = threading.Event()
        for number in range(int(seconds)):
            self.report(f"{self.name} outage {number}", WORDS[number % len(WORDS)], number)
            pause.wait(1.0)

    def report(self, subject: str, words: str, number: int) -> None:
        """One mail, in a thread."""
        text = f"Hello,\n\nour server is down: {words}. Case {number}, please help at once.\n"
        shot = SCREENSHOT if number % 2 else b""
        raw = built(Sample("", self.author, subject, text, attachment=shot), number, utc_now())
        mail = Mail(subject, time.monotonic())
        self.mails.append(mail)
        thread = threading.Thread(target=self._delivered, args=(mail, raw), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _delivered(self, mail: Mail, raw: bytes) -> None:
        address = self.author.partition("<")[2].rstrip(">")
        pause = threading.Event()
        while mail.acknowledged is None and time.monotonic() < mail.sent + AFTERWARDS_S:
            mail.tries += 1
            try:
                with smtplib.SMTP(
                    "127.0.0.1",
                    self.port,
                    local_hostname="mx.customer.example",
                    timeout=20,
                    source_address=(self.source, 0),
                ) as client:
                    client.sendmail(address, [TO], raw)
                mail.acknowledged = time.monotonic()
            except (OSError, smtplib.SMTPException):
                pause.wait(RETRY_S)

    def finished(self) -> None:
        """Waits until every mail is acknowledged or given up."""
        for thread in self._threads:
            thread.join(AFTERWARDS_S + 30)


def _carried_out(name: str, target: Target, pipe: Connection) -> None:
    """The life of the flood's process: attacks for so long, then says what it counted."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    counts: Counter[str] = Counter()

    async def attack() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(target.seconds):
                await load()[name].attack(target, counts)

    asyncio.run(attack())
    pipe.send(dict(counts))


@contextlib.contextmanager
def _flooding(flood: Flood, target: Target) -> Iterator[Connection]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_carried_out, args=(flood.name, target, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join(10)


def _known(daemon: Running, peers: LoopbackPeers, customer: Customer) -> None:
    """The customer's first mail, well before the flood; the service is started anew, as one that ran for days."""
    customer.report("warm", "it is slow", 0)
    customer.finished()
    until(lambda: len(peers.taken) == 1, 30, "the first answer")
    daemon.settled()
    daemon.stop()
    daemon.start()
    customer.port = daemon.smtp_port
    customer.mails.clear()


def attacked(flood: Flood, seconds: float) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(a row for each customer, what the flood counted)."""
    heard: dict[str, float] = {}

    def answer(taken: Taken) -> str:
        subject = str(email.message_from_bytes(taken.raw)["Subject"]).removeprefix("Re: ").partition(" [")[0]
        heard.setdefault(subject, time.monotonic())
        return "250 2.0.0 OK"

    peers = LoopbackPeers(zone=ZONE | dict(flood.zone), answer=answer)
    with tempfile.TemporaryDirectory(prefix="gateway-attack-") as name:
        folder = Path(name)
        daemon = Running(folder, peers, **dict(flood.sections(folder)))
        known = Customer("known", "Shop Ops <ops@shop.example>", "127.0.0.1", daemon.smtp_port)
        _known(daemon, peers, known)
        new = Customer("new", "Anna Schmidt <anna@example.de>", "127.250.0.1", daemon.smtp_port)
        target = Target(daemon.smtp_port, str(folder / "lmtp.sock"), seconds)
        with _flooding(flood, target) as pipe:
            threading.Event().wait(min(5.0, seconds / 3))  # what the flood needs to fill everything
            senders = [threading.Thread(target=who.reports, args=(seconds - 5,)) for who in (known, new)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            counts = pipe.recv() if pipe.poll(30) else {}
        for who in (known, new):
            who.finished()
        daemon.settled(120)
        left = daemon.metrics()
        counts["octets still in flight"] = int(left["gateway_in_flight_octets"])
        counts["connections still open"] = int(left["gateway_connections"])
        tickets = Counter(row["subject"] for row in daemon.rows("tickets", "list", "--limit", "100000"))
        daemon.stop()
    peers.close()
    rows = []
    for who in (known, new):
        for mail in who.mails:
            mail.answered = heard.get(mail.subject)
        rows.append({"flood": flood.name, "customer": who.name} | _summed(who.mails, tickets))
    return rows, counts


def _summed(mails: list[Mail], tickets: Counter[str]) -> dict[str, Any]:
    taken = [mail for mail in mails if mail.acknowledged is not None]
    answered = [mail for mail in mails if mail.answered is not None]
    waits = [mail.answered - mail.sent for mail in answered if mail.answered is not None]
    acknowledged = [mail.acknowledged - mail.sent for mail in taken if mail.acknowledged is not None]
    return {
        "sent": len(mails),
        "acknowledged": len(taken),
        "first try": sum(mail.tries == 1 for mail in taken),
        "answered": len(answered),
        f"in {PROMISE_S:g} s": sum(wait < PROMISE_S for wait in waits),
        "slowest 250": f"{max(acknowledged, default=0):.2f} s",
        "slowest answer": f"{max(waits, default=0):.2f} s",
        "lost": sum(tickets[mail.subject] < 1 for mail in taken),
        "doubled": sum(tickets[mail.subject] > 1 for mail in taken),
    }


def _line(cells: Sequence[Any]) -> str:
    return "  ".join(str(cell).rjust(14 if index > 1 else 10) for index, cell in enumerate(cells))


def main() -> int:
    floods = load()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("floods", nargs="*", metavar="FLOOD", help=f"of {', '.join(floods)}; default: all")
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    kept = True
    for number, name in enumerate(given.floods or floods):
        rows, counts = attacked(floods[name], given.seconds)
        for row in rows:
            if number == 0 and row is rows[0]:
                print(_line(list(row)), flush=True)
            print(_line(list(row.values())), flush=True)
            kept = kept and row[f"in {PROMISE_S:g} s"] == row["sent"] and not row["lost"] and not row["doubled"]
        print(
            f"  {floods[name].what}: {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}\n",
            flush=True,
        )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
