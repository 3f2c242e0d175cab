"""The store on both databases: accepted once, claimed once, grouped, and never half."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select, text

from gateway.database import console_tables, inbox, migrate, originals, tables
from gateway.database import store as stores
from gateway.database.store import LostClaim, NewerSchema, Store, StoreError, _migrations, head
from gateway.ingest.acceptor import Acceptor
from gateway.ingest.identity import digest_of
from gateway.model import InboxState, RawMessage, Turn
from tests.peers.harness import until
from tests.samples import NOW, envelope, mail

LATER = NOW + timedelta(minutes=5)


def accept(store: Store, raw: bytes, **changes: Any) -> Any:
    message = RawMessage(raw, envelope(**changes))
    return store.write_now(lambda connection: inbox.accept(connection, message, digest_of(raw)))


def count(store: Store, table: Any) -> int:
    return int(
        store.read_now(lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one())
    )


def test_the_same_mail_is_one_and_every_arrival_is_kept(store: Store) -> None:
    first, second = accept(store, mail()), accept(store, b"Received: from x\r\n" + mail(), source="lmtp")
    other = accept(store, mail("other words"))
    assert (first.created, second.created, other.created) == (True, False, True)
    assert first.id == second.id != other.id
    assert (count(store, tables.messages), count(store, tables.arrivals)) == (2, 1)


def test_the_same_mail_from_many_threads_is_one(store: Store) -> None:
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda: outcomes.append(accept(store, mail()))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.created for outcome in outcomes) == 1
    assert (count(store, tables.messages), count(store, tables.arrivals)) == (1, 15)


@pytest.mark.parametrize("size", [0, 1, originals.PIECE - 1, originals.PIECE, originals.PIECE + 1, 3 * originals.PIECE])
def test_bytes_come_back_as_they_came(store: Store, size: int) -> None:
    raw = bytes(range(256)) * (size // 256 + 1)
    made = accept(store, raw[:size])
    assert bytes(store.read_now(lambda connection: originals.load(connection, made.id))) == raw[:size]


LARGE = mail() + b"x" * 70 * 1024 * 64


class NoHands:
    """Nobody works; what was stored is counted."""

    stored = 0

    def reserve(self, turn: Turn) -> bool:
        return False

    def release(self) -> None:
        raise AssertionError("nothing was reserved")

    def take(self, claimed: inbox.Claimed) -> None:
        raise AssertionError("nothing was reserved")

    def arrived(self) -> None:
        self.stored += 1


def test_others_are_stored_between_the_pieces_of_a_large_mail(store: Store) -> None:
    work = NoHands()
    acceptor = Acceptor(store, work, lambda: NOW)

    async def both() -> tuple[Any, list[int]]:
        large = asyncio.create_task(acceptor(RawMessage(LARGE, envelope())))
        pieces: list[int] = []
        while not large.done():
            await acceptor(RawMessage(mail(f"number {len(pieces)}"), envelope()))
            pieces.append(
                await store.read(
                    lambda c: c.execute(
                        select(func.count()).where(tables.raw.c.data == LARGE[: originals.PIECE])
                    ).scalar_one()
                )
            )
        return await large, pieces

    made, pieces = asyncio.run(both())
    assert made.created and work.stored == len(pieces) + 1
    assert 0 < pieces.count(1) > 1  # small ones came in after its first piece and before its last
    assert bytes(store.read_now(lambda c: originals.load(c, made.id))) == LARGE
    last = len(LARGE) // originals.PIECE
    assert store.read_now(lambda c: originals.load_piece(c, made.id, last)) == LARGE[last * originals.PIECE :]
    claimed: dict[int, inbox.Claimed] = {}
    while some := claim(store)[0]:
        claimed |= {c.id: c for c in some}
    assert (claimed[made.id].pieces, claimed[made.id].size) == (last + 1, len(LARGE))
    assert store.write_now(lambda c: originals.clean(c, NOW + timedelta(days=1))) == 0


def test_pieces_that_became_no_mail_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("the last commit fails")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "accept", refuse)
        with pytest.raises(RuntimeError):
            asyncio.run(Acceptor(store, NoHands(), lambda: NOW)(RawMessage(LARGE, envelope())))
    until(lambda: count(store, tables.raw) == 0)
    left = originals.staging(NOW)  # and of a service that was killed
    store.write_now(lambda c: originals.stage(c, left, 0, b"a piece"))
    assert store.write_now(lambda c: originals.clean(c, NOW)) == 0  # it may be another service's, at work
    assert store.write_now(lambda c: originals.clean(c, NOW + timedelta(seconds=1))) == 1
    assert (count(store, tables.raw), count(store, tables.messages)) == (0, 0)


def test_a_large_arrival_is_kept_apart_and_can_become_the_mail(store: Store) -> None:
    acceptor = Acceptor(store, NoHands(), lambda: NOW)
    first = asyncio.run(acceptor(RawMessage(LARGE, envelope())))
    other = b"Received: from x\r\n" + LARGE
    again = asyncio.run(acceptor(RawMessage(other, envelope(source="lmtp"))))
    assert (again.id, again.created) == (first.id, False)
    arrival = store.read_now(lambda c: c.execute(select(tables.arrivals.c.id)).scalar_one())
    assert bytes(store.read_now(lambda c: originals.load(c, -arrival))) == other
    store.write_now(lambda c: inbox.adopt_raw(c, first.id, arrival, envelope(source="lmtp")))
    store.write_now(lambda c: inbox.finish_arrival(c, arrival, "adopted", True))
    assert bytes(store.read_now(lambda c: originals.load(c, first.id))) == other
    assert (
        count(store, tables.raw) == len(other) // originals.PIECE + 3
    )  # its pieces and the two marks, nothing of the first


def claim(store: Store, now: Any = LATER, lease: float = 60) -> tuple[list[inbox.Claimed], list[int]]:
    return store.write_now(lambda connection: inbox.claim(connection, now, 10, lease))


def test_a_claim_is_for_one_and_comes_back_when_its_lease_ends(store: Store) -> None:
    made = accept(store, mail())
    (mine,), _ = claim(store)
    assert (mine.id, mine.attempts, bytes(mine.raw)) == (made.id, 1, mail())
    assert mine.envelope == envelope()
    assert claim(store) == ([], [])
    (again,), _ = claim(store, LATER + timedelta(seconds=61))
    assert (again.attempts, again.suspect) == (1, True)
    later = replace(mine, attempts=2)
    with pytest.raises(LostClaim):
        store.write_now(lambda connection: inbox.finish(connection, later, state=InboxState.DONE))
    store.write_now(lambda connection: inbox.finish(connection, again, state=InboxState.DONE, due_at=None))
    assert claim(store, LATER + timedelta(days=1)) == ([], [])


def test_three_claims_alone_without_an_outcome_park_the_mail(store: Store) -> None:
    made = accept(store, mail())
    assert [c.suspect for c in claim(store)[0]] == [False]  # in company, as far as anybody knows: it does not count
    now = LATER
    for attempts in (1, 2, 3):
        now += timedelta(hours=1)
        again = claim(store, now)[0] or claim(store, now + timedelta(minutes=1))[0]
        assert [(c.attempts, c.suspect) for c in again] == [(attempts, True)]
    now += timedelta(hours=1)
    assert claim(store, now) == ([], [])  # freed, and waiting a little
    assert claim(store, now + timedelta(minutes=1)) == ([], [made.id])
    state = store.read_now(lambda c: c.execute(select(tables.messages.c.state)).scalar_one())
    assert state == InboxState.FAILED
    assert store.write_now(lambda connection: inbox.replay(connection, LATER, [made.id])) == [made.id]
    assert [c.attempts for c in claim(store, LATER + timedelta(hours=9))[0]] == [1]


def test_a_crash_costs_no_mail_that_happened_to_be_in_work(store: Store) -> None:
    made = {accept(store, mail(f"words {number}")).id for number in range(5)}
    assert len(claim(store)[0]) == 5
    for _ in range(20):
        store.write_now(lambda connection: inbox.free_all(connection, LATER))
        assert store.write_now(lambda connection: inbox.claim(connection, LATER, 10, 60, False)) == ([], [])
        (alone,), parked = claim(store)
        assert (alone.suspect, parked) == (True, [])
        store.write_now(lambda c, alone=alone: inbox.finish(c, alone, state=InboxState.DONE, due_at=None))
        made.discard(alone.id)
        if not made:
            break
    assert made == set()


def test_a_drain_hands_its_claims_back_uncounted(store: Store) -> None:
    accept(store, mail())
    claimed, _ = claim(store)
    store.write_now(lambda connection: inbox.hand_back(connection, claimed, LATER))
    (again,), _ = claim(store)
    assert again.attempts == 1


def test_a_failed_write_of_a_group_fails_alone(store: Store) -> None:
    gate = threading.Event()

    def slow(connection: Connection) -> int:
        gate.wait(10)
        return 0

    def bad(connection: Connection) -> None:
        connection.execute(text("insert into messages (id) values (1)"))

    holding = store.submit(slow)
    raws = [mail(f"words {index}") for index in range(5)]
    jobs: list[Any] = [
        store.submit(lambda connection, raw=raw: inbox.accept(connection, RawMessage(raw, envelope()), digest_of(raw)))
        for raw in raws
    ]
    jobs.insert(2, store.submit(bad))
    gate.set()
    holding.result(10)
    failed = [job for job in jobs if job.exception(10) is not None]
    assert failed == [jobs[2]]
    assert count(store, tables.messages) == 5


@pytest.mark.fault("X50", "X79")
def test_a_newer_schema_is_refused_with_what_to_do(store: Store, database: str) -> None:
    store.write_now(lambda connection: connection.execute(text("update alembic_version set version_num = '9999'")))
    with pytest.raises(NewerSchema, match="install the newer release"):
        Store(database).open(NOW)


def test_keys_survive(store: Store, database: str) -> None:
    other = Store(database)
    other.open(NOW)
    assert other.keys == store.keys
    assert head() == "0016"
    other.close()


def _ours(name: str | None, kind: str, _: Any) -> bool:
    """The index of words is the database's own: a virtual table, or one of a type that only PostgreSQL has."""
    return kind != "table" or not (name or "").startswith("search")


@pytest.mark.fault("X79")
def test_the_first_release_is_migrated_with_what_it_holds(database: str, tmp_path: Path) -> None:
    old = Store(database)
    migrate.upgrade(old._writer_engine, _migrations(), "0001")
    with old._writer_engine.connect() as connection, connection.begin():
        old._load_keys(connection, NOW)
        row = {"digest": digest_of(mail("kept")), "source": "smtp", "received_at": NOW, "size": 1, "rcpt_tos": [],
               "client_reason": "", "trusted": False, "tls": False, "state": "pending", "reason": "", "attempts": 0,
               "suspect": False, "due_at": NOW, "recheck": 0, "released": False, "authenticated": False}  # fmt: skip
        connection.execute(tables.messages.insert().values(row))
    keys = dict(old.keys)
    old.close()
    opened = Store(database)
    opened.open(NOW)
    assert opened.keys == keys
    assert count(opened, tables.messages) == 1
    assert [claimed.attempts for claimed in claim(opened)[0]] == [1]
    differences = opened.read_now(
        lambda c: compare_metadata(
            MigrationContext.configure(c, opts={"compare_type": False, "include_name": _ours}), tables.METADATA
        )
    )
    assert differences == [] and console_tables.users.name in tables.METADATA.tables
    assert len(list(tmp_path.glob("gateway.db.*.backup"))) == (1 if opened.is_sqlite else 0)
    opened.close()


@pytest.mark.fault("X78")
def test_durability_is_switched_on(store: Store) -> None:
    if store.is_sqlite:
        modes = store.write_now(
            lambda c: (
                c.exec_driver_sql("pragma journal_mode").scalar(),
                c.exec_driver_sql("pragma synchronous").scalar(),
            )
        )
        assert modes == ("wal", 2)
    else:
        assert store.read_now(lambda c: c.execute(text("show synchronous_commit")).scalar()) == "on"


def test_the_log_is_checkpointed_as_it_grows_and_when_it_is_written_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.path is None:
        return  # PostgreSQL sees to its own
    path, wal = store.path, Path(f"{store.path}-wal")
    mega = 1024**2
    monkeypatch.setattr(stores, "CHECKPOINT_OCTETS", mega)
    monkeypatch.setattr(stores, "CHECKPOINT_WRITES", 3)

    def wrote(octets: int) -> bool:
        """Whether the log did not grow by it."""
        before = wal.stat().st_size
        store.write_now(lambda c: originals.stage(c, originals.staging(NOW), 0, bytes(octets)))
        return wal.stat().st_size == before

    wrote(3 * mega)
    until(lambda: path.stat().st_size > 3 * mega)
    until(lambda: wrote(1), what="the log is written again from its beginning")
    assert all(wrote(mega // 2) for _ in range(3))
    until(lambda: path.stat().st_size > 4 * mega)


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError):
        store.write_now(lambda connection: None)


def test_a_naive_datetime_never_goes_in(store: Store) -> None:
    with pytest.raises(Exception, match="naive"):
        accept(store, mail(), received_at=NOW.replace(tzinfo=None))


def test_reads_of_postgresql_are_planned_with_their_values(store: Store) -> None:
    """The oldest pending mail of a million took seconds under a plan for any state; see ``_planned_each_time``."""
    if store.is_sqlite:
        return
    ask = lambda connection: connection.exec_driver_sql("show plan_cache_mode").scalar()  # noqa: E731
    assert [store.read_now(ask), store.write_now(ask)] == ["force_custom_plan", "auto"]
