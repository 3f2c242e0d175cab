"""The database goes away or is locked, or descriptors end, while the service runs (RELIABILITY X50, X51, X56): senders
try again, nothing is lost or answered twice, and nobody has to restart anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from gateway.database import inbox
from gateway.database.store import Store, Unavailable
from gateway.database.tables import messages
from gateway.ingest.identity import digest_of
from gateway.judge import Hand
from gateway.model import ClaimedItem, OutboxItem, Outgoing, RawMessage, Sent
from gateway.pipeline import Pipeline
from gateway.replies.outbox import LATE_S, Outbox
from gateway.replies.render import Templates
from gateway.replies.samples import samples
from tests.conftest import Cluster
from tests.peers.harness import LoopbackPeers, Running, until
from tests.test_faults import signed
from tests.test_render import SENDER
from tests.test_smtp import WHEN
from tests.test_store import envelope


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the test's own, which it may stop."""
    made = Cluster()
    yield made
    made.close()


def persistent(daemon: Running, numbers: range) -> list[threading.Thread]:
    """Senders that try again until each has its 250, as every mail server does."""

    def send(number: int) -> None:
        def taken() -> bool:
            with contextlib.suppress(OSError):
                return daemon.send(signed(number), "ops@shop.example")[0] == 250
            return False

        until(taken, 90, f"mail {number} to be taken")

    threads = [threading.Thread(target=send, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    return threads


def answered_once(daemon: Running, peers: LoopbackPeers, mails: int) -> None:
    """Every mail has one ticket and one reply."""
    daemon.settled()
    until(lambda: len(peers.taken) >= mails, 60, "a reply to each")
    daemon.settled()
    subjects = sorted(
        line for taken in peers.taken for line in taken.raw.split(b"\r\n") if line.startswith(b"Subject:")
    )
    assert len(peers.taken) == mails and len(set(subjects)) == mails
    assert {row["state"] for row in daemon.rows("messages", "list")} == {"done"}
    assert len(daemon.rows("tickets", "list", "--limit", "500")) == mails
    assert {row["state"] for row in daemon.rows("outbox", "list")} == {"sent"}


def ready(daemon: Running) -> tuple[int, bytes]:
    """What ``/readyz`` says."""
    try:
        with urllib.request.urlopen(daemon.http + "/readyz", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


BUDGET = {
    "budget_address": "1000/1h",
    "budget_thread": "1000/1h",
    "budget_domain": "1000/1h",
    "budget_total": "1000/1h",
}


@pytest.mark.fault("X51")
def test_postgresql_is_restarted(cluster: Cluster, peers: LoopbackPeers, tmp_path: Path) -> None:
    daemon = Running(tmp_path, peers, database={"url": cluster.fresh()}, replies=BUDGET)
    try:
        assert daemon.send(signed(0), "ops@shop.example")[0] == 250
        until(lambda: len(peers.taken) == 1)
        cluster.stop()
        code, words = daemon.send(signed(1), "ops@shop.example")
        assert code == 451 and b"incident" in words
        until(lambda: daemon.named("accept_failed"))  # its log is read beside the dialogue
        assert "does not answer" in daemon.named("accept_failed")[0]["why"]
        assert daemon.command("status").returncode != 0
        assert daemon.metrics()["gateway_database_up"] == 0
        code, words = ready(daemon)
        assert code == 503 and b"does not answer" in words
        waiting = persistent(daemon, range(1, 6))
        cluster.start()
        for thread in waiting:
            thread.join()
        answered_once(daemon, peers, 6)
        assert ready(daemon)[0] == 200 and daemon.metrics()["gateway_database_up"] == 1
        assert daemon.other == [], "no traceback"
    finally:
        assert daemon.stop() == 0


def test_sessions_of_postgresql_are_ended_under_load(cluster: Cluster, peers: LoopbackPeers, tmp_path: Path) -> None:
    """A failover looks like this: whatever was under way is broken off, also between the commit and its answer."""
    daemon = Running(tmp_path, peers, database={"url": cluster.fresh()}, replies=BUDGET)
    try:
        waiting = persistent(daemon, range(40))
        with cluster.connect() as connection:
            for goal in range(3, 40, 3):
                until(lambda goal=goal: len(peers.taken) >= goal, 60, "the service to go on")  # type: ignore[misc]
                connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 't1'")
        for thread in waiting:
            thread.join()
        answered_once(daemon, peers, 40)
    finally:
        assert daemon.stop() == 0


@pytest.mark.fault("X50")
def test_sqlite_is_locked_by_somebody_else(peers: LoopbackPeers, tmp_path: Path) -> None:
    """A backup tool that holds the lock for longer than anybody waits."""
    daemon = Running(tmp_path, peers, replies=BUDGET)
    try:
        assert daemon.send(signed(0), "ops@shop.example")[0] == 250
        until(lambda: len(peers.taken) == 1)
        daemon.settled()
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "gateway.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            waiting = persistent(daemon, range(1, 9))
            told = daemon.command("messages", "replay", "1")
            assert (told.returncode, told.stderr) == (1, "gateway: the database cannot be opened: database is locked\n")
            until(lambda: len(daemon.named("accept_failed")) >= 8, 25, "every sender to hear 451 within one patience")
            assert "locked" in daemon.named("accept_failed")[0]["why"]
            code, words = ready(daemon)
            assert code == 503 and b"locked" in words
            other.execute("rollback")
        for thread in waiting:
            thread.join()
        answered_once(daemon, peers, 9)
    finally:
        assert daemon.stop() == 0


def a_row(
    number: int = 7,
    attempts: int = 1,
    recipient: str = "anna@example.de",
    lease_until: datetime = WHEN + timedelta(days=1),
) -> ClaimedItem:
    """A row of an outbox."""
    context = samples("received")[0]
    item = OutboxItem("m1", "received", "en", recipient, "auto", context, None, number, "a.b@introserv.com", WHEN)
    return ClaimedItem(item, attempts, lease_until)


def test_no_reply_is_sent_under_a_lease_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood still until its lease was over, or nearly: it is given back, and the next claim sends it. While a relay takes
    its time the lease is renewed, and a relay that drips for ever is cut off in the end."""
    short = a_row(1, lease_until=WHEN + timedelta(seconds=LATE_S))
    long = a_row(2, attempts=2, lease_until=WHEN + timedelta(seconds=LATE_S + 1))
    done: list[tuple[str, int]] = []
    renewed: list[int] = []
    monkeypatch.setattr("gateway.replies.outbox.RENEW_S", 0.01)
    monkeypatch.setattr("gateway.replies.outbox.SEND_S", 0.3)

    class Table:
        due: ClassVar = [short]

        async def claim(self, now: datetime, count: int, sure: bool) -> list[ClaimedItem]:
            return [self.due.pop()] if self.due else []

        async def confirm(self, row: ClaimedItem, now: datetime) -> bool:
            return True

        async def give_back(self, row: ClaimedItem, now: datetime, error: str | None = None) -> None:
            done.append(("given back", row.id))
            self.due.append(long)

        async def renew(self, rows: list[ClaimedItem], now: datetime) -> tuple[datetime, list[int]]:
            renewed.extend(row.id for row in rows)
            return now + timedelta(seconds=30), []

        async def later(self, row: ClaimedItem, error: str, next_at: datetime) -> None:
            done.append((error, row.id))

    class Relay:
        async def send(self, message: Outgoing) -> Sent:
            done.append(("sent", 0))
            assert message.ours()
            await asyncio.Event().wait()
            raise AssertionError

    async def main() -> None:
        stop = asyncio.Event()
        outbox = Outbox(Table(), lambda: (SENDER, Templates(None), Relay(), 1e6), lambda: WHEN, 1)  # type: ignore[arg-type, return-value]
        running = asyncio.create_task(outbox.run(stop))
        async with asyncio.timeout(60):
            while len(done) < 3:
                await asyncio.sleep(0)
        stop.set()
        await running

    asyncio.run(main())
    assert done == [("given back", 1), ("sent", 0), ("the relay took too long", 2)]
    assert set(renewed) == {2}


def test_a_reply_that_went_out_is_not_sent_again_after_an_outage() -> None:
    """The relay said 250 and the database could not be told for longer than the lease of the row."""
    given, lost, marked, due = [], [], [], [a_row(attempts=1)]

    class Table:
        async def claim(self, now: datetime, count: int, sure: bool) -> list[ClaimedItem]:
            return [due.pop()] if due else []

        async def confirm(self, row: ClaimedItem, now: datetime) -> bool:
            return True

        async def well(self) -> None:
            pass

        async def sent(self, row: ClaimedItem, answer: str, now: datetime) -> None:
            if not lost:
                lost.append(row)
                due.append(a_row(attempts=2))  # its lease has ended
                raise Unavailable("gone")
            marked.append(row.attempts)
            due.clear()  # it is sent, whoever's claim it was (see test_turns)

    class Relay:
        async def send(self, message: Outgoing) -> Sent:
            given.append(message)
            return Sent(True, False, 250, "")

    moments = iter(WHEN + timedelta(minutes=n) for n in range(1000))

    async def main() -> None:
        stop = asyncio.Event()
        outbox = Outbox(Table(), lambda: (SENDER, Templates(None), Relay(), 100.0), lambda: next(moments), 1)  # type: ignore[arg-type, return-value]
        running = asyncio.create_task(outbox.run(stop))
        async with asyncio.timeout(20):
            while not marked:
                outbox.wake.set()
                await asyncio.sleep(0)
        stop.set()
        await running

    asyncio.run(main())
    assert len(given) == 1
    assert marked == [1], "it is told before anything is claimed again"


@pytest.mark.fault("X56")
def test_no_more_files_can_be_opened(peers: LoopbackPeers, tmp_path: Path) -> None:
    """64 descriptors and a hundred connections: some are not served, the service lives, and serves when they are gone."""
    daemon = Running(
        tmp_path, peers, prefix=["prlimit", "--nofile=64"], smtp={"max_connections_per_address": 1000}, replies=BUDGET
    )
    try:
        with contextlib.ExitStack() as crowd:
            for _ in range(100):
                connection = socket.create_connection(("127.0.0.1", daemon.smtp_port), timeout=5)
                crowd.callback(connection.close)
        for thread in persistent(daemon, range(3)):
            thread.join()
        answered_once(daemon, peers, 3)
    finally:
        assert daemon.stop() == 0


class Broken:
    """An engine that gives its last connection and then none."""

    def __init__(self, connections: list[Connection]) -> None:
        self.asked, self._left = 0, connections

    def connect(self) -> Connection:
        self.asked += 1
        if self._left:
            return self._left.pop()
        raise OperationalError("connect", None, Exception("nobody there"))

    def dispose(self) -> None:
        pass


@pytest.mark.parametrize("last", [0, 1], ids=["gone before", "lost in the middle"])
def test_a_group_of_writes_waits_once_for_a_database_that_is_away(store: Store, last: int) -> None:
    """Each try may take ten seconds; sixty senders must not wait one after the other."""
    engine, held = store._writer_engine, threading.Event()
    broken = Broken([engine.connect() for _ in range(last)])

    def lose(connection: Connection) -> None:
        held.wait(20)
        raise OperationalError("insert", None, Exception("connection lost"))

    first = store.submit(lose)
    store._writer_engine = broken  # type: ignore[assignment]
    later = [store.submit(lose) for _ in range(10)]
    held.set()
    assert all(isinstance(job.exception(20), Unavailable) for job in (first, *later))
    assert broken.asked == 1 + last
    store._writer_engine = engine
    assert store.write_now(lambda connection: "again") == "again"


def test_a_write_is_tried_again_while_the_database_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    real = store.begin

    def begin(job: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(Unavailable("away"))
            return failed
        return real(job)

    monkeypatch.setattr(store, "begin", begin)
    assert asyncio.run(store.write_patiently(lambda connection: "done")) == "done"
    assert len(tries) == 3


def test_an_outage_is_no_fault_of_the_mail_in_work(store: Store) -> None:
    """It is not set aside as failed, where only a person would find it: it is handed back, and nothing was counted."""

    class Judge:
        trouble = ""

        async def incoming(self, hand: Hand) -> None:
            raise Unavailable("away")

    raw = signed(0)
    accepted = store.write_now(lambda connection: inbox.accept(connection, RawMessage(raw, envelope()), digest_of(raw)))
    pipeline = Pipeline(store, Judge(), None, lambda: WHEN, None)  # type: ignore[arg-type]
    for _ in range(5):
        (claimed,) = store.write_now(lambda connection: inbox.claim(connection, WHEN, 5, 60.0, True)[0])
        assert (claimed.id, claimed.attempts, claimed.suspect) == (accepted.id, 1, False)

        async def work(claimed: inbox.Claimed = claimed) -> None:
            pipeline.loop.begin(pipeline._hand(claimed))
            await asyncio.gather(*pipeline.loop.held)

        asyncio.run(work())
        state = store.read_now(lambda c: c.execute(select(messages.c.state)).scalar())
        assert state == "pending"


@pytest.mark.fault("X50")
@pytest.mark.parametrize("name", ["gateway.db-wal", "gateway.db"])
def test_no_mail_is_taken_into_a_file_that_somebody_removed(peers: LoopbackPeers, tmp_path: Path, name: str) -> None:
    """It would be acknowledged, and gone at the next start. What the removed log holds is saved at the stop."""
    daemon = Running(tmp_path, peers, replies=BUDGET)
    try:
        for number in range(3):
            assert daemon.send(signed(number), "ops@shop.example")[0] == 250
        until(lambda: len(peers.taken) == 3)
        daemon.settled()
        (tmp_path / "state" / name).unlink()
        for number in range(3, 6):
            assert daemon.send(signed(number), "ops@shop.example")[0] == 451
        assert "removed or replaced" in daemon.named("accept_failed")[-1]["why"]
        code, words = ready(daemon)
        assert code == 503 and b"restart it" in words
        assert daemon.stop() == 0
        daemon.start()
        for thread in persistent(daemon, range(3, 6)):
            thread.join()
        if name == "gateway.db-wal":
            answered_once(daemon, peers, 6)
    finally:
        assert daemon.stop() == 0


@pytest.mark.fault("X50")
def test_a_malformed_database_is_said_so(peers: LoopbackPeers, tmp_path: Path) -> None:
    daemon = Running(tmp_path, peers, replies=BUDGET)
    assert daemon.send(signed(0), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1)
    assert daemon.stop() == 0
    path = tmp_path / "state" / "gateway.db"
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 4096, 2):
            file.seek(page * 4096)
            file.write(b"\xde\xad\xbe\xef" * 1024)
    daemon.start(ready=False)
    assert daemon.ended() == 1
    assert any("malformed; restore a backup" in line for line in daemon.other)
