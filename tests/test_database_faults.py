"""Every error of a database is the mail's or the database's: each class is injected at each statement of a mail's way.

The database's are waited for, said so, and undone; the mail's are told as they are; two transactions in each other's way
are tried again. Whatever it was, the same write succeeds afterwards and nothing is half there.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import lookup
from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from gateway.database import faults, inbox, statements, tables
from gateway.database import outbox as outbox_rows
from gateway.database.faults import Fault
from gateway.database.store import DiskFull, Store, Unavailable
from gateway.ingest.identity import digest_of
from gateway.model import InboxState, RawMessage
from gateway.pipeline import Pipeline, _Held
from gateway.tickets import desk, outgoing, people, rounds
from gateway.tickets.occasion import Occasion
from gateway.tickets.outgoing import Acting
from gateway.turns import Place
from tests.conftest import Cluster
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import JOE, NOW, envelope, incoming, mail, office
from tests.test_desk import MINUTE
from tests.test_outages import BUDGET, answered_once, persistent, ready
from tests.test_outages import cluster as cluster  # a fixture

#: a representative of every class of appendix A of PostgreSQL's manual, and whose fault it is
POSTGRESQL = {
    "03000": Fault.DATABASE, "08006": Fault.DATABASE, "0A000": Fault.DATABASE, "21000": Fault.DATABASE,
    "22021": Fault.MAIL, "22001": Fault.MAIL, "23502": Fault.MAIL, "23505": Fault.MAIL, "24000": Fault.DATABASE,
    "25006": Fault.DATABASE, "25P02": Fault.DATABASE, "25P03": Fault.DATABASE, "26000": Fault.DATABASE,
    "28P01": Fault.DATABASE, "2D000": Fault.DATABASE, "3D000": Fault.DATABASE, "3F000": Fault.DATABASE,
    "40001": Fault.CONFLICT, "40P01": Fault.CONFLICT, "42501": Fault.DATABASE, "42P01": Fault.DATABASE,
    "44000": Fault.MAIL, "53100": Fault.DISK, "53200": Fault.DATABASE, "53300": Fault.DATABASE, "54000": Fault.MAIL,
    "55000": Fault.DATABASE, "55P03": Fault.CONFLICT, "57014": Fault.DATABASE, "57P01": Fault.DATABASE,
    "57P03": Fault.DATABASE, "58030": Fault.DATABASE, "F0000": Fault.DATABASE, "HV000": Fault.DATABASE,
    "P0001": Fault.DATABASE, "XX000": Fault.DATABASE, "XX001": Fault.DATABASE,
}  # fmt: skip
SQLITE = {
    "SQLITE_ERROR": Fault.DATABASE, "SQLITE_INTERNAL": Fault.DATABASE, "SQLITE_PERM": Fault.DATABASE,
    "SQLITE_ABORT": Fault.DATABASE, "SQLITE_BUSY": Fault.DATABASE, "SQLITE_LOCKED": Fault.DATABASE,
    "SQLITE_NOMEM": Fault.DATABASE, "SQLITE_READONLY": Fault.DATABASE, "SQLITE_READONLY_DBMOVED": Fault.DATABASE,
    "SQLITE_INTERRUPT": Fault.DATABASE, "SQLITE_IOERR": Fault.DISK, "SQLITE_IOERR_WRITE": Fault.DISK,
    "SQLITE_CORRUPT": Fault.DATABASE, "SQLITE_FULL": Fault.DISK, "SQLITE_CANTOPEN": Fault.DATABASE,
    "SQLITE_PROTOCOL": Fault.DATABASE, "SQLITE_SCHEMA": Fault.DATABASE, "SQLITE_TOOBIG": Fault.MAIL,
    "SQLITE_CONSTRAINT": Fault.MAIL, "SQLITE_CONSTRAINT_NOTNULL": Fault.MAIL, "SQLITE_MISMATCH": Fault.MAIL,
    "SQLITE_MISUSE": Fault.DATABASE, "SQLITE_AUTH": Fault.DATABASE, "SQLITE_RANGE": Fault.MAIL,
    "SQLITE_NOTADB": Fault.DATABASE,
}  # fmt: skip


def made(store: Store, code: str) -> Exception:
    """The driver's own exception for a code."""
    if not store.is_sqlite:
        return lookup(code)("injected")
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, code), code
    return error


class Injected:
    """Raises ``error`` at the statement number ``at`` of the writer, on both ways to the driver; counts statements."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen, self.at, self.error = 0, -1, Exception()
        self._real = statements._cursor
        monkeypatch.setattr(statements, "_cursor", self._cursor)

        @event.listens_for(store._writer_engine, "do_execute")
        def executed(_: Any, statement: str, *__: Any) -> None:
            if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):  # those hold no data
                self._count()

    def arm(self, at: int, error: Exception) -> None:
        self.seen, self.at, self.error = 0, at, error

    def _count(self) -> None:
        if threading.current_thread().name != "writer":
            return
        self.seen += 1
        if self.seen == self.at:
            raise self.error

    def _cursor(self, connection: Connection) -> Any:
        real, count = self._real(connection), self._count

        class Counting:
            def execute(self, *given: Any) -> Any:
                count()
                return real.execute(*given)

            def executemany(self, *given: Any) -> Any:
                count()
                return real.executemany(*given)

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        return Counting()


class Way:
    """The writes of one mail's whole life, in order; each returns what the next needs."""

    def __init__(self, store: Store, number: int) -> None:
        self.store, self.office = store, office(store.keys, store.key_id)
        self.raw = mail(
            f"My server 203.0.113.7 with order #123456 is slow, number {number}.", Message_ID=f"<{number}@example.de>"
        )
        self.claimed: Any = None
        self.reference = ""
        self.rows: list[Any] = []

    def steps(self) -> Iterator[Callable[[Connection], Any]]:
        what = incoming(self.raw)
        yield lambda c: inbox.accept(c, RawMessage(self.raw, what.envelope), digest_of(self.raw))
        yield self._claim
        yield lambda c: setattr(
            self, "reference", desk.commit(Occasion(c, self.claimed, what, self.office, NOW)).reference
        )
        yield lambda c: setattr(self, "rows", outbox_rows.claim(c, NOW, 50, 60))
        for row in self.rows:
            if row.item.kind == "auto":
                yield lambda c, row=row: outbox_rows.mark_sent(c, row, NOW)
            else:
                yield lambda c, row=row: outbox_rows.mark_later(c, row, "later", NOW + 99 * MINUTE)
        yield lambda c: rounds.tick(c, self.office, NOW + 31 * MINUTE)
        yield lambda c: people.answer(c, self.reference, "We are on it.", Acting(JOE, self.office, NOW + 32 * MINUTE))

    def _claim(self, connection: Connection) -> None:
        (self.claimed,), _ = inbox.claim(connection, NOW, 10, 60)


def counts(store: Store) -> dict[str, int]:
    def job(connection: Connection) -> dict[str, int]:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in tables.METADATA.tables.items()
        }

    return store.read_now(job)


def codes_for(store: Store) -> dict[str, Fault]:
    return SQLITE if store.is_sqlite else POSTGRESQL


@pytest.mark.fault("X51")
def test_each_class_at_each_statement(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is tried with an error at its first statement, then at its second, and so on; then without."""
    injected, statements_hit = Injected(store, monkeypatch), 0
    others = {code: fault for code, fault in codes_for(store).items() if fault is not Fault.CONFLICT}
    for number, (code, fault) in enumerate(others.items()):
        for step in Way(store, number).steps():
            at, before = 1, counts(store)
            while True:
                injected.arm(at, made(store, code))
                try:
                    store.write_now(step)
                except (Unavailable, DBAPIError) as error:
                    assert isinstance(error, Unavailable) == (fault is not Fault.MAIL), (code, at)
                    assert isinstance(error, DiskFull) == (fault is Fault.DISK), (code, at)
                    if isinstance(error, Unavailable):
                        assert code in str(error) and code in store.trouble, "an operator sees which"
                    else:
                        assert store.trouble == ""
                    assert counts(store) == before, "nothing is half there"
                    statements_hit += 1
                else:
                    if injected.seen < at:
                        break  # it has no so many statements: this was the one without an error
                    assert fault is Fault.MAIL and counts(store) == before, "the clock goes on without this ticket"
                at += 1
            assert store.trouble == ""
    rows = store.read_now(lambda c: c.execute(select(tables.tickets.c.state, tables.tickets.c.breached)).all())
    assert [tuple(row) for row in rows] == [("waiting", True)] * len(others)
    assert statements_hit > 25 * len(others)


def test_what_others_are_in_the_way_of_is_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has one writer")
    injected, at, conflicts = Injected(store, monkeypatch), 0, 1
    while conflicts:
        at, conflicts = at + 1, 0
        for step in Way(store, at).steps():
            injected.arm(at, made(store, "40P01" if at % 2 else "40001"))
            store.write_now(step)
            conflicts += injected.seen >= at
        assert store.trouble == ""
    assert at > 10
    rows = store.read_now(lambda c: c.execute(select(tables.tickets.c.state)).scalars().all())
    assert rows == ["waiting"] * at


def test_what_a_driver_or_the_pool_finds_by_itself() -> None:
    found = {
        Fault.MAIL: [psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
                     sqlite3.ProgrammingError("Error binding parameter 1: type 'x' is not supported")],
        Fault.DATABASE: [psycopg.OperationalError("connection refused"), psycopg.InterfaceError("the connection is lost"),
                         sqlite3.ProgrammingError("Cannot operate on a closed database."),
                         OperationalError("connect", None, Exception("nobody there")), NoConnection("QueuePool limit")],
        None: [ValueError("a fault of the program"), KeyError("x")],
    }  # fmt: skip
    assert {fault: {faults.of(error) for error in errors} for fault, errors in found.items()} == {
        fault: {fault} for fault in found
    }


def test_what_is_said_quotes_no_values(store: Store) -> None:
    with pytest.raises(DBAPIError) as failed:
        store.write_now(
            lambda c: statements.put(c, tables.traces, {"message_id": None, "at": NOW, "lines": ["secret"]})
        )
    assert faults.of(failed.value) is Fault.MAIL and "secret" not in faults.words(failed.value)


@pytest.mark.parametrize("whose", ["the mail's", "the database's"])
def test_only_the_mails_own_fault_sets_it_aside(store: Store, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    class Judge:
        async def incoming(self, claimed: inbox.Claimed) -> Any:
            return incoming(mail()), None

    class Replies:
        def reserve(self) -> bool:
            return False

    code = {True: ("SQLITE_TOOBIG", "SQLITE_READONLY"), False: ("22021", "25006")}[store.is_sqlite][
        whose != "the mail's"
    ]
    monkeypatch.setattr("gateway.database.store.PATIENT_S", 0.0)
    monkeypatch.setattr(
        desk, "commit", lambda *_: (_ for _ in ()).throw(OperationalError("x", None, made(store, code)))
    )
    accepted = store.write_now(lambda c: inbox.accept(c, RawMessage(mail(), envelope()), digest_of(mail())))
    around = type("Around", (), {"office": office(store.keys, store.key_id)})
    pipeline = Pipeline(store, Judge(), lambda: around, lambda: NOW, Replies())  # type: ignore[arg-type, return-value]
    (claimed,), _ = store.write_now(lambda c: inbox.claim(c, NOW, 5, 60.0, True))
    asyncio.run(pipeline.work(_Held(claimed, Place(claimed.turn, pipeline._turns), pipeline)))
    state = store.read_now(
        lambda c: c.execute(select(tables.messages.c.state).where(tables.messages.c.id == accepted.id)).scalar()
    )
    assert state == (InboxState.FAILED if whose == "the mail's" else InboxState.PENDING)


def test_a_ticket_whose_data_the_database_refuses_stops_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of every ticket runs in one transaction; the database's fault ends it, a ticket's own does not."""
    for number in (1, 2):
        for step in list(zip(Way(store, number).steps(), range(3), strict=False)):
            store.write_now(step[0])
    first, *_ = store.read_now(lambda c: c.execute(select(tables.tickets.c.reference)).scalars().all())
    codes = ("SQLITE_TOOBIG", "SQLITE_READONLY") if store.is_sqlite else ("22001", "25006")
    real, code = outgoing.tell, ""

    def tell(connection: Any, what: Any, *more: Any, **given: Any) -> Any:
        if what.ticket.reference == first:
            raise OperationalError("x", None, made(store, code))
        return real(connection, what, *more, **given)

    monkeypatch.setattr(outgoing, "tell", tell)
    whose, code = office(store.keys, store.key_id), codes[1]
    with pytest.raises(Unavailable):
        store.write_now(lambda c: rounds.tick(c, whose, NOW + 15 * MINUTE))
    code = codes[0]
    assert len(store.write_now(lambda c: rounds.tick(c, whose, NOW + 15 * MINUTE))) == 1


# --------------------------------------------------------------------------- ready means: a mail can be taken now


def test_ready_is_found_out_by_a_write(database: str, tmp_path: Path) -> None:
    """What can be read, and what answers ``select 1``, may take nothing all the same."""
    store = Store(database)
    store.open(NOW)
    assert asyncio.run(store.answers()) == ""
    with read_only(store):
        store._probed_at = 0.0
        said = asyncio.run(store.answers())
        assert "cannot be used" in said and ("READONLY" in said or "25006" in said)
        assert store.read_now(lambda c: c.execute(select(func.count()).select_from(tables.keys)).scalar()) == 1
        assert asyncio.run(store.answers()) == said, "asked again at once it is not probed again"
    store._probed_at = 0.0
    assert asyncio.run(store.answers()) == ""
    assert counts(store)["raw"] == 0, "the probe leaves nothing"
    store.close()


@contextmanager
def read_only(store: Store) -> Iterator[None]:
    def switched(on: bool) -> Callable[[Connection], None]:
        words = f"pragma query_only={'on' if on else 'off'}"
        return lambda connection: connection.exec_driver_sql(words) and None

    if not store.is_sqlite:
        with psycopg.connect(store.url.replace("+psycopg", ""), autocommit=True) as other:
            name = other.info.dbname
            other.execute(f"alter database {name} set default_transaction_read_only = on")  # type: ignore[arg-type]
            store._writer_engine.dispose()
            store._let_go(invalidate=True)
            yield
            other.execute("set default_transaction_read_only = off")
            other.execute(f"alter database {name} set default_transaction_read_only = off")  # type: ignore[arg-type]
            store._writer_engine.dispose()
        return
    listener = lambda connection, _: connection.execute("pragma query_only=on")  # noqa: E731
    event.listen(store._writer_engine, "connect", listener)
    store.write_now(switched(True))
    yield
    event.remove(store._writer_engine, "connect", listener)
    store._writer_engine.dispose()


@pytest.mark.fault("X51")
def test_a_failover_of_postgresql_loses_and_doubles_nothing(
    cluster: Cluster, peers: LoopbackPeers, tmp_path: Path
) -> None:
    """Read-only under load: as while a standby is promoted, or after the old primary has come back as one."""
    daemon = Running(tmp_path, peers, database={"url": cluster.fresh()}, replies=BUDGET)
    switch = "alter system set default_transaction_read_only = {}"

    def set_to(word: str) -> None:
        with cluster.connect() as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute(switch.format(word))  # type: ignore[arg-type]
            connection.execute("select pg_reload_conf()")

    try:
        waiting: list[threading.Thread] = []
        for first in (0, 15):
            waiting += persistent(daemon, range(first, first + 12))
            until(lambda first=first: len(peers.taken) > first, 60, "replies")  # type: ignore[misc]
            refused = len(daemon.named("accept_failed"))
            set_to("on")
            waiting += persistent(daemon, range(first + 12, first + 15))
            until(lambda refused=refused: len(daemon.named("accept_failed")) >= refused + 3, 60, "451")  # type: ignore[misc]
            assert "read-only" in daemon.named("accept_failed")[-1]["why"]
            code, words = ready(daemon)
            assert code == 503 and b"25006" in words
            assert daemon.metrics()["gateway_database_up"] == 0
            told = daemon.command("status")
            assert told.returncode == 1 and "a read-only transaction (25006)" in told.stdout
            set_to("off")
            until(lambda: ready(daemon)[0] == 200, 60, "ready again")
        for thread in waiting:
            thread.join()
        answered_once(daemon, peers, 30)
        assert daemon.named("parked") == [] and daemon.other == []
        ids = [line for taken in peers.taken for line in taken.raw.split(b"\r\n") if line.startswith(b"Message-ID")]
        assert len(set(ids)) == 30
    finally:
        assert daemon.stop() == 0
