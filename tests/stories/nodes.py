"""Three nodes on one PostgreSQL behind one Postfix, killed at random.

Postfix takes mail at a steady pace and hands each to one of the nodes by chance (``randmap``); the nodes are ended with SIGKILL
and come back after a while, so that others have to take over what they had in work. Found: what was acknowledged, lost, doubled,
answered twice and unanswered, and how long after a kill its work was claimed by another node, against the lease. And, without
Postfix: how long news takes from node to node, and how many mails one, two and three working processes decide and answer a second.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import smtplib
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from gateway.database import inbox
from tests.peers.harness import TO, LoopbackPeers, Running, free_port, until
from tests.peers.postfix import Postfix
from tests.peers.postgres import Cluster
from tests.peers.tap import Tap
from tests.stories import ledger
from tests.stories.ledger import Ledger

CLIENT = "198.51.100.20"  #: where ops@shop.example may send from
LOOK_S = 0.1
RELAY_S = 0.15  #: by which every word to the relay is late, so that a node has replies in its hands when it dies


@dataclass
class Farm:
    """Nodes on one database; each has a folder and a port of its own."""

    folder: Path
    url: str
    peers: LoopbackPeers
    options: dict[str, Any] = field(default_factory=dict)
    nodes: list[Running] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    def add(self, *roles: str) -> Running:
        """One more node, on its way up."""
        name, port = f"node{len(self.nodes)}", free_port()
        folder = self.folder / name
        folder.mkdir()
        node = {"name": name} | ({"roles": list(roles)} if roles else {})
        smtp = {"listen": ["smtp://127.0.0.1:0", f"lmtp://127.0.0.1:{port}"], "trusted_relays": ["127.0.0.1"],
                "max_connections_per_address": 100}  # fmt: skip
        replies = ledger.MANY
        self.nodes.append(
            Running(
                folder,
                self.peers,
                database={"url": self.url},
                node=node,
                smtp=smtp,
                replies=replies,
                ready=False,
                **self.options,
            )
        )
        self.ports.append(port)
        return self.nodes[-1]

    def ready(self) -> None:
        """Waits until all are up."""
        for node in self.nodes:
            node.ready()

    def sql(self, query: str) -> list[Any]:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def close(self) -> None:
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                os.kill(node.pid, signal.SIGCONT)
                node.stop(signal.SIGKILL)


@contextlib.contextmanager
def farm(**options: Any) -> Iterator[Farm]:
    """An empty farm with a PostgreSQL and peers of its own."""
    cluster, peers = Cluster(), LoopbackPeers()
    with tempfile.TemporaryDirectory(prefix="gateway-nodes-") as name:
        made = Farm(Path(name), cluster.fresh(), peers, options)
        try:
            yield made
        finally:
            made.close()
            peers.close()
            cluster.close()


# -- kills


class Load(threading.Thread):
    """Hands Postfix a burst of mails now and then: ``rate`` a second."""

    def __init__(self, port: int, rate: float, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.ledger, self.stop = Ledger(), threading.Event()
        self._port, self._rate, self._rng = port, rate, rng

    def run(self) -> None:
        while not self.stop.is_set():
            count = self._rng.randint(1, 12)
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._burst(count)
            self.stop.wait(count / self._rate)

    def _burst(self, count: int) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, local_hostname="mx.shop.example", timeout=60) as client:
            client.ehlo()
            client.docmd(f"XCLIENT ADDR={CLIENT} NAME=mx.shop.example HELO=mx.shop.example")
            client.ehlo()
            for _ in range(count):
                subject, raw = self.ledger.next()
                client.sendmail("ops@shop.example", [TO], raw)
                self.ledger.heard(subject)


IN_WORK = (
    "select 'mail', id, claim from messages where state = 'processing' union all "
    "select 'reply', id, attempts from outbox where state = 'sending'"
)
NOW_AT = (
    "select 'mail', id, claim, state from messages where id = any(%s) union all "
    "select 'reply', id, attempts, state from outbox where id = any(%s)"
)


class Takeovers:
    """How long the work of a killed node lay: what was in work everywhere at the kill, and when it was claimed anew. What its own
    node finished was not the dead one's."""

    def __init__(self, farm: Farm) -> None:
        self._farm, self.seconds = farm, {"mail": [], "reply": []}  # type: dict[str, list[float]]
        self._open: dict[tuple[str, int], tuple[int, float]] = {}
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def killed(self) -> None:
        at = time.monotonic()
        for kind, row, claim in self._farm.sql(IN_WORK):
            self._open.setdefault((kind, row), (claim, at))

    def _watch(self) -> None:
        with psycopg.connect(self._farm.url.replace("+psycopg", ""), autocommit=True) as connection:
            while not self.stop.wait(LOOK_S):
                self._look(connection)

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        waiting = dict(self._open)
        ids = [[row for kind, row in waiting if kind == wanted] for wanted in ("mail", "reply")]
        for kind, row, claim, state in connection.execute(NOW_AT, ids).fetchall() if waiting else ():
            before, at = waiting[kind, row]
            if claim != before:
                self.seconds[kind].append(time.monotonic() - at)
            if claim != before or state not in ("processing", "sending", "pending", "queued"):
                del self._open[kind, row]


@dataclass
class Killer:
    """Kills a node now and then; most come back after their leases have ended. One at least is left that takes and works."""

    farm: Farm
    rng: random.Random
    takeovers: Takeovers
    kills: int = 0
    _back: dict[int, float] = field(default_factory=dict)  #: when a dead one is started again

    def run(self, seconds: float) -> None:
        """For so long; afterwards all are up."""
        ends, pause = time.monotonic() + seconds, threading.Event()
        while time.monotonic() < ends:
            pause.wait(self.rng.uniform(1, 6))
            for number in [number for number, at in self._back.items() if time.monotonic() >= at]:
                self._start(number)
            up = [number for number, node in enumerate(self.farm.nodes) if number not in self._back and node.up]
            if len(up) > 1:
                self._kill(self.rng.choice(up), min(self.rng.choice((1.0, 10.0, inbox.LEASE_S + 10)), seconds / 3))
        for number in list(self._back):
            self._start(number)
        for node in self.farm.nodes:
            node.ready()

    def _kill(self, number: int, away: float) -> None:
        with contextlib.suppress(TimeoutError):  # the best moment is when mails are in work
            until(lambda: self.farm.sql("select 1 from messages where state = 'processing' limit 1"), 1)
        self.farm.nodes[number].stop(signal.SIGKILL)
        self.takeovers.killed()
        self.kills += 1
        self._back[number] = time.monotonic() + away

    def _start(self, number: int) -> None:
        del self._back[number]
        self.farm.nodes[number].start(ready=False)


def story(minutes: float, seed: int, count: int = 3, rate: float = 4.0, **options: Any) -> dict[str, Any]:
    """The findings of so many minutes of kills."""
    rng = random.Random(seed)
    with farm(**options) as made:
        tap = Tap(made.peers.relay)
        tap.delay = RELAY_S
        made.options["relay"] = {"port": tap.port, "timeout": "20s"}
        for _ in range(count):
            made.add()
        made.ready()
        choices = ", ".join(f"lmtp:inet:127.0.0.1:{port}" for port in made.ports)
        extra = f"transport_maps = randmap:{{{choices}}}\nqueue_run_delay = 2s\nmaximal_backoff_time = 4s\n"
        postfix = Postfix(made.ports[0], made.peers.relay, extra)
        takeovers = Takeovers(made)
        load = Load(postfix.port, rate, rng)
        try:
            load.start()
            killer = Killer(made, rng, takeovers)
            killer.run(minutes * 60)
            load.stop.set()
            load.join(60)
            until(lambda: not _queued(postfix), 300, "Postfix to hand over all")
            made.nodes[0].settled(300)
            findings = ledger.found(load.ledger, made.nodes[0], made.peers.taken)
        finally:
            takeovers.stop.set()
            postfix.stop()
            tap.close()
    return {"seed": seed, "kills": killer.kills} | findings | {"takeovers": takeovers.seconds}


def _queued(postfix: Postfix) -> int:
    """Mails that Postfix still has."""
    folders = ("incoming", "active", "deferred", "maildrop")
    return sum(path.is_file() for name in folders for path in (postfix.folder / "queue" / name).rglob("*"))


# -- side by side


def news(mails: int = 40) -> list[float]:
    """Seconds from the 250 of a node that only takes mail to the decision of one that only works."""
    with farm() as made:
        taking, working = made.add("ingest"), made.add("work", "send")
        made.ready()
        until(lambda: len(taking.rows("status")[0]["nodes"]) == 2, 60)
        took, own = [], Ledger()
        for number in range(mails):
            taking.send(own.next()[1], "ops@shop.example")
            at = time.monotonic()
            until(lambda number=number: len(working.named("decided")) > number, 60)
            took.append(time.monotonic() - at)
    return took


def throughput(workers: int, mails: int) -> float:
    """Mails a second that so many working processes decide and answer, of a queue that waits for them."""
    with farm() as made:
        taking = made.add("ingest")
        made.ready()
        own = Ledger()
        with smtplib.SMTP("127.0.0.1", taking.smtp_port, local_hostname="client.example", timeout=60) as client:
            for _ in range(mails):
                client.sendmail("ops@shop.example", [TO], own.next()[1])
        made.sql("update messages set due_at = due_at + interval '1 day' returning id")
        for _ in range(workers):
            made.add("work", "send")
        made.ready()
        began = time.monotonic()
        made.sql("update messages set due_at = now() returning pg_notify('gateway_mails', '')")
        until(lambda: len(made.peers.taken) >= mails, 300, "all to be answered")
        return mails / (time.monotonic() - began)
