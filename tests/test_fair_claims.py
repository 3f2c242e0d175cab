"""Claims on both databases: in the order of service whatever waits, by an index, and beside other nodes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from gateway.database import inbox, tables
from gateway.database import outbox as outbox_rows
from gateway.database.statements import Query
from gateway.database.store import LostClaim, Store
from gateway.ingest.identity import digest_of
from gateway.model import InboxState, OutboxItem, RawMessage
from gateway.tickets import outgoing
from gateway.tickets.outgoing import Reply
from gateway.turns import Turns
from tests.samples import NOW, envelope, mail, office

LATER = NOW + timedelta(seconds=1)
FLOOD, OTHER = "192.0.2.1", "198.51.100.1"


def accept(store: Store, turns: Turns, numbers: Sequence[int], client: str = FLOOD) -> list[int]:
    """Many mails in one transaction."""

    def job(connection: Connection) -> list[int]:
        made = []
        for number in numbers:
            raw = mail(f"number {number} from {client}")
            given = envelope(client=client)
            turn = turns.of(raw, given)
            made.append(inbox.accept(connection, RawMessage(raw, given), digest_of(raw), turn=turn).id)
        return made

    return store.write_now(job)


def claimed(store: Store, count: int, **more: Any) -> list[inbox.Claimed]:
    return store.write_now(lambda connection: inbox.claim(connection, LATER, count, 30.0, **more)[0])


@pytest.fixture
def turns() -> Turns:
    return Turns(lambda: NOW)


def test_one_mail_does_not_wait_behind_thousands_of_another_sender(store: Store, turns: Turns) -> None:
    accept(store, turns, range(3000))
    (other,) = accept(store, turns, [0], OTHER)
    assert other in {claim.id for claim in claimed(store, 2)}


@pytest.mark.fault("X54")
def test_the_next_ones_are_found_by_an_index(store: Store, turns: Turns) -> None:
    """Neither the statement sorts what waits, nor does it read it all."""
    accept(store, turns, range(2000))
    full = {f"full{n}": "-" for n in range(inbox._PASSED)}

    def plan(connection: Connection) -> str:
        if not store.is_sqlite:
            connection.execute(text("analyze messages"))
        query = Query(inbox._DUE, connection.dialect, ())
        cursor: Any = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
        explain = "explain query plan " if store.is_sqlite else "explain "
        cursor.execute(explain + query._sql, query._parameters({"now": LATER, "count": 10, "last": 1 << 60, **full}))
        return "\n".join(str(row) for row in cursor.fetchall())

    found = store.write_now(plan)
    assert "messages_turn" in found, found
    assert "sort" not in found.lower() and "b-tree" not in found.lower(), found


def test_a_sender_with_enough_in_work_is_passed_over(store: Store, turns: Turns) -> None:
    accept(store, turns, range(50))
    (other,) = accept(store, turns, [0], OTHER)
    assert [claim.id for claim in claimed(store, 10, full=["192.0.2.0/24"])] == [other]
    assert claimed(store, 10, full=["192.0.2.0/24", "198.51.100.0/24"]) == []
    assert {claim.turn.sender for claim in claimed(store, 10)} == {"192.0.2.0/24"}


def test_hands_that_are_kept_for_customers_take_nobody_else(store: Store, turns: Turns) -> None:
    accept(store, turns, range(5))
    known = Turns(lambda: NOW, lambda address: True)
    (customer,) = accept(store, known, [0], OTHER)
    last = int(NOW.timestamp() * 1000) - 1
    assert [claim.id for claim in claimed(store, 10, last=last)] == [customer]


def test_who_sent_what_was_slow_waits_behind_the_others_on_every_node(store: Store, turns: Turns) -> None:
    crowd = accept(store, turns, range(5))
    until = turns.charge("192.0.2.0/24", 3.0)
    store.write_now(lambda c: inbox.put_back(c, "192.0.2.0/24", until))
    store.write_now(lambda c: inbox.put_back(c, "192.0.2.0/24", until - 10))  # never back
    others = accept(store, turns, range(5), OTHER)
    assert [claim.id for claim in claimed(store, 10)] == [*others, *crowd]
    fresh = Turns(lambda: NOW)
    fresh.learn(store.read_now(lambda c: inbox.owed(c, NOW)))
    assert fresh.of(mail("x"), envelope(client=FLOOD)).at == until
    store.write_now(lambda c: inbox.forget_owed(c, NOW + timedelta(hours=1)))
    assert store.read_now(lambda c: inbox.owed(c, NOW)) == {}


def test_a_suspect_is_not_put_back_and_never_claimed_in_company(store: Store, turns: Turns) -> None:
    accept(store, turns, range(3))
    claimed(store, 1)
    store.write_now(lambda c: inbox.free_all(c, NOW))
    store.write_now(lambda c: inbox.put_back(c, "192.0.2.0/24", int(NOW.timestamp() * 1000) + 9999))
    (alone,) = claimed(store, 10)
    assert alone.suspect


def test_further_arrivals_of_one_sender_do_not_stand_before_anothers(store: Store, turns: Turns) -> None:
    accept(store, turns, [0])
    (claim,) = claimed(store, 1)
    store.write_now(lambda c: inbox.finish(c, claim, state=InboxState.DONE, due_at=None))
    accept(store, turns, [0] * 300)  # the same mail again, from the same network
    raw = mail(f"number 0 from {FLOOD}")
    given = envelope(client=OTHER)
    store.write_now(lambda c: inbox.accept(c, RawMessage(raw, given), digest_of(raw), turn=turns.of(raw, given)))
    found = store.write_now(lambda c: inbox.claim_arrivals(c, LATER, 3, 30.0))
    assert OTHER in {one.envelope.client for one in found}


def test_a_lease_that_is_renewed_is_not_free(store: Store, turns: Turns) -> None:
    accept(store, turns, range(2))
    first, second = claimed(store, 2)
    later = LATER + timedelta(seconds=25)
    lease, lost = store.write_now(lambda c: inbox.renew(c, [first], later, 30.0))
    assert (lease, lost) == (later + timedelta(seconds=30), [])
    after = LATER + timedelta(seconds=31)
    (freed,) = store.write_now(lambda c: inbox.claim(c, after, 10, 30.0)[0])
    assert (freed.id, freed.claim) == (second.id, second.claim + 1)
    assert store.write_now(lambda c: inbox.renew(c, [first, second], after, 30.0))[1] == [second]


def test_a_recheck_that_takes_longer_than_its_lease_is_not_due_again(store: Store, turns: Turns) -> None:
    accept(store, turns, [0])
    (claim,) = claimed(store, 1)
    store.write_now(lambda c: inbox.finish(c, claim, state=InboxState.DONE, due_at=LATER, recheck=1))
    (again,) = claimed(store, 1)
    later = LATER + timedelta(seconds=25)
    assert store.write_now(lambda c: inbox.renew(c, [again], later, 30.0))[1] == []
    after = LATER + timedelta(seconds=31)
    assert store.write_now(lambda c: inbox.claim(c, after, 10, 30.0)[0]) == []
    (other,) = store.write_now(lambda c: inbox.claim(c, later + timedelta(seconds=31), 10, 30.0)[0])
    assert other.claim == again.claim + 1


def test_who_comes_late_commits_nothing_although_the_mail_is_claimed_for_the_first_time_again(
    store: Store, turns: Turns
) -> None:
    """The count of attempts begins anew for a mail whose node died; the number of the claim does not."""
    accept(store, turns, [0])
    (mine,) = claimed(store, 1)
    (theirs,) = store.write_now(lambda c: inbox.claim(c, LATER + timedelta(seconds=31), 1, 30.0)[0])
    assert mine.attempts == theirs.attempts == 1
    with pytest.raises(LostClaim):
        store.write_now(lambda c: inbox.finish(c, mine, state=InboxState.DONE, due_at=None))
    store.write_now(lambda c: inbox.hand_back(c, [mine], LATER))  # and gives nothing back that is another's
    store.write_now(lambda c: inbox.finish(c, theirs, state=InboxState.DONE, due_at=None))


def test_an_arrival_that_is_lost_is_not_committed(store: Store, turns: Turns) -> None:
    accept(store, turns, [0, 0])
    (claim,) = claimed(store, 1)
    store.write_now(lambda c: inbox.finish(c, claim, state=InboxState.DONE, due_at=None))
    (mine,) = store.write_now(lambda c: inbox.claim_arrivals(c, LATER, 1, 30.0))
    store.write_now(lambda c: inbox.hold_arrival(c, mine))
    after = LATER + timedelta(seconds=31)
    (theirs,) = store.write_now(lambda c: inbox.claim_arrivals(c, after, 1, 30.0))
    with pytest.raises(LostClaim):
        store.write_now(lambda c: inbox.hold_arrival(c, mine))
    assert store.write_now(lambda c: inbox.renew(c, [mine, theirs], after, 30.0))[1] == [mine]
    store.write_now(lambda c: inbox.hand_back(c, [theirs], after))
    (again,) = store.write_now(lambda c: inbox.claim_arrivals(c, after, 1, 30.0))
    assert again.attempts == theirs.attempts  # what is handed back is not counted


@pytest.fixture
def postgres(postgresql: Any) -> Any:
    opened = Store(postgresql())
    opened.open(NOW)
    yield opened
    opened.close()


def test_nodes_that_claim_at_the_same_moment_wait_for_nobody_and_share(postgres: Store, turns: Turns) -> None:
    """Mails, rechecks, arrivals, freed mails, replies: what one node has in an open transaction another passes over."""
    accept(postgres, turns, [*range(12), 0, 1])
    for number in (0, 1):
        done = mail(f"number {number} from {FLOOD}")
        key = postgres.read_now(lambda c, done=done: inbox.id_of(c, digest_of(done), NOW))
        due = update(tables.messages).where(tables.messages.c.id == key).values(state="done", due_at=NOW)
        postgres.write_now(lambda c, due=due: c.execute(due))
    at = office(postgres.keys, postgres.key_id)
    for number in range(4):
        reply = Reply(OutboxItem(f"m{number}", "received", "en", "a@x.example", "auto", {}))
        postgres.write_now(lambda c, reply=reply: outgoing.write(c, reply, at, NOW))

    def taken(connection: Connection) -> tuple[set[int], set[int], set[int]]:
        connection.execute(text("set local lock_timeout = '10s'"))
        mails = {claim.id for claim in inbox.claim(connection, LATER, 4, 30.0)[0]}
        arrived = {claim.arrival or 0 for claim in inbox.claim_arrivals(connection, LATER, 1, 30.0)}
        replies = {claim.id for claim in outbox_rows.claim(connection, LATER, 2, 30.0)}
        return mails, arrived, replies

    engine = postgres._writer_engine
    with engine.connect() as one, engine.connect() as two, one.begin(), two.begin():
        first, second = taken(one), taken(two)
    for mine, theirs in zip(first, second, strict=True):
        assert mine and theirs and not mine & theirs

    after = LATER + timedelta(seconds=31)
    with engine.connect() as one, engine.connect() as two, one.begin(), two.begin():
        two.execute(text("set local lock_timeout = '10s'"))
        assert inbox.claim(one, after, 1, 30.0)[0]  # frees what has expired, and holds it
        inbox.claim(two, after, 1, 30.0)
    states = postgres.read_now(lambda c: c.execute(select(tables.messages.c.state)).scalars().all())
    assert len(states) == 12
