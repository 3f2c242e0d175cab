"""Whose turn it is at the relay, on both databases; who may say what became of a row; and repair of many rows at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from gateway.database import outbox as outbox_rows
from gateway.database import outbox_turns
from gateway.database.outbox import Choice
from gateway.database.statements import Query, _cursor, put, put_all
from gateway.database.store import LostClaim, Store
from gateway.database.tables import outbox, tickets
from gateway.model import ClaimedItem, OutboxItem, OutboxState
from gateway.tickets import aftermath, outgoing, views
from gateway.tickets.outgoing import Reply
from tests.samples import NOW, died, incoming, office
from tests.test_desk import MINUTE, Desk

OLD = NOW - timedelta(hours=6)


def wait(store: Store, number: int, kind: str = "auto", urgent: bool = False, created: Any = OLD, **more: Any) -> int:
    """A queued row, due since it was written unless ``next_at`` says otherwise."""
    values = {
        "event": f"e{number}", "template": {"auto": "received", "person": "answer", "staff": "staff_new"}[kind],
        "language": "en", "recipient": f"r{number}@example.de", "domain": "example.de", "kind": kind, "rfc_id": f"{number}@x",
        "context": {}, "urgent": urgent, "state": "queued", "attempts": 0, "next_at": created, "created_at": created,
        "last_error": "", "bounced": "",
    }  # fmt: skip
    return int(store.write_now(lambda c: put(c, outbox, values | more)))


def claimed(store: Store, count: int = 50, now: Any = NOW) -> list[int]:
    return [row.id for row in store.write_now(lambda c: outbox_rows.claim(c, now, count, 60))]


def state(store: Store, row: int) -> Any:
    return store.read_now(lambda c: c.execute(select(outbox).where(outbox.c.id == row)).one())


def test_what_a_customer_waits_for_now_goes_first(store: Store) -> None:
    old = [wait(store, number, created=OLD + timedelta(seconds=number)) for number in range(200)]
    old_staff = wait(store, 300, "staff", created=OLD + MINUTE * 10)
    recent = NOW - 5 * MINUTE
    staff, acknowledgement = wait(store, 301, "staff", created=recent), wait(store, 302, created=recent)
    alarm, emergency = wait(store, 303, "staff", True, recent), wait(store, 304, "auto", True, recent)
    answer = wait(store, 305, "person", True, recent)
    later = wait(store, 306, created=recent, next_at=NOW + MINUTE)
    older = wait(store, 307, created=NOW - 20 * MINUTE)
    late = wait(store, 308, created=NOW - 31 * MINUTE)
    assert claimed(store, 8) == [answer, emergency, alarm, older, acknowledgement, staff, old[0], old[1]]
    assert claimed(store, 500) == [*old[2:], old_staff, late]
    assert later in claimed(store, now=NOW + MINUTE)


@pytest.mark.fault("X61")
def test_a_new_acknowledgement_costs_no_look_at_ten_thousand_old_ones(store: Store) -> None:
    """Each kind is found in its index, and what comes after it is not asked for once enough is found."""
    wait(store, 0)
    values = store.read_now(lambda c: dict(c.execute(select(outbox)).mappings().one()))
    many = [
        values | {"id": n, "event": str(n), "rfc_id": str(n), "ticket_id": n, "next_at": OLD + n * timedelta(seconds=1)}
        for n in range(10, 5010)
    ]
    store.write_now(lambda c: put_all(c, outbox, many))

    def job(connection: Any) -> list[str]:
        if not store.is_sqlite:
            connection.execute(text("analyze outbox"))
        words, found = "explain query plan " if store.is_sqlite else "explain ", []
        for turn in outbox_turns.TURNS:
            query = Query(turn, connection.dialect, ())
            cursor = _cursor(connection)
            cursor.execute(
                words + query._sql, query._parameters({"now": NOW, "promised": NOW - 30 * MINUTE, "count": 5})
            )
            found.append(" | ".join(str(row[-1]) for row in cursor.fetchall()))
        return found

    plans = store.write_now(job)
    for number in range(1, 6):
        assert "outbox_turn" in plans[number], (number, plans[number])
    assert "outbox_due" in plans[6], plans[6]
    assert all("ix_outbox_ticket_id" in plan for plan in plans)
    assert not any("SCAN outbox" in plan or "Seq Scan" in plan for plan in plans)


@pytest.mark.fault("X61")
def test_within_a_ticket_the_order_is_kept(store: Store) -> None:
    """The answer is urgent, the acknowledgement is hours old: its recipient reads them in the order they were written."""
    for number in range(20):
        wait(store, number)
    first = wait(store, 100, ticket_id=7, recipient="anna@example.de")
    second = wait(store, 101, "person", True, NOW - MINUTE, ticket_id=7, recipient="anna@example.de")
    other = wait(store, 102, "person", True, NOW - MINUTE, ticket_id=7, recipient="else@example.de")
    assert claimed(store, 2) == [first, other], "the acknowledgement has the answer's turn"
    assert second not in claimed(store, 50), "it waits while the first one is on its way"
    mine = ClaimedItem(OutboxItem("", "received", "en", "", "auto", {}, id=first), 1, NOW)
    store.write_now(lambda c: outbox_rows.mark_sent(c, mine, NOW))
    assert claimed(store, 1) == [second]


def test_a_recipient_who_refuses_one_for_now_holds_up_no_other(store: Store) -> None:
    wait(store, 1, ticket_id=7, recipient="anna@example.de", next_at=NOW + 60 * MINUTE)
    answer = wait(store, 2, "person", True, ticket_id=7, recipient="anna@example.de")
    assert claimed(store) == [answer]


def test_what_a_dead_service_had_in_hand_is_claimed_when_its_lease_ends(store: Store) -> None:
    left = wait(store, 1, state="sending", attempts=1, lease_until=NOW - MINUTE)
    held = wait(store, 2, state="sending", attempts=1, lease_until=NOW + MINUTE)
    (row,) = store.write_now(lambda c: outbox_rows.claim(c, NOW, 5, 60))
    assert (row.id, row.attempts, row.resent) == (left, 2, True)
    assert state(store, held).attempts == 1


def test_after_an_outage_no_lease_has_ended_until_every_node_could_say_what_it_sent(store: Store) -> None:
    """The other node's reply went out while the database was away; it comes to say so in a moment."""
    whose = office(store.keys, store.key_id)
    queue = outbox_rows.StoredQueue(store, aftermath.Aftermath(lambda: whose))
    left = wait(store, 1, state="sending", attempts=1, lease_until=NOW - MINUTE, ticket_id=7, recipient="a@example.de")
    behind = wait(store, 2, "person", True, ticket_id=7, recipient="a@example.de")
    new = wait(store, 3)
    store.trouble = "it was away"
    store.trouble = ""
    assert [row.id for row in asyncio.run(queue.claim(NOW, 5, True))] == [new]
    assert (state(store, left).attempts, state(store, behind).state) == (1, "queued")
    store._troubled_at -= outbox_rows.OWED_S
    assert [row.id for row in asyncio.run(queue.claim(NOW, 5, True))] == [left]


# --------------------------------------------------------------------------- whose claim it is


def two_claims(store: Store) -> tuple[Any, Any]:
    """A row claimed twice: the first lease has ended."""
    wait(store, 1)
    (first,) = store.write_now(lambda c: outbox_rows.claim(c, NOW, 5, 60))
    (second,) = store.write_now(lambda c: outbox_rows.claim(c, NOW + 2 * MINUTE, 5, 60))
    return first, second


@pytest.mark.parametrize("how", ["later", "dead", "confirm"])
def test_who_lost_a_claim_says_nothing_of_the_row(store: Store, how: str) -> None:
    first, second = two_claims(store)
    jobs = {
        "later": lambda c: outbox_rows.mark_later(c, first, "no", NOW),
        "dead": lambda c: died(c, first, "no", office(store.keys, store.key_id), NOW),
        "confirm": lambda c: outbox_rows.confirm(c, first),
    }
    before = state(store, first.id)
    with pytest.raises(LostClaim):
        store.write_now(jobs[how])
    assert state(store, first.id) == before
    store.write_now(lambda c: outbox_rows.give_back(c, first, NOW))
    assert state(store, first.id) == before
    store.write_now(lambda c: outbox_rows.confirm(c, second))


def test_what_went_out_went_out_whoever_has_the_claim(store: Store) -> None:
    """The relay took it from the first; the second asks before it sends and hears that the row is not its own."""
    first, second = two_claims(store)
    store.write_now(lambda c: outbox_rows.mark_sent(c, first, NOW))
    assert state(store, first.id).state == "sent"
    with pytest.raises(LostClaim):
        store.write_now(lambda c: outbox_rows.confirm(c, second))
    assert claimed(store, now=NOW + timedelta(days=1)) == []


def test_a_claim_of_this_moment_is_not_asked_for_again_unless_the_database_was_away(store: Store) -> None:
    whose = office(store.keys, store.key_id)
    queue = outbox_rows.StoredQueue(store, aftermath.Aftermath(lambda: whose))
    wait(store, 1)
    (row,) = asyncio.run(queue.claim(NOW, 5, True))
    store.write_now(lambda c: c.execute(update(outbox).values(attempts=9)))  # another's now
    assert asyncio.run(queue.confirm(row, NOW)), "a moment old"
    assert not asyncio.run(queue.confirm(row, NOW + timedelta(seconds=outbox_rows.CONFIRMED_S)))
    store.trouble = "it was away"
    assert not asyncio.run(queue.confirm(row, NOW))


# --------------------------------------------------------------------------- repair


def dead(store: Store, number: int, at: Any, created: Any = OLD) -> int:
    return wait(store, number, created=created, state="dead", next_at=None, attempts=5, dead_at=at, last_error="550")


@pytest.mark.parametrize("what", ["retry", "drop"])
def test_many_rows_are_settled_at_once(store: Store, what: str) -> None:
    recent, old = dead(store, 1, NOW - MINUTE), dead(store, 2, NOW - timedelta(days=1))
    waiting, sending = wait(store, 3), wait(store, 4, state="sending", attempts=1, lease_until=NOW + MINUTE)
    sent = wait(store, 5, state="sent")
    done = dead(store, 6, NOW)
    store.write_now(lambda c: c.execute(update(outbox).where(outbox.c.id == done).values(last_error="discarded")))

    def settled(choice: Choice) -> list[int]:
        found: list[int] = []

        class Undo(Exception):
            pass

        def job(connection: Any) -> None:
            found.extend(getattr(outbox_rows, what)(connection, choice, NOW))
            raise Undo

        with pytest.raises(Undo):
            store.write_now(job)
        return found

    assert settled(Choice(state=OutboxState.DEAD)) == [recent, old]
    assert settled(Choice(state=OutboxState.DEAD, since=NOW - 10 * MINUTE)) == [recent]
    assert settled(Choice(state=OutboxState.QUEUED)) == [waiting]
    assert settled(Choice()) == [recent, old, waiting]
    assert settled(Choice(since=OLD)) == [recent, waiting]
    assert settled(Choice(ids=(old, done, sending, sent, 999))) == [old, done]


def test_what_is_tried_again_counts_as_old_and_lives_anew(store: Store) -> None:
    """Else ten thousand repaired rows would spend the budgets of new mail and have its turn."""
    row = dead(store, 1, NOW)
    new = wait(store, 2, created=NOW - MINUTE)
    assert store.write_now(lambda c: outbox_rows.retry(c, Choice(ids=(row,)), NOW)) == [row]
    found = store.write_now(lambda c: outbox_rows.claim(c, NOW, 5, 60))
    assert [(one.id, one.attempts, one.item.created_at, one.tried_from) for one in found] == [
        (new, 1, NOW - MINUTE, NOW - MINUTE),
        (row, 1, OLD, NOW),
    ]
    assert state(store, row).dead_at is None


def test_another_relay_is_asked_at_once(store: Store) -> None:
    row = wait(store, 1, next_at=NOW + 60 * MINUTE)
    assert claimed(store) == []
    assert store.write_now(lambda c: outbox_rows.hasten(c, NOW)) == 1
    assert claimed(store) == [row]


def test_what_waited_too_long_for_a_relay_that_is_away_is_given_up(store: Store) -> None:
    """It is not tried by itself then, but its ticket and its staff must know all the same."""
    at = Desk(store)
    outcome = at.take(incoming())
    before = {row.id: row for row in at.outbox()}
    kept = wait(store, 99, created=NOW + timedelta(hours=1))
    renewed = wait(store, 98, created=OLD, retry_from=NOW + timedelta(hours=1))
    now = NOW + timedelta(days=5)
    queue = outbox_rows.StoredQueue(store, aftermath.Aftermath(lambda: at.office))
    given_up = asyncio.run(queue.overdue(NOW, "relay.example:25 connecting: refused", now))
    assert given_up == len(before)
    assert {row.state for row in at.outbox() if row.id in before} == {"dead"}
    assert (state(store, kept).state, state(store, renewed).state) == ("queued", "queued")
    assert "the customer did not get this" in at.show(outcome.reference)["marks"]
    assert any("relay.example:25 connecting: refused" in line for line in at.show(outcome.reference)["trace"])


def test_the_relays_words_are_in_list_and_trace(store: Store) -> None:
    at = Desk(store)
    reference = at.take(incoming()).reference
    (row, *_) = store.write_now(lambda c: outbox_rows.claim(c, NOW, 50, 60))
    said = "mx.example:25 RCPT TO: 450 4.2.0 greylisted, come back later"
    store.write_now(lambda c: outbox_rows.mark_later(c, row, said, NOW + MINUTE))
    listed = store.read_now(lambda c: views.outbox_list(c, None, 50))
    assert said in [one["last_error"] for one in listed]
    assert any(said in line and f"outbox {row.id}" in line for line in at.show(reference)["trace"])


def test_a_reply_that_nobody_waits_for_has_no_ticket(store: Store) -> None:
    """Rows without a ticket (digests, alerts) are never in each other's way."""
    whose = office(store.keys, store.key_id)
    for number in range(3):
        reply = Reply(OutboxItem(f"digest.{number}", "staff_digest", "en", "l1@introserv.com", "staff", {}))
        store.write_now(lambda c, reply=reply: outgoing.write(c, reply, whose, NOW))
    assert len(claimed(store)) == 3
    assert store.read_now(lambda c: c.execute(select(tickets.c.id)).all()) == []
