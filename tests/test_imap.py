"""The mailbox way in against a server that misbehaves: no loss, no second ticket, no busy loop, bounded memory."""

from __future__ import annotations

import re
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.database.store import Store
from gateway.database.tables import messages, notices, outbox
from gateway.ingest import settings, sources
from gateway.ingest.halt import Halt
from gateway.ingest.imap import Mailbox
from gateway.ingest.imap_folders import RECONCILE_S
from gateway.tickets import mailboxes
from tests import samples
from tests.imap_server import Box, Server
from tests.samples import NOW, mail

MB = 1024 * 1024


class Ticking:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Virtual(Halt):
    """Waits in no time: pauses move the clock, and ``until`` says when the reading is to end."""

    def __init__(self, clock: Ticking, until: Callable[[], bool], most: int = 30) -> None:
        super().__init__()
        self._clock, self._until, self._most = clock, until, most
        self.pauses: list[float] = []
        self.idles = 0

    def _waited(self, seconds: float) -> None:
        self._clock.now += timedelta(seconds=seconds)
        if self._until() or len(self.pauses) + self.idles >= self._most:
            self.set()

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._waited(seconds)

    def readable(self, sock: socket.socket, seconds: float) -> bool:
        self.idles += 1
        self._waited(seconds)
        return False


class Bench:
    """A store, a server, and our client between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Ticking()
        self.store = Store(f"sqlite:///{folder / 'gateway.db'}")
        self.store.open(NOW)
        self.server = Server()

    def account(self, **more: Any) -> settings.Imap:
        given = {
            "name": "box", "host": "127.0.0.1", "port": self.server.port, "security": "none", "username": "support",
            "done_folder": "Done", "failed_folder": "Failed", "start_from": "all", "timeout": "700ms",
        } | more  # fmt: skip
        return settings.Imap.model_validate(given)

    def read(self, until: Callable[[], bool] | None = None, most: int = 30, tokens: Any = None, **more: Any) -> Virtual:
        """Runs the client in its thread until it has nothing to do any more, or ``most`` waits are over."""
        account = self.account(**more)
        ledger = sources.StoredLedger(self.store, "box", "imap", 600.0, self.clock, lambda: None)
        halt = Virtual(self.clock, until or (lambda: self.clean() and halt.idles > 0), most)
        reader = Mailbox(account, lambda: "secret", tokens, ledger, halt, self.clock, 25 * MB)
        thread = threading.Thread(target=reader.run)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "the client does not end"
        halt.close()
        return halt

    def clean(self) -> bool:
        return not self.server.boxes["INBOX"].mails

    def rows(self) -> list[Any]:
        return self.store.read_now(lambda c: c.execute(select(messages).order_by(messages.c.id)).all())

    def source(self) -> Any:
        (row,) = self.store.read_now(mailboxes.rows)
        return row

    def close(self) -> None:
        self.server.close()
        self.store.close()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def fill(at: Bench, count: int = 5) -> list[bytes]:
    mails = [mail(f"mail {number}") for number in range(count)]
    for raw in mails:
        at.server.boxes["INBOX"].add(raw)
    return mails


def once(step: str, how: str, turn: int = 1) -> Callable[[str, str], str]:
    """Misbehaves the ``turn``-th time that a step is reached, and never again."""
    seen = 0

    def fault(name: str, line: str) -> str:
        nonlocal seen
        seen += name == step
        return how if name == step and seen == turn else ""

    return fault


STEPS = ["greeting", "LOGIN", "NAMESPACE", "SELECT", "SEARCH", "LIST", "BODY", "MOVE", "IDLE", "DONE"]


@pytest.mark.fault("X65")
@pytest.mark.parametrize("how", ["bye", "drop", "stall"])
@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_breaks_off_at_any_step_costs_nothing(at: Bench, step: str, how: str) -> None:
    fill(at)
    at.server.fault = once(step, how)
    halt = at.read(until=lambda: at.clean() and at.server.connections >= 2 and len(at.server.steps("DONE")) >= 1)
    assert [row.size for row in at.rows()] == [len(m.raw) for m in at.server.boxes["Done"].mails]
    assert len(at.rows()) == 5
    assert at.server.connections == 2
    assert len(halt.pauses) == 1
    assert 1.0 <= halt.pauses[0] < 10  # also at LOGIN: a lost connection is no refused account


@pytest.mark.parametrize("how", ["half", "long", "short", "drip"])
def test_a_literal_that_is_not_what_it_says_is_fetched_again(at: Bench, how: str) -> None:
    mails = fill(at)
    at.server.fault = once("BODY", how)
    at.read()
    assert len(at.rows()) == len(mails)
    assert {len(raw) for raw in mails} == {row.size for row in at.rows()}
    assert len(at.server.boxes["Done"].mails) == len(mails)


@pytest.mark.fault("X69")
@pytest.mark.parametrize(
    "how", ["long", "half", "huge", "drop", "nothing", "empty", "silent", "no:[SERVERBUG] internal error"]
)
def test_a_mail_that_can_never_be_fetched_is_set_aside_and_told(at: Bench, how: str) -> None:
    fill(at, 3)
    poison = at.server.boxes["INBOX"].add(mail("poison"))
    fill(at, 2)
    at.server.fault = lambda step, line: how if step == "BODY" and str(poison.uid) in _uids(line) else ""
    halt = at.read()
    assert len(at.rows()) == 3  # three of five are the same mails again
    assert [m.uid for m in at.server.boxes["INBOX"].mails] == []
    assert [m.raw for m in at.server.boxes["Failed"].mails] == [poison.raw]
    (line,) = at.store.read_now(lambda c: c.execute(select(notices.c.line)).scalars().all())
    assert f"UID {poison.uid}" in line
    assert at.server.connections <= 6
    assert all(seconds >= 1 for seconds in halt.pauses)


def _uids(line: str) -> set[str]:
    found: set[str] = set()
    for item in line.split(","):
        first, _, last = item.partition(":")
        found |= {str(uid) for uid in range(int(first), int(last or first) + 1)}
    return found


def test_a_folder_that_is_refused_is_no_busy_loop(at: Bench) -> None:
    fill(at)
    at.server.fault = lambda step, line: "no:[SERVERBUG] not now" if step == "SELECT" else ""
    halt = at.read(until=lambda: False, most=9)
    assert at.server.connections == len(halt.pauses) == 9
    assert sum(halt.pauses) > 200
    assert max(halt.pauses) <= 121
    assert at.source().state == "away"
    assert "INBOX" in at.source().error and "not now" in at.source().error
    assert at.source().next_retry_at is not None
    at.server.fault = lambda step, line: ""
    at.read()
    assert len(at.rows()) == 5


@pytest.mark.fault("X65")
def test_a_refused_login_waits_five_minutes_and_is_a_state_of_its_own(at: Bench) -> None:
    fill(at)
    at.server.fault = lambda step, line: "no:[AUTHENTICATIONFAILED] wrong" if step == "LOGIN" else ""
    halt = at.read(until=lambda: False, most=4)
    assert at.server.connections == 4
    assert min(halt.pauses) >= 300
    assert at.source().state == "auth_failed"
    assert "secret" not in at.source().error


def test_a_server_that_cannot_log_in_anybody_now_is_not_an_account_refused(at: Bench) -> None:
    fill(at)
    at.server.fault = once("LOGIN", "no:[UNAVAILABLE] the user database is away")
    halt = at.read()
    assert len(at.rows()) == 5
    assert halt.pauses[0] < 10


@pytest.mark.fault("X70")
def test_a_silent_death_in_idle_is_noticed_within_ten_minutes(at: Bench) -> None:
    """No FIN comes: only the renewal shows that nobody answers."""
    stalled, began, again = once("DONE", "stall"), at.clock.now, []

    def fault(step: str, line: str) -> str:
        if step == "greeting" and at.server.connections == 2:
            again.append(at.clock.now)
        return stalled(step, line)

    at.server.fault = fault
    at.read(until=lambda: bool(again), poll_interval="9m", idle="8m")
    assert began < again[0] < began + timedelta(minutes=10)


@pytest.mark.fault("X68")
def test_a_mail_larger_than_we_take_is_a_stub_and_goes_to_the_failed_folder(at: Bench) -> None:
    head = b"From: a@b.example\r\nTo: support@introserv.com\r\nSubject: the logs\r\nMessage-ID: <big@b.example>\r\n\r\n"

    def part(offset: int, length: int) -> bytes:
        return (head + b"x" * MB)[offset : offset + length] if offset < MB else b"y" * min(length, 100 * MB - offset)

    at.server.boxes["INBOX"].add(part, size=100 * MB)  # type: ignore[arg-type]
    fill(at, 1)
    tracemalloc.start()
    at.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    big, small = at.rows()
    assert big.size == MB and f"of {100 * MB} octets" in big.client_reason
    assert small.size < MB
    assert len(at.server.boxes["Failed"].mails) == len(at.server.boxes["Done"].mails) == 1
    assert at.server.sent < 2 * MB
    assert peak < 20 * MB


def test_a_large_mail_goes_on_where_the_connection_broke(at: Bench) -> None:
    raw = mail("large").partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + (b"z" * 998 + b"\r\n") * 9000
    at.server.boxes["INBOX"].add(raw)
    turns = 0

    def fault(step: str, line: str) -> str:
        nonlocal turns
        turns += step == "BODY"
        return "drop" if step == "BODY" and turns % 3 == 0 else ""

    at.server.fault = fault
    at.read()
    (row,) = at.rows()
    assert row.size == len(raw)
    assert at.server.sent < len(raw) + 3 * MB


def test_a_hundred_thousand_mails_are_listed_in_lines_that_can_be_read(at: Bench) -> None:
    box = at.server.boxes["INBOX"] = Box(uidvalidity=7)
    old = NOW - timedelta(days=30)
    for _ in range(100_000):
        box.add(b"", size=1, at=old)
    at.read(until=lambda: True, start_from="now")
    assert at.rows() == []
    assert at.server.steps("SEARCH") == []  # nothing of it is looked at
    wanted = mail("new")
    box.add(wanted, at=NOW + timedelta(seconds=1))
    at.read(until=lambda: bool(at.rows()), start_from="now")
    assert len(at.rows()) == 1
    # every UID changes: what is old is told by its date, and the one that we have by its identity
    box.uidvalidity = 8
    for stored in box.mails:
        stored.uid += 1_000_000
    box.uidnext += 1_000_000
    box.add(mail("newer"), at=NOW + timedelta(minutes=1))
    at.read(until=lambda: len(at.rows()) == 2, start_from="now")
    assert [row.size for row in at.rows()] == [len(wanted), len(mail("newer"))]
    assert len(at.server.steps("SEARCH")) >= 3


@pytest.mark.fault("X67")
def test_a_mail_that_another_client_deletes_meanwhile_is_skipped(at: Bench) -> None:
    fill(at)
    box = at.server.boxes["INBOX"]

    def fault(step: str, line: str) -> str:
        if step == "LIST" and len(box.mails) == 5:
            del box.mails[1]
        elif step == "BODY" and len(box.mails) == 4:
            del box.mails[2]
        return ""

    at.server.fault = fault
    halt = at.read()
    assert len(at.rows()) == 3
    assert halt.pauses == []
    assert at.server.connections == 1


@pytest.mark.parametrize(
    ("step", "how"),
    [("LIST", "unsized"), ("LIST", "silent"), ("BODY", "empty"), ("BODY", "silent"), ("SEARCH", "silent")],
)
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_missing_in_an_answer_is_asked_for_again(at: Bench, step: str, how: str, times: int) -> None:
    fill(at)
    seen = 0

    def fault(name: str, line: str) -> str:
        nonlocal seen
        seen += name == step
        return how if name == step and seen <= times else ""

    at.server.fault = fault
    halt = at.read()
    assert len(at.rows()) == 5
    assert len(at.server.boxes["Done"].mails) == 5
    assert sum(halt.pauses) < 30


def test_a_server_that_never_says_a_size_is_read_all_the_same(at: Bench) -> None:
    mails = fill(at)
    at.server.fault = lambda step, line: "unsized" if step == "LIST" else ""
    halt = at.read()
    assert {row.size for row in at.rows()} == {len(raw) for raw in mails}
    assert halt.pauses == []


def test_an_answer_to_search_may_have_several_lines(at: Bench) -> None:
    fill(at)
    at.server.fault = lambda step, line: "lines" if step == "SEARCH" else ""
    assert at.read().pauses == []
    assert len(at.rows()) == 5


def test_a_uid_that_is_listed_a_moment_later_is_taken_at_the_next_look(at: Bench) -> None:
    fill(at)
    at.server.late = {3}
    began, reads = at.clock.now, []

    def until() -> bool:
        if len(at.rows()) == 4 and 3 in at.server.late:
            at.server.late = set()
        if len(at.rows()) == 5:
            reads.append(at.clock.now)
        return len(at.rows()) == 5

    at.read(until=until, poll_interval="30s")
    assert len(at.rows()) == 5
    assert reads[0] - began <= timedelta(minutes=2)


def test_a_uid_that_never_comes_holds_the_folder_up_for_ten_minutes_only(at: Bench) -> None:
    fill(at)
    del at.server.boxes["INBOX"].mails[2]
    began = at.clock.now
    at.read(until=lambda: at.clock.now - began > timedelta(minutes=12), done_folder=None, poll_interval="1m")
    asked = len(at.server.steps("SEARCH"))
    assert 5 <= asked <= 14
    at.read(until=lambda: at.clock.now - began > timedelta(minutes=20), done_folder=None, poll_interval="1m")
    assert len(at.server.steps("SEARCH")) == asked


@pytest.mark.fault("X66")
def test_a_crash_between_storing_and_moving_makes_no_second_mail(at: Bench) -> None:
    fill(at)
    at.server.fault = lambda step, line: "drop" if step == "MOVE" else ""
    at.read(until=lambda: False, most=3)
    assert len(at.rows()) == 5
    assert len(at.server.boxes["INBOX"].mails) == 5
    bodies = len(at.server.steps("BODY"))
    at.server.fault = lambda step, line: ""
    at.read()
    assert len(at.server.steps("BODY")) == bodies  # moved without being fetched again
    assert len(at.rows()) == 5
    assert len(at.server.boxes["Done"].mails) == 5


@pytest.mark.fault("X64")
def test_a_changed_uidvalidity_makes_no_second_mail(at: Bench) -> None:
    fill(at)
    at.read(until=lambda: len(at.rows()) == 5, done_folder=None)
    box = at.server.boxes["INBOX"]
    box.uidvalidity += 1
    for stored in box.mails:
        stored.uid += 100
    box.uidnext += 100
    box.add(mail("another"))
    at.read(until=lambda: len(at.rows()) == 6, done_folder=None)
    assert len(at.rows()) == 6
    assert len(box.mails) == 6


def test_without_move_it_is_copied_marked_and_expunged_by_uid(at: Bench) -> None:
    fill(at)
    at.server.capabilities = "IMAP4rev1 UIDPLUS"
    at.read(until=lambda: at.clean() and bool(at.server.steps("EXPUNGE")))
    assert len(at.server.boxes["Done"].mails) == 5
    assert at.server.steps("STORE") and at.server.steps("EXPUNGE")


def test_without_uidplus_nothing_is_expunged(at: Bench) -> None:
    fill(at)
    at.server.capabilities = "IMAP4rev1"
    halt = (
        at.read(until=lambda: len(halt_list) > 2, most=4) if (halt_list := []) else at.read(until=lambda: False, most=3)
    )
    assert len(at.server.boxes["Done"].mails) == 5  # once each, however often it looked
    assert at.server.steps("EXPUNGE") == []
    assert halt.idles == 0  # no IDLE either: it pauses


@pytest.mark.fault("X71")
def test_a_full_done_folder_is_told_and_tried_again(at: Bench) -> None:
    fill(at)
    at.server.boxes["Done"] = Box()
    at.server.fault = lambda step, line: "no:[OVERQUOTA] full" if step == "MOVE" else ""
    at.read(until=lambda: False, most=3)
    assert len(at.rows()) == 5
    assert "OVERQUOTA" in at.source().error
    assert at.source().state == "connected"
    at.server.fault = lambda step, line: ""
    at.read()
    assert len(at.server.boxes["Done"].mails) == 5
    assert at.source().error == ""


def test_the_junk_folder_is_read_marked_and_left_alone(at: Bench) -> None:
    junk = at.server.boxes["Junk"] = Box()
    junk.add(mail("buy this"))
    fill(at, 1)
    at.read(junk_folder="Junk")
    assert [row.source for row in at.rows()] == ["junk:box", "imap:box"]
    assert len(junk.mails) == 1


def test_a_missing_junk_folder_does_not_stop_the_mail(at: Bench) -> None:
    fill(at, 2)
    at.read(junk_folder="Spam")
    assert len(at.rows()) == 2
    assert "junk_folder Spam" in at.source().error


def test_the_time_of_receipt_is_the_servers_but_never_ahead(at: Bench) -> None:
    box = at.server.boxes["INBOX"]
    box.add(mail("past"), at=NOW - timedelta(hours=2))
    box.add(mail("ahead"), at=NOW + timedelta(days=2))
    at.read()
    past, ahead = at.rows()
    assert past.received_at == NOW - timedelta(hours=2)
    assert NOW <= ahead.received_at <= at.clock.now


@pytest.mark.parametrize("odd", ["31-Dec-9999 23:59:59 -1200", "28-Nov-2026 10:00:00 +9999"])
def test_a_time_of_receipt_that_no_calendar_has_stops_no_mailbox(at: Bench, odd: str) -> None:
    box = at.server.boxes["INBOX"]
    box.add(mail("odd"), at=odd)
    box.add(mail("usual"), at=NOW - timedelta(hours=2))
    at.read()
    first, second = at.rows()
    assert NOW <= first.received_at <= at.clock.now
    assert second.received_at == NOW - timedelta(hours=2)


def test_the_daily_comparison_takes_in_what_was_missed(at: Bench) -> None:
    fill(at, 3)
    box = at.server.boxes["INBOX"]
    hidden, began = box.mails.pop(1), at.clock.now
    at.read(until=lambda: at.clock.now - began > timedelta(minutes=12), done_folder=None, poll_interval="1m")
    box.mails.insert(1, hidden)  # below the highest UID that we have seen
    at.read(until=lambda: True, done_folder=None)
    assert len(at.rows()) == 2
    at.clock.now += timedelta(seconds=RECONCILE_S)
    at.read(until=lambda: len(at.rows()) == 3, done_folder=None)
    assert len(at.rows()) == 3


def test_seen_means_nothing_and_is_never_set(at: Bench) -> None:
    fill(at, 2)
    at.read(done_folder=None, until=lambda: len(at.rows()) == 2)
    assert at.server.steps("STORE") == []
    assert any("BODY.PEEK[]" in items for items in at.server.steps("ITEMS"))
    assert not any(re.search(r"BODY\[|RFC822(?!\.SIZE)", items) for items in at.server.steps("ITEMS"))


def test_staff_are_told_of_a_refused_account_once_however_often_it_is_looked_at(at: Bench) -> None:
    at.server.fault = lambda step, line: "no:[AUTHENTICATIONFAILED] wrong" if step == "LOGIN" else ""
    at.read(until=lambda: False, most=3)
    office = samples.office(at.store.keys, at.store.key_id)
    told: list[str] = []
    for minute in (5, 11, 12, 60):
        at.clock.now = NOW + timedelta(minutes=minute)
        told += at.store.write_now(lambda c: mailboxes.alerts(c, office, at.clock.now, NOW))
    assert len(told) == 1
    assert "has not been read for 0:11:00 (auth_failed: the server refuses our login" in told[0]
    at.server.fault = lambda step, line: ""
    at.read(until=lambda: True, start_from="now")
    told += at.store.write_now(lambda c: mailboxes.alerts(c, office, at.clock.now, NOW))
    told += at.store.write_now(lambda c: mailboxes.alerts(c, office, at.clock.now, NOW))
    assert told[1:] == ["the mailbox box is read again"]
    # while the service itself was down, no mailbox was silent
    hour, up = at.clock.now + timedelta(hours=1), at.clock.now + timedelta(minutes=59)
    assert at.store.write_now(lambda c: mailboxes.alerts(c, office, hour, up)) == []
    rows = at.store.read_now(lambda c: c.execute(select(outbox.c.recipient, outbox.c.kind)).all())
    addresses = {*office.staff.technical, *office.staff.escalation}
    assert sorted(row.recipient for row in rows) == sorted([*addresses, *addresses])
