"""What a million tickets cost: ``python -m bench.million [--tickets 1000000] [--postgresql] [--purge 100000]``.

Each operation in CPU milliseconds on a database with two thousand open tickets and on one with a past as well, so that it has so many
in all; turn by turn in the same run, of this process and, with PostgreSQL, of the server's. Then a purge beside mail (``bench/purging.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text

from bench import purging
from bench.copies import OPEN, SPAN_S, multiply
from bench.postgresql import PostgreSQL
from bench.throughput import signed_mails
from gateway import config, service
from gateway.database import inbox, outbox_turns
from gateway.database import outbox as outbox_rows
from gateway.database.store import Store, utc_now
from gateway.demo import ZONE
from gateway.ingest.identity import digest_of
from gateway.judge import Hand, Judge
from gateway.model import ClaimedItem, Envelope, Person, RawMessage, Role, TicketState
from gateway.tickets import desk, incidents, listing, outgoing, people, retention, rounds, views, worklist
from gateway.tickets.desk import Outcome
from gateway.tickets.occasion import Occasion
from gateway.tickets.outgoing import Acting
from tests.peers.harness import TO, LoopbackPeers, config_text, write_accounts
from tests.peers.reading import InProcess

TICKETS = 10
ROUNDS = 7
AGENT = Person("joe", Role.ADMIN)
SMALL, LARGE = "small", "large"


class Desk:
    """A desk over a database, and mails that arrive at it."""

    def __init__(self, folder: Path, url: str, peers: LoopbackPeers, mails: Any) -> None:
        folder.mkdir()
        write_accounts(folder)
        path = folder / "config.toml"
        budgets = {"budget_address": "1000000/1h", "budget_domain": "1000000/1h", "budget_total": "1000000/1h",
                   "budget_thread": "1000000/1h"}  # fmt: skip
        path.write_text(config_text(folder, peers, replies=budgets, **({"database": {"url": url}} if url else {})))
        (folder / "state").mkdir()
        self.settings = config.load(str(path))
        self.store = Store(self.settings.database_url)
        self.store.open(utc_now())
        directory = service.directory(self.settings)
        directory.reload(utc_now())
        self.desk = service.build(self.settings, self.store, directory)
        self.judge = Judge(InProcess(), lambda: self.desk.around, utc_now, self.store)  # type: ignore[arg-type]
        self._mails = mails

    def raw(self, answers: str = "") -> bytes:
        """The next mail; ``answers``: the Message-ID of ours that it answers, which breaks its signature in no way."""
        mail: bytes = next(self._mails)
        return f"In-Reply-To: <{answers}>\r\nReferences: <{answers}>\r\n".encode() + mail if answers else mail

    def accepted(self, raw: bytes) -> inbox.Claimed:
        """Stores a mail and claims it, as an open connection does."""
        now = utc_now()
        message = RawMessage(raw, Envelope("anna@example.de", (TO,), "192.0.2.1", "client.example", "smtp", now))
        lease = now + timedelta(seconds=inbox.LEASE_S)
        found = self.store.write_now(lambda connection: inbox.accept(connection, message, digest_of(raw), lease))
        return inbox.claim_of(found, message, lease, inbox.Turn("smtp", 0))

    async def judged(self, raw: bytes) -> tuple[inbox.Claimed, Any]:
        """An accepted mail and all that is known of it."""
        claimed = self.accepted(raw)
        return claimed, (await self.judge.incoming(Hand(claimed)))[0]

    def committed(self, claimed: inbox.Claimed, incoming: Any) -> Outcome:
        """Its outcome."""
        office = self.desk.office
        job = lambda c: desk.commit(Occasion(c, claimed, incoming, office, utc_now(), direct=True))  # noqa: E731
        return self.store.write_now(job)

    def sent(self, sending: ClaimedItem) -> None:
        """The reply is at the relay."""
        self.store.write_now(lambda connection: outbox_rows.mark_sent(connection, sending, utc_now()))

    async def fill(self) -> None:
        """Ten tickets: half of them answered, half of them continued."""
        for number in range(TICKETS):
            outcome = self.committed(*await self.judged(self.raw()))
            assert outcome.sending is not None and outcome.reference is not None
            self.sent(outcome.sending)
            if number % 2:
                self.committed(*await self.judged(self.raw(outcome.sending.item.rfc_id)))
            else:
                acting = Acting(AGENT, self.desk.office, utc_now())
                answer = partial(people.answer, reference=outcome.reference, text="We look into it.", acting=acting)
                self.store.write_now(answer)


@dataclass
class Spent:
    """CPU milliseconds of an operation by database, a number a round."""

    small: list[float]
    large: list[float]

    @property
    def line(self) -> str:
        small, large = statistics.median(self.small), statistics.median(self.large)
        ratios = statistics.median(b / a for a, b in zip(self.small, self.large, strict=True))
        return f"{small:8.2f} {large:8.2f} {ratios:6.2f}"


def operations(one: Desk) -> dict[str, tuple[int, Callable[[], None]]]:
    """Name, how often it is done in a round, and the operation. The parts of a mail are in ``mail``."""
    store, now = one.store, utc_now()
    ask = lambda job: lambda: store.read_now(job) and None  # noqa: E731
    first = store.read_now(
        lambda c: c.execute(text("select min(reference) from tickets where state = 'open'")).scalar()
    )
    rule = one.settings.incidents
    pages = worklist.Wanted()
    return {
        "/metrics: every gauge": (10, ask(lambda c: (views.counts(c), inbox.oldest_pending(c)))),
        "status": (10, ask(lambda c: views.status(c, utc_now(), 0.0, True))),
        "tickets list": (5, ask(lambda c: views.ticket_list(c, listing.EVERYTHING, 10))),
        "tickets list --state open": (5, ask(lambda c: views.ticket_list(c, listing.Filter(state=TicketState.OPEN), 10))),
        "tickets list --state closed": (5, ask(lambda c: views.ticket_list(c, listing.Filter(state=TicketState.CLOSED), 10))),
        "tickets show": (10, ask(lambda c: views.ticket_show(c, people.ticket(c, first), False, utc_now()))),
        "messages list": (10, ask(lambda c: views.message_list(c, None, None, 10))),
        "messages list --state failed": (10, ask(lambda c: views.message_list(c, "failed", None, 10))),
        "outbox list": (10, ask(lambda c: views.outbox_list(c, None, 10))),
        "outbox list --state dead": (10, ask(lambda c: views.outbox_list(c, "dead", 10))),
        "console: the queue": (5, ask(lambda c: worklist.rows(c, pages, utc_now()))),
        "console: counts": (5, ask(lambda c: (worklist.counts(c, utc_now()), worklist.trouble(c), worklist.stamp(c)))),
        "console: choices": (5, ask(lambda c: worklist.choices(c, utc_now()))),
        "clock: what is due": (20, ask(rounds.next_due)),
        "claims: what is due": (20, ask(lambda c: inbox.anything_due(c, utc_now()))),
        "outbox: what is due": (20, ask(lambda c: outbox_turns.due(c, utc_now(), 16))),
        "incidents: a look": (10, ask(lambda c: incidents.due(c, rule, utc_now()))),
        "digest: a look": (20, ask(outgoing.anything_to_tell)),
        "purge: a look for tickets": (5, ask(lambda c: retention._tickets(c, now - timedelta(days=3650), None))),
    }  # fmt: skip


PARTS = ("accept", "commit: a new ticket", "commit: an answer, found by its thread", "outbox: sent")


async def mails(one: Desk, cpu: Callable[[], float], count: int) -> dict[str, float]:
    """CPU ms of the parts of a mail, each ``count`` times."""
    raws = [one.raw() for _ in range(count)]
    before = cpu()
    claims = [one.accepted(raw) for raw in raws]
    spent = {"accept": cpu() - before}
    judged = [(claim, (await one.judge.incoming(Hand(claim)))[0]) for claim in claims]
    before = cpu()
    outcomes = [one.committed(*pair) for pair in judged]
    spent["commit: a new ticket"] = cpu() - before
    before = cpu()
    for outcome in outcomes:
        if outcome.sending is not None:
            one.sent(outcome.sending)
    spent["outbox: sent"] = cpu() - before
    answers = [await one.judged(one.raw(outcome.sending.item.rfc_id)) for outcome in outcomes if outcome.sending]
    before = cpu()
    joined = [one.committed(*pair) for pair in answers]
    spent["commit: an answer, found by its thread"] = cpu() - before
    assert len(joined) == count and all(str(o.decision.disposition) == "appended" for o in joined), joined[0].decision
    return {name: value * 1000 / count for name, value in spent.items()}


@contextmanager
def plans(store: Store) -> Any:
    """The statements that are read meanwhile, each with its plan."""
    found: dict[str, list[str]] = {}

    def seen(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement in found or not statement.startswith("SELECT"):
            return
        found[statement] = []
        cursor = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
        kind = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
        cursor.execute(f"{kind} {statement}", parameters)
        found[statement] = [str(row[-1]) for row in cursor.fetchall()]

    engine = store._reader_engine
    event.listen(engine, "before_cursor_execute", seen)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", seen)


async def measured(desks: dict[str, Desk], server: PostgreSQL | None, rounds: int) -> None:
    """Prints each operation: on the small database, on the large one, the ratio."""
    cpu = lambda: time.process_time() + (server.cpu() if server else 0.0)  # noqa: E731
    found: dict[str, Spent] = {}
    both = {name: operations(one) for name, one in desks.items()}
    for turn in range(rounds + 1):  # the first one warms up
        for which, one in desks.items():
            times = {}
            for name, (count, run) in both[which].items():
                repeat, before = (count * (4 if server else 1)), cpu()
                for _ in range(repeat):
                    run()
                times[name] = (cpu() - before) * 1000 / repeat
            times |= await mails(one, cpu, 20)
            for name, value in times.items():
                if turn:
                    getattr(found.setdefault(name, Spent([], [])), which).append(value)
    print(f"{'CPU ms':44} {'few':>8} {'many':>8}  ratio")
    for name, spent in found.items():
        print(f"{name:44} {spent.line}")


def planned(one: Desk) -> None:
    """Prints the plan of each statement that the operations read with."""
    for name, (_, run) in operations(one).items():
        with plans(one.store) as found:
            run()
        for statement, plan in found.items():
            print(f"{name}: {' '.join(statement.split())[:150]}")
            print(*(f"    {line}" for line in plan), sep="\n")


async def main_of(given: argparse.Namespace) -> None:
    """Builds both databases and measures."""
    signed, public = signed_mails(1)
    del signed
    zone = {"bench._domainkey.example.de": {"TXT": [f"v=DKIM1; k=rsa; p={public}"]}}
    spf = "v=spf1 ip4:192.0.2.1 ip4:127.0.0.1 -all"
    times = purging.Times()
    peers = LoopbackPeers(
        ZONE | zone | {"example.de": {**ZONE.get("example.de", {}), "TXT": [spf]}}, lambda taken: times.heard(taken)
    )
    server = PostgreSQL() if given.postgresql else None
    generated = (_mail(number) for number in itertools.count(1))
    with tempfile.TemporaryDirectory(prefix="gateway-million-", dir=given.folder) as name:
        folder = Path(name)
        desks = {
            which: Desk(folder / which, server.url(which) if server else "", peers, generated)
            for which in (SMALL, LARGE)
        }
        try:
            for one in desks.values():
                await one.fill()
            began = time.monotonic()
            copies = given.tickets // TICKETS
            told = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
            multiply(desks[SMALL].store, OPEN // TICKETS, SPAN_S / copies, told)
            multiply(desks[LARGE].store, copies, SPAN_S / copies, told)
            if server:
                for one in desks.values():
                    one.store.write_now(lambda c: c.exec_driver_sql("analyze") and None)
            kind = "PostgreSQL" if server else "SQLite"
            print(
                f"{kind}: {given.tickets} tickets in {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            if given.plans:
                planned(desks[LARGE])
            if given.rounds:
                await measured(desks, server, given.rounds)
            if given.purge:
                purging.first(given.priority)
                purging.beside(desks[LARGE].store, folder / LARGE, peers, times, _mail, given.purge, given.seconds)
        finally:
            for one in desks.values():
                await one.desk.relay.close()
                one.store.close()
            peers.close()
            if server:
                server.close()


def _mail(number: int) -> bytes:
    stamp = time.time_ns()
    return (
        f"From: Anna Schmidt <anna@example.de>\r\nTo: support@introserv.com\r\nSubject: Slow server {number:013} #123456\r\n"
        f"Message-ID: <million.{number}.{stamp}@example.de>\r\nDate: Sat, 28 Nov 2026 18:00:00 +0000\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Hello,\r\n\r\nmy server 203.0.113.7 (r1z7og44) has been slow since 14:30 CET, case {stamp}.\r\n\r\nAnna\r\n"
    ).encode()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--purge", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=900.0, help="A purge is stopped after so long.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="Of the operations; 0: only the purge.")
    parser.add_argument("--plans", action="store_true", help="Print the plan of every statement.")
    parser.add_argument("--folder", help="Where the databases lie.")
    parser.add_argument("--priority", type=int, default=0, help="Of the purge and its mail, as nice has it.")
    given = parser.parse_args()
    os.nice(10)
    asyncio.run(main_of(given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
