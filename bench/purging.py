"""Mail beside a purge: a real service on a large database, and a mail each 100 ms, whatever became of those before it.

Printed: how long the 250 to the final dot took, and how long after it the reply was at the relay, before the purge began and
beside it. ``python -m bench.million --purge 100000`` makes the database; the service is the one below, whose purge begins
after ``AFTER_S`` instead of after minutes.
"""

from __future__ import annotations

import os
import re
import smtplib
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gateway.database.store import Store, utc_now
from gateway.peers import Taken
from gateway.tickets import rounds
from tests.peers.harness import TO, LoopbackPeers, Running, config_text, until

EVERY_S = 0.1
AFTER_S = 60.0  #: of mail without a purge
SENDERS = 64
LATE_S = 0.25
NUMBERED = re.compile(rb"^Subject: .*?Slow server (\d{13})", re.MULTILINE)
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Times:
    """Of each mail, by its number: when its final dot was sent, acknowledged, and its reply at the relay."""

    sent: dict[int, float] = field(default_factory=dict)
    accepted: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    def heard(self, taken: Taken) -> str:
        """The relay's answer to a reply."""
        found = NUMBERED.search(taken.raw)
        if found:
            self.answered.setdefault(int(found[1]), time.perf_counter())
        return "250 2.0.0 OK"

    def between(self, begins: float, ends: float) -> tuple[list[float], list[float]]:
        """Seconds until the 250, and from there to the reply, of the mails sent meanwhile that came to it."""
        mine = [number for number, at in self.sent.items() if begins <= at < ends]
        accepted = [self.accepted[number] - self.sent[number] for number in mine if number in self.accepted]
        both = [number for number in mine if number in self.accepted and number in self.answered]
        return accepted, [max(0.0, self.answered[number] - self.accepted[number]) for number in both]


class Load(threading.Thread):
    """A mail each ``EVERY_S``; a slow one holds up no other. ``mail`` makes the one of a number."""

    def __init__(self, port: int, times: Times, mail: Callable[[int], bytes]) -> None:
        super().__init__(daemon=True)
        self.stop, self.refused = threading.Event(), 0
        self._port, self._times, self._mail = port, times, mail

    def run(self) -> None:
        number, due = int(time.time()) * 1000, time.monotonic()
        with ThreadPoolExecutor(SENDERS) as pool:
            while not self.stop.wait(max(0.0, due - time.monotonic())):
                number, due = number + 1, due + EVERY_S
                pool.submit(self._send, number)

    def _send(self, number: int) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", self._port, local_hostname="client.example", timeout=60) as client:
                client.ehlo()
                client.mail("anna@example.de")
                client.rcpt(TO)
                client.docmd("DATA")
                self._times.sent[number] = time.perf_counter()
                client.send(self._mail(number) + b".\r\n")
                code, _ = client.getreply()
                if code == 250:
                    self._times.accepted[number] = time.perf_counter()
                else:
                    self.refused += 1
        except (OSError, smtplib.SMTPException):
            self.refused += 1


def told(name: str, some: list[float]) -> None:
    """Prints how they are spread."""
    cut = statistics.quantiles(some, n=1000)
    late = sum(one > LATE_S for one in some)
    print(
        f"  {name:32} {len(some):6} mails, p50 {cut[499] * 1000:6.1f} ms, p99 {cut[989] * 1000:6.1f}, slowest {max(some) * 1000:6.1f}, "
        f"{late} beyond {LATE_S * 1000:.0f} ms",
        flush=True,
    )


def _keep(store: Store, count: int) -> tuple[int, int]:
    """(days that are kept for ``count`` tickets to be over, how many are)."""
    oldest = store.read_now(
        lambda c: c.execute(text(f"select opened_at from tickets order by id limit 1 offset {count}")).scalar_one()
    )
    at = purge_moment(oldest) if isinstance(oldest, str) else oldest
    days = (utc_now() - at).days
    return days, _older(store, days)


def _older(store: Store, days: int) -> int:
    """Tickets that were over so many days ago."""
    moment = utc_now() - timedelta(days=days)
    asked = text("select count(*) from tickets where state <> 'open' and opened_at < :moment")
    given = {"moment": moment.strftime("%Y-%m-%d %H:%M:%S.%f") if store.is_sqlite else moment}
    return int(store.read_now(lambda c: c.execute(asked, given).scalar_one()))


def _vacuum(url: str, stop: threading.Event) -> None:
    """What autovacuum would do, which is off in the benchmark's PostgreSQL."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("set vacuum_cost_delay = '2ms'")  # as autovacuum has it
        while not stop.wait(60):
            connection.execute("vacuum")


def _rounds_done(store: Store) -> bool:
    """Whether no clock of a ticket is behind."""
    due = store.read_now(rounds.next_due)
    return due is None or due > utc_now()


def purge_moment(said: str) -> Any:
    """What SQLite keeps as text."""
    from datetime import UTC, datetime

    return datetime.fromisoformat(said).replace(tzinfo=UTC)


def first(nice: int) -> None:
    """From now on this process and what it starts go before all others (as root), or behind them: what others do on
    the machine at the same time is not what is measured."""
    for thread in Path("/proc/self/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)


def beside(
    store: Store, folder: Path, peers: LoopbackPeers, times: Times, mail: Callable[[int], bytes], count: int,
    seconds: float,
) -> None:  # fmt: skip
    """Purges ``count`` tickets of a database while mail comes, for ``seconds`` at most, and prints how long it waited.
    ``folder`` has the state directory and the accounts; ``store`` is not used once the service runs."""
    days, due = _keep(store, count)
    url = store.url
    budgets = dict.fromkeys(("budget_address", "budget_domain", "budget_total", "budget_thread"), "1000000/1h")
    sections: dict[str, Any] = {
        "smtp": {"listen": ["smtp://127.0.0.1:0"], "max_connections_per_address": 200},
        "database": {"url": url}, "replies": budgets, "retention": {"tickets": f"{days}d"},
        "incidents": {"tickets": 0},
    }  # fmt: skip
    (folder / "config.toml").write_text(config_text(folder, peers, **sections))
    program = [sys.executable, "-m", "bench.purging"]
    service = Running(folder, peers, program=program, cwd=ROOT)
    until(lambda: _rounds_done(store), 600, "the clocks of the open tickets")
    service.settled(300)
    service.stop()
    service.start()
    load = Load(service.smtp_port, times, mail)
    if not store.is_sqlite:
        threading.Thread(target=_vacuum, args=(url, load.stop), daemon=True).start()
    try:
        began = time.perf_counter()
        load.start()
        time.sleep(AFTER_S)
        purge = time.perf_counter()
        while time.perf_counter() < purge + seconds and not service.named("purged"):
            time.sleep(1.0)
        ended, finished = time.perf_counter(), bool(service.named("purged"))
        load.stop.set()
        load.join(120)
        service.settled(120)
    finally:
        service.stop()
    left = _older(store, days)
    print(
        f"purged {due - left} of {due} tickets in {ended - purge:.0f} s{'' if finished else ', then stopped'}; "
        f"{load.refused} mails refused; load {os.getloadavg()[0]:.1f}"
    )
    for name, some in (("before", times.between(began + 10, purge)), ("beside", times.between(purge, ended))):
        told(f"accepted, {name} the purge", some[0])
        told(f"from there to the reply, {name}", some[1])


def main() -> None:
    """``gateway`` with the first purge soon."""
    from gateway.cli import main as command
    from gateway.tickets import purge

    purge.FIRST_S = AFTER_S
    command()


if __name__ == "__main__":
    main()
