"""What a page of the console costs with 100,000 tickets: CPU of this process for each, the console called as an application, and
how the database finds what each page asks for. It fails where a page walks a whole table though an index would serve.

``python -m bench.console [both|postgresql|URL]``; without a word on SQLite in a temporary folder, ``postgresql`` starts a
server of its own, ``both`` measures one after the other.
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, Engine, event, insert, text

from bench.postgresql import PostgreSQL
from gateway import config, service
from gateway.console import app, numbers, queue
from gateway.console.lent import Service
from gateway.database import users
from gateway.database.store import Store
from gateway.database.tables import attachments, audit, entries, facts, messages, outbox, tickets, traces
from gateway.mail import tokens
from gateway.tickets import report_days, views, word_index

TICKETS, OPEN, WAITING = 100_000, 600, 2_000
BATCH, ROUNDS = 2_000, 15
CHANCE = random.Random(7)
REFERENCES = list({tokens.new() for _ in range(TICKETS * 2)})
WORDS = [
    "server", "disk", "slow", "ping", "invoice", "order", "reboot", "timeout", "kernel", "raid", "backup", "router", "сервер", "Festplatte",
    "langsam", "connexion", "dominio", "fattura", "адрес", "since", "yesterday", "please", "check", "again", "still", "error", "nginx",
]  # fmt: skip
PAGES = {
    "queue": "/",
    "queue, closed": "/?state=closed",
    "queue, page 20 of all": "/?state=all&page=20",
    "queue of an account": "/?state=all&account=40123",
    "queue, mine": "/?state=mine",
    "queue, mine that are closed": "/?state=closed&owner=olena",
    "queue, filtered": "/?department=financial&trust=verified&language=de",
    "search, a rare word": "/?state=all&words=rare77777",
    "search, a word of every mail": "/?state=all&words=server",
    "search, three words": "/?state=all&words=disk+slow+raid",
    "rows, for what is new": "/queue/rows",
    "ticket": "/tickets/{0}",
    "ticket that waits": "/tickets/{1}",
    "ticket of no account": "/tickets/{2}",
    "outbox": "/outbox?tab=sent",
    "outbox, to staff": "/outbox?tab=sent&to=staff",
    "held": "/held",
    "numbers, 30 days": "/numbers?since=30d",
    "numbers, a year": "/numbers?since=365d",
    "status": "/status",
    "incidents": "/incidents?tab=all",
    "blocked": "/blocked",
    "audit": "/audit",
}
#: tables that grow with the mail: none is walked for a page
LARGE = "tickets|messages|entries|facts|outbox|traces|attachments|arrivals|raw|audit|thread_ids|search"
_NEWEST = re.compile(r"ORDER BY (\w+)\.id DESC\s+LIMIT", re.I)
_WALKED = {
    "sqlite": re.compile(rf"SCAN (?:{LARGE})(?! USING| VIRTUAL TABLE INDEX)"),
    "postgresql": re.compile(rf"Seq Scan on (?:{LARGE})\b(?!.*cost=0\.00\.\.0\.00)"),  # one that is empty is
}


def _words(number: int) -> str:
    return " ".join(CHANCE.choices(WORDS, k=60)) + (f" rare{number}" if number % 7 == 0 else "")


def _ticket(number: int, now: datetime) -> dict[str, Any]:
    state = "open" if number > TICKETS - OPEN else "waiting" if number > TICKETS - OPEN - WAITING else "closed"
    at = now - timedelta(minutes=(TICKETS - number) * 5.2)
    answered = None if state == "open" else at + timedelta(minutes=CHANCE.expovariate(1 / 9))
    running = {"round_started_at": at, "target_at": at + timedelta(minutes=15), "limit_at": at + timedelta(minutes=30)}
    values = {
        "id": number, "reference": REFERENCES[number], "state": state, "account": str(40000 + number % 9000) if number % 50 != 2 else None, "accounts": [],
        "author": f"customer{number % 12000}@example{number % 3000}.de", "author_name": "Anna Schmidt", "question": "account",
        "trust": CHANCE.choice(("verified", "verified", "verified", "unverified", "unknown")), "sensitive": [], "marks": [],
        "department": CHANCE.choice(("technical", "technical", "financial")), "priority": "high" if number % 40 == 0 else "normal",
        "critical": number % 40 == 0, "missing": [], "language": CHANCE.choice(("en", "de", "fr", "ru", "uk")), "reply_language": "en",
        "subject": f"Server {number} slow", "opened_at": at, "promised_at": at, "round": 1, "clock_done": [], "acknowledged_at": at,
        "first_response_at": answered, "breached": False, "silence": "", "owner": CHANCE.choice(("", "", "olena")), "watchers": [], "version": 2,
    }  # fmt: skip
    return values | (running if state == "open" else dict.fromkeys(running))


def _more(number: int, row: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    at, ticket = row["opened_at"], {"ticket_id": number}
    yield messages, {
        "id": number, "digest": f"d{number}", "source": "smtp", "received_at": at, "rcpt_tos": [], "client_reason": "", "trusted": False,
        "tls": True, "size": 4000, "state": "quarantined" if number % 5000 == 0 else "done", "disposition": "opened", "reason": "", "attempts": 1, "suspect": False,
        "recheck": 0, "released": False, "author": row["author"], "mail_class": "human", "trust": row["trust"], "authenticated": True,
        "sender": "", "turn": number, "claim": 1, **ticket,
    }  # fmt: skip
    yield (
        traces,
        {
            "message_id": number,
            "at": at,
            "lines": ["dmarc=pass", "trust=verified", "terms technical 6: down 3, server 3"],
            **ticket,
        },
    )
    yield (
        audit,
        {
            "at": at,
            "who": "olena",
            "what": "answer",
            "kind": "ticket",
            "object": row["reference"],
            "detail": {"outbox": number},
        },
    )
    for index in range(1 + number % 3):
        if index == 2:
            yield (
                attachments,
                {
                    "entry_id": number * 3 + index,
                    "filename": "a.png",
                    "type": "image/png",
                    "size": 9,
                    "sha256": "0" * 64,
                },
            )
        yield entries, {"id": number * 3 + index, "direction": "out" if index == 1 else "in", "author": row["author"], "text": _words(number), "full_text": "", "at": at,
                        "status": "shown", "kind": "", "message_id": number if index == 0 else None, **ticket}  # fmt: skip
    for kind, value in (("orders", str(200000 + number)), ("ips", f"203.0.{number % 250}.{number % 199}")):
        yield facts, {"kind": kind, "value": value, "ownership": "own", "quoted": False, "words": "", **ticket}
    yield outbox, {
        "event": f"m{number}", "template": "received", "language": "en", "recipient": row["author"], "domain": "example.de", "kind": "auto",
        "rfc_id": f"{number}@x", "context": {}, "urgent": False, "state": "sent", "attempts": 1, "created_at": at, "sent_at": at,
        "last_error": "", "bounced": "", **ticket,
    }  # fmt: skip


def fill(connection: Connection, first: int, now: datetime) -> None:
    """Some tickets with everything that hangs on them."""
    rows: dict[Any, list[dict[str, Any]]] = {}
    for number in range(first, min(first + BATCH, TICKETS + 1)):
        row = _ticket(number, now)
        rows.setdefault(tickets, []).append(row)
        for table, values in _more(number, row):
            rows.setdefault(table, []).append(values)
    for table, values_of in rows.items():
        connection.execute(insert(table), values_of)


def _service(store: Store, folder: Path) -> Service:
    settings = config.parse(f'[gateway]\nstate_dir = "{folder}"\n[http]\nlisten = "127.0.0.1:8080"\n')
    desk = service.build(settings, store, service.directory(settings))
    clock = lambda: datetime.now(UTC)  # noqa: E731

    async def status() -> Any:
        return await store.read(lambda connection: views.status(connection, clock(), 0.0, True))

    nothing: Any = None
    return Service(
        store,
        clock,
        lambda: desk,
        lambda: None,
        status,
        nothing,
        nothing,
        lambda number: None,
        lambda number: [],
        lambda what: [],
        lambda sender: (0, []),
    )


@contextmanager
def listened() -> Iterator[dict[str, Any]]:
    """Every statement that is executed meanwhile, with its parameters."""
    heard: dict[str, Any] = {}

    def hear(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if not many and statement.lstrip()[:6].lower() in ("select", "update", "delete"):
            heard.setdefault(statement, parameters)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def reads(statement: str) -> bool:
    """Whether it changes nothing: such a one is run, so that its plan has times."""
    return statement.lstrip()[:6].lower() == "select" and "for update" not in statement.lower()


def planned(store: Store, heard: dict[str, Any]) -> list[str]:
    """The plan of each statement, a line a step; a walk of a whole table is marked."""
    walked, lines = _WALKED["sqlite" if store.is_sqlite else "postgresql"], []

    def explained(connection: Connection) -> None:
        for statement, parameters in heard.items():
            lines.append("  " + " ".join(statement.split())[:150])
            how = (
                "explain query plan "
                if store.is_sqlite
                else "explain (analyze, timing off) "
                if reads(statement)
                else "explain "
            )
            steps = [str(row[-1]).rstrip() for row in connection.exec_driver_sql(how + statement, parameters)]
            # SQLite says "SCAN" too where it walks by the primary key, in the order that is asked for, until the page is full
            in_order = bool(_NEWEST.search(statement)) and not any("TEMP B-TREE" in step for step in steps)
            for step in steps:
                mark = "  !! " if walked.search(step) and not (store.is_sqlite and in_order) else "     "
                lines.append(mark + step[:150])

    store.read_now(explained)
    return lines


async def _cost(client: httpx.AsyncClient, path: str, server: Callable[[], float]) -> tuple[float, ...]:
    """Of a page: (median CPU of this process in ms, CPU of the database server in ms, median time in ms, bytes)."""
    spent, waited, began_there, size = [], [], server(), 0
    for _ in range(ROUNDS):
        cpu, began = time.process_time(), time.perf_counter()
        answer = await client.get(path)
        spent.append((time.process_time() - cpu) * 1000)
        waited.append((time.perf_counter() - began) * 1000)
        size = len(answer.content)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-500:])
    there = (server() - began_there) / ROUNDS * 1000
    return statistics.median(spent), there, statistics.median(waited), size


async def measured(store: Store, folder: Path, server: Callable[[], float]) -> list[str]:
    """Prints the median CPU of each page and the plans of its statements; the pages that walk a whole table."""
    lent, now = _service(store, folder), datetime.now(UTC)

    def entered(connection: Connection) -> str:
        users.add(connection, "olena", "admin", now)
        return users.begin_session(connection, 1, "127.0.0.1", "", now)

    token = store.write_now(entered)
    transport = httpx.ASGITransport(app=app.build(lent))
    shown = [REFERENCES[number] for number in (50_000, TICKETS - 99, TICKETS - 98)]
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8080", cookies={"gateway": token}
    ) as client:
        plans = {}
        for name, path in PAGES.items():
            with listened() as heard:
                await client.get(path.format(*shown))
            plans[name] = planned(store, heard)
            here, there, waited, size = await _cost(client, path.format(*shown), server)
            print(f"{name:30} {here:7.1f} ms CPU {there:7.1f} ms of the server {waited:7.1f} ms {size / 1024:6.0f} KB")
    for name, lines in plans.items():
        print(f"\n{name}", *lines, sep="\n")
    return [name for name, lines in plans.items() if any(line.startswith("  !!") for line in lines)]


def _measure(store: Store, folder: Path, server: Callable[[], float]) -> list[str]:
    """Fills a database and measures; the pages that walk a whole table."""
    now = datetime.now(UTC)
    for first in range(1, TICKETS + 1, BATCH):
        store.write_now(lambda connection, start=first: fill(connection, start, now))  # type: ignore[misc]
    began, done = time.process_time(), 0
    while count := store.write_now(word_index.catch_up):
        done += count
    print(f"indexed {done} entries: {(time.process_time() - began) / done * 1000:.2f} ms CPU each")
    began = time.process_time()
    watch, days = report_days.Watch("Europe/Berlin", now, 1800.0), 0
    while store.write_now(lambda connection: report_days.settle(connection, now - timedelta(days=366), watch)):
        days += report_days.STEP
    print(f"counted {days} days: {(time.process_time() - began) / days * 1000:.2f} ms CPU each")
    if not store.is_sqlite:  # what autovacuum does in its time
        store.write_now(lambda connection: connection.execute(text("analyze")) and None)
    numbers.FRESH_S = queue.FRESH_S = -1.0  # each report and each list is made anew
    return asyncio.run(measured(store, folder, server))


def _on(url: str, server: Callable[[], float] = lambda: 0.0) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        store = Store(url or f"sqlite:///{name}/gateway.db")
        store.open(datetime.now(UTC))
        print("\nSQLite" if store.is_sqlite else "\nPostgreSQL")
        wrong = _measure(store, Path(name), server)
        store.close()
    return wrong


def _on_own_server() -> list[str]:
    server = PostgreSQL()
    try:
        return _on(server.url("console"), server.cpu)
    finally:
        server.close()


def main() -> int:
    """Measures on the databases that are asked for."""
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    wrong = [] if what == "postgresql" else _on("" if what == "both" else what)
    wrong += _on_own_server() if what in ("both", "postgresql") else []
    if wrong:
        print("\nwhole tables are walked for:", ", ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
