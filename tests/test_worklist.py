"""The queue and its search on both databases, the users' rows, and what undoing an answer leaves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from gateway.database import users
from gateway.database.console_tables import console_sessions
from gateway.database.statements import put
from gateway.database.store import Store
from gateway.database.tables import (
    attachments,
    entries,
    facts,
    incident_tickets,
    incidents,
    messages,
    outbox,
    thread_ids,
    tickets,
    traces,
)
from gateway.mail import tokens
from gateway.model import Person, Priority, Role, TicketState
from gateway.tickets import (
    answering,
    casefile,
    clock,
    labels,
    listing,
    merging,
    ownership,
    people,
    splitting,
    undoing,
    word_index,
    worklist,
)
from gateway.tickets.conversation import MovedOn, Refused
from gateway.tickets.outgoing import Acting
from gateway.tickets.rights import NotAllowed
from gateway.tickets.worklist import Wanted
from tests.conftest import NOW
from tests.samples import RULES, office

OLENA = Person("olena", Role.AGENT)
NOBODY = Wanted()


def opened(store: Store, subject: str, text: str = "words", minutes: int = 0, **values: Any) -> str:
    """A ticket with one mail, its clock running for so many minutes; its reference."""
    started = NOW - timedelta(minutes=minutes)
    row: dict[str, Any] = {
        "reference": tokens.new(), "state": "open", "account": "10023", "accounts": ["10023"], "author": "anna@example.de", "author_name": "Anna",
        "trust": "verified", "question": "account", "department": "technical", "priority": "normal", "critical": False, "sensitive": [],
        "marks": [], "missing": [], "language": "de", "reply_language": "de", "subject": subject, "opened_at": started, "silence": "",
        "breached": False, "acknowledged_at": started, **clock.columns(clock.new_round(started, RULES), 1), "version": 1,
    } | values  # fmt: skip

    def written(connection: Connection) -> None:
        key = put(connection, tickets, row)
        said = {
            "ticket_id": key,
            "direction": "in",
            "author": row["author"],
            "text": text,
            "full_text": "",
            "at": started,
            "status": "shown",
        }
        entry = put(connection, entries, said | {"kind": ""})
        put(connection, facts, {"ticket_id": key, "entry_id": entry, "kind": "ips", "value": "203.0.113.7", "ownership": "own", "quoted": False, "words": ""})  # fmt: skip
        put(
            connection,
            attachments,
            {"entry_id": entry, "filename": "raid-log.txt", "type": "text/plain", "size": 1, "sha256": "0" * 64},
        )

    store.write_now(written)
    return str(row["reference"])


def shown(store: Store, wanted: Wanted, page: int = 0) -> list[str]:
    rows, _ = store.read_now(lambda connection: worklist.rows(connection, wanted, NOW, page))
    return [row["subject"] for row in rows]


def found(store: Store, words: str) -> list[str]:
    while store.write_now(word_index.catch_up):
        pass
    return shown(store, Wanted(state="all", words=words))


def test_what_is_due_first_stands_first(store: Store) -> None:
    opened(store, "later", minutes=1)
    opened(store, "sooner", minutes=20)
    opened(store, "an unverified outage", critical=True, trust="unknown")
    opened(store, "high", priority="high", critical=True)
    opened(store, "silent", round_started_at=None, target_at=None, status_at=None, limit_at=None, clock_next_at=None)
    asleep = opened(store, "asleep", minutes=25)
    opened(store, "closed", state="closed", department="financial", language="fr", account="1")
    store.write_now(lambda connection: ownership.snooze(connection, asleep, NOW + timedelta(hours=1), OLENA, NOW))
    assert shown(store, NOBODY) == ["high", "an unverified outage", "sooner", "later", "silent"]
    glance = store.read_now(lambda connection: worklist.rows(connection, NOBODY, NOW))[0][0]
    assert (glance["mails"], glance["files"]) == (1, 1)
    assert shown(store, Wanted(state="snoozed")) == ["asleep"] and shown(store, Wanted(state="closed")) == ["closed"]
    assert shown(store, Wanted(state="all", department="financial", language="fr", account="1", trust="verified")) == [
        "closed"
    ]
    assert shown(store, Wanted(trust="unknown")) == ["an unverified outage"]
    counts = store.read_now(lambda connection: worklist.counts(connection, NOW))
    assert counts == {"open": 5, "waiting": 0, "snoozed": 1, "owners": {}}
    later = NOW + timedelta(hours=2)
    rows, _ = store.read_now(lambda connection: worklist.rows(connection, NOBODY, later))
    assert "asleep" in [row["subject"] for row in rows]


def test_owner_and_tag_choose_and_pages_follow(store: Store) -> None:
    reference = opened(store, "mine")
    store.write_now(lambda connection: ownership.take(connection, reference, OLENA, NOW))
    store.write_now(lambda connection: labels.tag(connection, reference, ["raid"], [], OLENA, NOW))
    for number in range(worklist.PAGE + 2):
        opened(store, f"n{number}", minutes=1)
    assert shown(store, Wanted(owner="olena", tag="raid")) == ["mine"] and shown(store, Wanted(tag="other")) == []
    assert len(shown(store, Wanted(owner="-"))) == worklist.PAGE and len(shown(store, Wanted(owner="-"), 1)) == 2
    choices = store.read_now(lambda c: worklist.choices(c, NOW))
    assert choices == {"owners": ["olena"], "tags": ["raid"]}


def test_words_facts_names_and_beginnings_are_found(store: Store) -> None:
    opened(store, "Festplatte langsam", "Der Server r1z7og44 ist sehr langsam, bitte prüfen.")
    opened(store, "Сервер не працює", "Людмила пише: сервер не відповідає.", account="10077", author="olha@example.de")
    assert found(store, "langsam server") == ["Festplatte langsam"]
    assert found(store, "langsam відповідає") == []
    assert found(store, "відпов") == ["Сервер не працює"]
    assert len(found(store, "203.0.113.7")) == len(found(store, "raid-log")) == 2
    assert found(store, "olha@example.de") == ["Сервер не працює"] and found(store, "r1z7") == ["Festplatte langsam"]
    for odd in ('"', "'", "a' | 'b", "*", "NEAR(", "a:*", "\\", "& | !", "()", '" OR "', "%", ":", "--", "'';"):
        found(store, odd)
    assert store.read_now(word_index.behind) is False
    ids = [row.id for row in store.read_now(lambda c: list(c.execute(select(entries.c.id))))]
    store.write_now(lambda connection: word_index.forget(connection, ids))
    rows = store.read_now(lambda connection: word_index.find(connection, "langsam"))
    assert rows == []


def test_the_stamp_changes_with_whatever_happens(store: Store) -> None:
    reference = opened(store, "a")
    before = store.read_now(worklist.stamp)
    assert store.read_now(worklist.stamp) == before
    store.write_now(lambda connection: ownership.take(connection, reference, OLENA, NOW))
    after = store.read_now(worklist.stamp)
    assert after != before
    opened(store, "b")
    assert store.read_now(worklist.stamp) != after


def test_an_answer_taken_back_leaves_the_ticket_as_it_was(store: Store) -> None:
    whose, user = office(store.keys, store.key_id), (1, OLENA)
    reference = opened(store, "a", minutes=5)

    def row() -> Any:
        return store.read_now(lambda c: c.execute(select(tickets).where(tickets.c.reference == reference)).one())

    def send(at: Any = NOW, seen: int | None = None) -> int:
        return store.write_now(lambda c: answering.send(c, reference, "We look.", user, whose, at, seen))

    before = row()
    send(seen=before.version)
    assert row().state == "waiting" and row().first_response_at == NOW and row().owner == "olena"
    words = store.write_now(lambda c: answering.undo(c, reference, user, NOW + timedelta(seconds=9)))
    assert words == "We look."
    left = row()._mapping
    assert {**left, "version": 0} == {**before._mapping, "version": 0}
    for table in (outbox, thread_ids):
        assert store.read_now(lambda c, t=table: c.execute(select(t)).all()) == []
    with pytest.raises(MovedOn):
        send(seen=before.version)
    send(NOW + timedelta(minutes=1))
    with pytest.raises(Refused):
        store.write_now(lambda c: answering.undo(c, reference, user, NOW + timedelta(minutes=2)))
    due = store.read_now(lambda c: c.execute(select(outbox.c.next_at)).scalar_one())
    assert due == NOW + timedelta(minutes=1, seconds=undoing.UNDO_S)


def test_an_answer_taken_back_leaves_nobody_waiting_without_a_clock(store: Store) -> None:
    whose = office(store.keys, store.key_id)
    olena, max_, boss = (1, OLENA), (2, Person("max", Role.AGENT)), Person("boss", Role.LEAD)

    def row(reference: str) -> Any:
        return store.read_now(lambda c: c.execute(select(tickets).where(tickets.c.reference == reference)).one())

    def at(seconds: int) -> Any:
        return NOW + timedelta(seconds=seconds)

    def send(reference: str, who: Any, seconds: int = 0) -> int:
        return store.write_now(lambda c: answering.send(c, reference, "We look.", who, whose, at(seconds), None))

    def undo(reference: str, who: Any, seconds: int = 6) -> None:
        store.write_now(lambda c: answering.undo(c, reference, who, at(seconds)))

    def runs(reference: str, before: Any) -> bool:
        names = ("state", "first_response_at", "round_started_at", "target_at", "status_at", "limit_at")
        now = row(reference)
        return now.clock_next_at is not None and [getattr(now, n) for n in names] == [getattr(before, n) for n in names]

    # a note, a close, a new owner meanwhile: the clock runs on
    for meanwhile in (
        lambda c, one: labels.note(c, one, "x", boss, at(3)),
        lambda c, one: people.close(c, one, Acting(boss, whose, at(3))),
        lambda c, one: ownership.take(c, one, OLENA, at(3)),
    ):
        reference = opened(store, "a", minutes=12)
        before = row(reference)
        send(reference, olena)
        store.write_now(lambda c, act=meanwhile, one=reference: act(c, one))  # type: ignore[misc]
        undo(reference, olena)
        assert runs(reference, before) and row(reference).closed_at is None
    # the customer wrote meanwhile, or another ticket came in: the older round counts
    reference = opened(store, "a", minutes=5)
    before = row(reference)
    send(reference, olena)
    running = clock.columns(clock.new_round(at(3), RULES), 2)
    store.write_now(lambda c: c.execute(tickets.update().where(tickets.c.reference == reference).values(state="open", version=3, **running)) and None)  # fmt: skip
    undo(reference, olena)
    assert runs(reference, before) and row(reference).round == 2
    reference = opened(store, "a", minutes=5)
    send(reference, olena)
    older = opened(store, "b", minutes=9)
    store.write_now(lambda c: merging.merge(c, older, reference, boss, at(3)))
    undo(reference, olena)
    assert (row(reference).state, row(reference).round_started_at) == ("open", NOW - timedelta(minutes=9))
    # two answer: one taken back leaves the other's; both, in either order, leave none
    for first, second in ((olena, max_), (max_, olena)):
        reference = opened(store, "a", minutes=5)
        before = row(reference)
        send(reference, olena)
        send(reference, max_, 2)
        undo(reference, first)
        left = row(reference)
        assert (left.state, left.limit_at, left.first_response_at) == ("waiting", None, at(0 if first is max_ else 2))
        undo(reference, second)
        assert runs(reference, before)
    # merged away meanwhile: the answer goes
    reference, into = opened(store, "a", minutes=5), opened(store, "b", minutes=5)
    send(reference, olena)
    store.write_now(lambda c: merging.merge(c, reference, into, boss, at(3)))
    with pytest.raises(Refused, match="merged"):
        undo(reference, olena)


def test_a_close_taken_back_leaves_the_ticket_as_it_was(store: Store) -> None:
    whose, max_ = office(store.keys, store.key_id), Person("max", Role.AGENT)

    def row(reference: str) -> Any:
        return store.read_now(lambda c: c.execute(select(tickets).where(tickets.c.reference == reference)).one())

    def at(seconds: int) -> Any:
        return NOW + timedelta(seconds=seconds)

    def undo(reference: str, seconds: int, by: Person = OLENA) -> None:
        store.write_now(lambda c: undoing.undo(c, reference, by, at(seconds)))

    for spam in (False, True):
        one = opened(store, "a", minutes=5, snoozed_until=NOW + timedelta(hours=1))
        before = row(one)
        store.write_now(lambda c, r=one, s=spam: people.close(c, r, Acting(OLENA, whose, NOW), spam=s))
        assert store.read_now(lambda c: undoing.lately(c, OLENA, at(2)))[0] == {one: "close"}
        undo(one, 9)
        assert row(one) == before
        with pytest.raises(Refused):
            undo(one, 9)
    answered = opened(store, "b", minutes=5)
    store.write_now(lambda c: people.answer(c, answered, "We look.", Acting(OLENA, whose, at(10))))
    store.write_now(lambda c: people.close(c, answered, Acting(OLENA, whose, at(20))))
    undo(answered, 21)
    assert (row(answered).state, row(answered).limit_at) == ("waiting", None)
    late, told, both = (opened(store, name, minutes=5) for name in "cde")
    store.write_now(lambda c: people.close(c, late, Acting(OLENA, whose, at(40))))
    store.write_now(lambda c: people.close(c, told, Acting(OLENA, whose, at(40)), notify=True))
    store.write_now(lambda c: answering.send(c, both, "Done.", (1, OLENA), whose, at(40), and_close=True))
    assert store.read_now(lambda c: undoing.lately(c, OLENA, at(41))) == ({late: "close"}, at(50))
    for reference, seconds, by in ((late, 53, OLENA), (late, 42, max_), (told, 42, OLENA), (both, 42, OLENA)):
        with pytest.raises(Refused, match="taken back any more"):
            undo(reference, seconds, by)


def test_users_and_their_sessions(store: Store) -> None:
    def does(job: Any) -> Any:
        return store.write_now(job)

    token = does(lambda c: users.add(c, "olena", "admin", NOW))
    assert store.read_now(users.any_user)
    for name, role in (
        ("olena", "agent"),
        ("Olena", "agent"),
        ("оlеna", "agent"),
        ("gateway", "agent"),
        ("x", "king"),
        ("a b", "agent"),
        ("", "agent"),
        ("a/b", "agent"),
    ):
        with pytest.raises(users.UserFault):
            does(lambda c, n=name, r=role: users.add(c, n, r, NOW))
    late = NOW + timedelta(hours=users.INVITE_H, seconds=1)
    assert store.read_now(lambda c: users.invited(c, token, late)) is None
    assert does(lambda c: users.enrol(c, token, "hash", ("A" * 32, 5), NOW)) == "olena"
    assert does(lambda c: users.enrol(c, token, "hash", ("A" * 32, 5), NOW)) is None
    assert not does(lambda c: users.use_step(c, 1, 5)) and does(lambda c: users.use_step(c, 1, 6))
    cookie = does(lambda c: users.begin_session(c, 1, "127.0.0.1", "browser", NOW))
    who, due = store.read_now(lambda c: users.session(c, cookie, NOW))
    assert (who.name, who.role, due) == ("olena", "admin", False)
    assert store.read_now(lambda c: users.session(c, cookie, NOW + timedelta(minutes=2)))[1]
    idle = NOW + timedelta(hours=users.IDLE_H, seconds=1)
    assert store.read_now(lambda c: users.session(c, cookie, idle)) is None
    does(lambda c: users.touch(c, who.digest, idle))
    assert store.read_now(lambda c: users.session(c, cookie, idle)) is not None
    assert store.read_now(lambda c: users.session(c, cookie, NOW + timedelta(hours=users.SESSION_H))) is None
    with pytest.raises(users.UserFault, match="last admin"):
        does(lambda c: users.disable(c, "olena"))
    does(lambda c: users.reset(c, "olena", NOW))
    assert store.read_now(lambda c: c.execute(select(console_sessions)).all()) == []


def test_failed_logins_lock_longer_each_time_and_end(store: Store) -> None:
    def locked(name: str, address: str, after_s: float) -> bool:
        return store.read_now(lambda c: users.locked(c, name, address, NOW + timedelta(seconds=after_s)))

    for _ in range(5):
        assert not locked("olena", "192.0.2.1", 0)
        store.write_now(lambda c: users.failed(c, "olena", "192.0.2.1", NOW))
    assert locked("olena", "192.0.2.1", 59) and not locked("olena", "192.0.2.1", 61)
    assert not locked("olena", "192.0.2.2", 0) and not locked("max", "192.0.2.1", 0)
    store.write_now(lambda c: users.failed(c, "olena", "192.0.2.1", NOW))
    assert locked("olena", "192.0.2.1", 119)
    store.write_now(lambda c: users.succeeded(c, "olena", "192.0.2.1", NOW))
    assert not locked("olena", "192.0.2.1", 0)
    for number in range(30):  # one address, many names: the address is locked
        store.write_now(lambda c, n=number: users.failed(c, f"name{n}", "192.0.2.1", NOW))
        assert locked("anybody", "192.0.2.1", 0) is (number == 29)  # olena's own failures are forgiven
    assert not locked("anybody", "192.0.2.9", 0)
    for number in range(60):  # many addresses, one name: but not where she has logged in before; a /64 is one address
        store.write_now(lambda c, n=number: users.failed(c, "olena", f"2001:db8::{n // 4:x}:{n}:1:2:3", NOW))
    assert locked("olena", "192.0.2.7", 0) and not locked("olena", "192.0.2.1", 400)
    assert locked("olena", "2001:db8:0:0:9::9", 0) and store.read_now(
        lambda c: users.locked_names(c, ["olena", "x"], NOW)
    ) == {"olena"}
    token = store.write_now(lambda c: users.add(c, "olena", "agent", NOW) and users.reset(c, "olena", NOW))
    assert token and not locked("olena", "192.0.2.7", 0)


def test_the_list_is_in_one_order_whatever_the_states_are(store: Store) -> None:
    """It is read state by state, each in the order of an index, so that a million closed tickets are not sorted."""
    for number in range(24):
        values: dict[str, Any] = {"priority": ("high", "normal", "low")[number % 3], "critical": number % 2 == 0}
        values["state"] = ("open", "waiting", "closed")[number // 2 % 3]
        opened(
            store, f"number {number}", minutes=number * 7 % 24, **values | ({"limit_at": None} if number > 20 else {})
        )
    whole = store.read_now(lambda c: [row.id for row in c.execute(listing.chosen(listing.EVERYTHING)).all()])
    assert len(whole) == 24
    assert [row.id for row in store.read_now(lambda c: listing.listed(c, listing.EVERYTHING, 10))] == whole[:10]
    assert [row.id for row in store.read_now(lambda c: listing.listed(c, listing.EVERYTHING, 100))] == whole


@pytest.mark.parametrize(
    "wanted", [listing.EVERYTHING, listing.Filter(state=TicketState.CLOSED), listing.Filter(priority=Priority.HIGH)]
)
def test_the_list_sorts_nothing(tmp_path: Path, wanted: listing.Filter) -> None:
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    store.open(NOW)
    assert not [line for line in _plans(store, wanted) if "TEMP B-TREE" in line or line.startswith("SCAN")]
    store.close()


def test_a_word_is_found_however_often_it_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        opened(store, f"ticket {number}", f"the disk is slow rare{number}")
    for often in (0, 10**9):  # nobody says it; everybody does
        monkeypatch.setattr(word_index, "_is_common", lambda connection, asked, often=often: often > 0)
        assert found(store, "slow") == [f"ticket {number}" for number in reversed(range(6))]
        assert found(store, "rare4 disk") == ["ticket 4"] and found(store, "nothing") == []
    monkeypatch.undo()
    monkeypatch.setattr(word_index, "FOUND", 20)
    if not store.is_sqlite:
        assert store.read_now(
            lambda c: (word_index._is_common(c, "('slow':*)"), word_index._is_common(c, "('rare1')"))
        ) == (True, False)


def test_the_tickets_of_an_account_are_found_by_it(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    store.open(NOW)
    for state in (None, TicketState.CLOSED):
        assert "ix_tickets_account" in str(_plans(store, listing.Filter(state=state, account="10023")))
    store.close()


def _plans(store: Store, wanted: listing.Filter) -> list[str]:
    """The steps of each statement of a list."""
    said: list[tuple[str, Any]] = []

    def seen(connection: Connection) -> list[str]:
        listener = lambda _c, _k, statement, values, *_: said.append((statement, values))  # noqa: E731
        event.listen(connection, "before_cursor_execute", listener)
        listing.listed(connection, wanted, 100)
        event.remove(connection, "before_cursor_execute", listener)
        explained = [connection.exec_driver_sql(f"explain query plan {words}", values).all() for words, values in said]
        return [str(row[3]) for rows in explained for row in rows]

    found = store.read_now(seen)
    assert found
    return found


def test_a_snooze_and_a_merge_are_taken_back_whole(store: Store) -> None:
    whose, boss = office(store.keys, store.key_id), Person("boss", Role.LEAD)

    def row(reference: str) -> Any:
        return store.read_now(lambda c: c.execute(select(tickets).where(tickets.c.reference == reference)).one())

    def at(seconds: int) -> Any:
        return NOW + timedelta(seconds=seconds)

    def undo(reference: str, seconds: int, by: Person = boss) -> None:
        store.write_now(lambda c: undoing.undo(c, reference, by, at(seconds)))

    asleep = opened(store, "a", minutes=5, snoozed_until=NOW + timedelta(hours=1))
    before = row(asleep)
    store.write_now(lambda c: ownership.snooze(c, asleep, NOW + timedelta(days=1), boss, NOW))
    undo(asleep, 9)
    assert row(asleep) == before
    # an outage that runs goes into an answered ticket: everything of both comes back, what was part of the first too
    part, grave = opened(store, "b"), opened(store, "c", minutes=20, priority="high", critical=True, marks=["critical"])
    calm = opened(store, "d", minutes=9)
    store.write_now(lambda c: people.answer(c, calm, "We look.", Acting(boss, whose, at(1))))
    store.write_now(lambda c: merging.merge(c, part, grave, boss, at(2)))
    was = row(part), row(grave), row(calm)
    store.write_now(lambda c: merging.merge(c, grave, calm, boss, at(20)))
    assert (row(calm).priority, row(calm).state, row(part).merged_into) == ("high", "open", row(calm).id)
    assert store.read_now(lambda c: undoing.lately(c, boss, at(21)))[0] == {grave: "merge"}
    with pytest.raises(Refused):
        undo(grave, 21, OLENA)
    undo(grave, 29)
    now, then = dict(row(calm)._mapping), dict(was[2]._mapping)
    assert (row(part), row(grave)) == was[:2] and now.pop("version") > then.pop("version") and now == then
    # not when the other has moved on
    store.write_now(lambda c: merging.merge(c, grave, calm, boss, at(40)))
    store.write_now(lambda c: labels.note(c, calm, "I look at it", boss, at(41)))
    with pytest.raises(Refused, match="part it again"):
        undo(grave, 42)


def test_no_merge_makes_an_answer_older_than_its_promise(store: Store) -> None:
    whose, boss = office(store.keys, store.key_id), Person("boss", Role.LEAD)
    answered, later = opened(store, "a", minutes=10), opened(store, "b", minutes=9)
    store.write_now(lambda c: people.answer(c, answered, "We look.", Acting(boss, whose, NOW - timedelta(minutes=8))))
    # answered and written to again: its round began after the answer that the other ticket had
    store.write_now(lambda c: people.answer(c, later, "We look.", Acting(boss, whose, NOW - timedelta(minutes=7))))
    again = clock.columns(clock.new_round(NOW, RULES), 2) | {"state": "open", "promised_at": NOW}
    store.write_now(lambda c: c.execute(tickets.update().where(tickets.c.reference == later).values(**again)) and None)
    store.write_now(lambda c: merging.merge(c, later, answered, boss, NOW))
    row = store.read_now(lambda c: c.execute(select(tickets).where(tickets.c.reference == answered)).one())
    assert row.state == "open" and row.limit_at == again["limit_at"] and row.promised_at < row.first_response_at


def test_mine_is_what_i_have_not_closed_and_an_incident_has_its_tickets(store: Store) -> None:
    mine = [
        opened(store, name, minutes=5, owner="olena", state=state)
        for name, state in (("a", "waiting"), ("b", "open"), ("c", "closed"))
    ]
    opened(store, "d", owner="max")
    wanted = Wanted(state="mine", owner="olena")
    assert shown(store, wanted) == ["b", "a"]
    assert shown(store, Wanted(state="closed", owner="olena")) == ["c"] and len(mine) == 3
    assert store.read_now(lambda c: worklist.counts(c, NOW))["owners"] == {"olena": 2, "max": 1}
    at = {"opened_at": NOW, "known_since": NOW, "confirmed_by": "", "state": "suspected"}
    number = store.write_now(lambda c: put(c, incidents, {"kind": "service", "value": "x", **at}))
    key = store.read_now(lambda c: c.execute(select(tickets.c.id).where(tickets.c.reference == mine[0])).scalar_one())
    store.write_now(lambda c: put(c, incident_tickets, {"incident_id": number, "ticket_id": key, "at": NOW}))
    assert shown(store, Wanted(state="all", incident=str(number))) == ["a"]
    assert shown(store, Wanted(state="all", incident="²")) == shown(store, Wanted(state="all", incident="7" * 30)) == []
    assert store.read_now(worklist.trouble)["incidents"] == 1


def test_the_last_act_alone_is_taken_back(store: Store) -> None:
    whose, boss = office(store.keys, store.key_id), Person("boss", Role.LEAD)
    spam, *both = (opened(store, name) for name in "abc")
    store.write_now(lambda c: people.close(c, spam, Acting(boss, whose, NOW), spam=True))
    later = NOW + timedelta(seconds=2)
    for one in both:
        store.write_now(lambda c, one=one: people.close(c, one, Acting(boss, whose, later)))  # type: ignore[misc]
    undo, until = store.read_now(lambda c: undoing.lately(c, boss, later))
    assert undo == dict.fromkeys(both, "close") and until == later + timedelta(seconds=10)
    store.write_now(lambda c: undoing.undo(c, spam, boss, later))  # on its own page still


def test_other_conversations_of_the_author_are_offered(store: Store) -> None:
    whose, boss = office(store.keys, store.key_id), Person("boss", Role.LEAD)

    def came(subject: str, **values: Any) -> str:
        reference = opened(store, subject, **values)

        def mail(connection: Any) -> None:
            row = connection.execute(select(tickets).where(tickets.c.reference == reference)).one()
            put(connection, messages, {
                "digest": reference, "source": "smtp", "received_at": NOW, "rcpt_tos": [], "client_reason": "", "trusted": False, "tls": True,
                "size": 9, "state": "done", "reason": "", "attempts": 1, "suspect": False, "recheck": 0, "released": False, "authenticated": False,
                "author": row.author, "trust": row.trust, "subject": subject, "ticket_id": row.id, "turn": 1, "claim": 1, "sender": "",
            })  # fmt: skip

        store.write_now(mail)
        return reference

    for account in ("10023", None):
        author = f"x{account}@example.de"
        made = {
            name: came(name, account=account, author=author)
            for name in ("lag", "Re: lag", "other", "closed", "answered")
        }
        came("vacation", account=account, author=author, round=0)
        came("stranger", account=account, author="somebody@example.de")
        store.write_now(lambda c, made=made: people.close(c, made["closed"], Acting(boss, whose, NOW)))  # type: ignore[misc]
        store.write_now(lambda c, made=made: people.answer(c, made["answered"], "We look.", Acting(boss, whose, NOW)))  # type: ignore[misc]
        row = store.read_now(
            lambda c, made=made: c.execute(select(tickets).where(tickets.c.reference == made["lag"])).one()
        )  # type: ignore[misc]
        case = store.read_now(lambda c, row=row: casefile.read(c, row, boss, NOW))  # type: ignore[misc]
        assert [(one.subject, one.state) for one in case.same] == [
            ("Re: lag", "open"),
            ("other", "open"),
            ("answered", "waiting"),
        ]
        others = {one.subject for one in case.others}
        assert {"closed", "other", "vacation"} <= others and ("stranger" in others) is (account is not None)


def test_a_mail_is_split_off_with_what_it_brought(store: Store) -> None:
    whose, boss = office(store.keys, store.key_id), Person("boss", Role.LEAD)
    first = opened(store, "outage", minutes=5, owner="olena", priority="high", critical=True)

    def second(connection: Any) -> int:
        ticket = connection.execute(select(tickets).where(tickets.c.reference == first)).one()
        mail = {
            "digest": "d", "source": "smtp", "received_at": NOW, "rcpt_tos": [], "client_reason": "", "trusted": False, "tls": True,
            "size": 9, "state": "done", "reason": "", "attempts": 1, "suspect": False, "recheck": 0, "released": False,
            "author": ticket.author, "trust": "verified", "authenticated": True, "subject": "Invoice 231", "ticket_id": ticket.id, "turn": 1, "claim": 1, "sender": "",
        }  # fmt: skip
        message = put(connection, messages, mail)
        said = {"ticket_id": ticket.id, "message_id": message, "direction": "in", "author": ticket.author, "text": "and the invoice?",
                "full_text": "", "at": NOW, "status": "shown", "kind": ""}  # fmt: skip
        entry = int(put(connection, entries, said))
        put(connection, facts, {"ticket_id": ticket.id, "entry_id": entry, "kind": "invoices", "value": "231", "ownership": "own", "quoted": False, "words": ""})  # fmt: skip
        put(connection, traces, {"message_id": message, "ticket_id": ticket.id, "at": NOW, "lines": ["trust=verified"]})
        return entry

    entry = store.write_now(second)

    def row(reference: str) -> Any:
        return store.read_now(lambda c: c.execute(select(tickets).where(tickets.c.reference == reference)).one())

    with pytest.raises(NotAllowed):
        store.write_now(lambda c: splitting.split(c, first, entry, Acting(OLENA, whose, NOW)))
    assert row(first).version == 1 and found(store, "invoice") == ["outage"]
    opening = store.read_now(
        lambda c: c.execute(select(func.min(entries.c.id)).where(entries.c.ticket_id == row(first).id)).scalar_one()
    )
    for wrong in (0, opening, entry + 99):
        with pytest.raises(Refused):
            store.write_now(lambda c, wrong=wrong: splitting.split(c, first, wrong, Acting(boss, whose, NOW)))  # type: ignore[misc]
    made = store.write_now(lambda c: splitting.split(c, first, entry, Acting(boss, whose, NOW)))
    old, new = row(first), row(made)
    assert (new.state, new.subject, new.author, new.account, new.trust) == (
        "open",
        "Invoice 231",
        old.author,
        old.account,
        "verified",
    )
    assert (new.priority, new.critical, new.owner, new.round, new.promised_at) == ("normal", False, "", 1, NOW)
    assert new.limit_at == NOW + timedelta(seconds=RULES.clock.limit) and old.version == 2 and old.limit_at is not None
    case = store.read_now(lambda c: casefile.read(c, new, boss, NOW))
    assert [one.row.text for one in case.said if one.row.direction == "in"] == ["and the invoice?"]
    assert [(fact.kind, fact.value) for values in case.facts.values() for fact in values] == [("invoices", "231")]
    assert [line for _, _, line in case.why] == ["trust=verified"] and [one.reference for one in case.linked] == [first]
    assert "invoices" not in store.read_now(lambda c: casefile.read(c, old, boss, NOW)).facts
    assert found(store, "invoice") == ["Invoice 231"]
    store.write_now(lambda c: merging.merge(c, made, first, boss, NOW))  # all is as before
    both = store.read_now(lambda c: casefile.read(c, row(first), boss, NOW))
    assert "and the invoice?" in [one.row.text for one in both.said] and row(first).priority == "high"
