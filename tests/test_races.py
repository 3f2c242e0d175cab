"""Two writers on one ticket: whoever commits second decides on what the first has left, on both databases.

Every pair of a person's answer, another's, a close, a reopening, a release, a follow-up, a follow-up without proof, the clock, a
bounce, and the end of a reply that nobody took. The first has written and not committed yet when the second begins; what
is there in the end is what the two do one after the other. A ticket that waits for us always has a clock.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from gateway.database import inbox, tables
from gateway.database.store import Store
from gateway.model import ClaimedItem, OutboxItem, RawMessage, Turn
from gateway.tickets import aftermath, desk, openings, people, rounds, views
from gateway.tickets.occasion import Occasion
from gateway.tickets.outgoing import Acting
from tests.peers.harness import until
from tests.samples import JIM, JO, JOE, NONE, NOW, PASS, budgeted, died, envelope, incoming, mail
from tests.test_desk import MINUTE, Desk, sent

LATER = NOW + 10 * MINUTE
KINDS = ("answer", "another answer", "close", "reopen", "release", "follow-up", "no proof", "clock", "bounce", "dead")
#: what the order of two writers decides, of a ticket's columns
TELLING = (
    "state", "round", "round_started_at", "target_at", "clock_next_at", "clock_done", "first_response_at", "breached",
    "marks", "critical", "closed_at", "trust",
)  # fmt: skip


@functools.cache
def read(what: str, verdict: Any) -> Any:
    """A mail that was read and verified; where it belongs is told by ``Scene``."""
    received = NOW if what in ("first", "pending") else LATER
    return incoming(mail(f"{what}: my server is slow."), verdict=verdict, envelope_=envelope(received_at=received))


class Scene:
    """A ticket (with an answer that is on its way), a contribution without proof, and the writers of every kind."""

    def __init__(self, store: Store, answered: bool) -> None:
        self.at, self.number, self.store = Desk(store), next(NUMBERS), store
        self.at.office = replace(
            self.at.office, rules=budgeted(self.at.office.rules, budget_domain=(10**6, 1.0), budget_total=(10**6, 1.0))
        )
        self.reference, self.answer_row = "", None
        store.write_now(lambda connection: self._build(connection, answered))

    def _build(self, c: Connection, answered: bool) -> None:
        whose = self.at.office
        c.execute(tables.suppressions.delete())  # the bounce of another scene
        self.reference = desk.commit(Occasion(c, *self._accepted(c, "first", PASS), whose, NOW)).reference or ""
        self.pending = self._accepted(c, "pending", NONE)
        desk.commit(Occasion(c, *self.pending, whose, NOW))
        ticket = people.ticket(c, self.reference).id
        mine = select(tables.outbox).where(tables.outbox.c.ticket_id == ticket)
        (self.acknowledged,) = c.execute(mine.where(tables.outbox.c.kind == "auto")).all()
        c.execute(update(tables.outbox).where(tables.outbox.c.ticket_id == ticket).values(state="sent", next_at=None))
        if answered:
            row = people.answer(c, self.reference, "We are on it.", Acting(JOE, whose, NOW + MINUTE))
            values = {"state": "sending", "attempts": 1, "lease_until": NOW + 1000 * MINUTE}
            c.execute(update(tables.outbox).where(tables.outbox.c.id == row).values(values))
            item = OutboxItem("", "answer", "en", "", "person", {}, ticket, row, created_at=NOW)
            self.answer_row = ClaimedItem(item, 1, NOW)
        self.follow = self._accepted(c, "follow-up", PASS)
        self.unproven = self._accepted(c, "no proof", NONE)

    def _accepted(self, c: Connection, what: str, verdict: Any) -> tuple[Any, Any]:
        given = read(what, verdict)
        told = {"subject": f"Re: [{self.reference}]" if self.reference else f"Question {self.number}",
                "message_id": f"{what[:5]}{self.number}@example.de"}  # fmt: skip
        given = replace(given, reading=replace(given.reading, parsed=replace(given.reading.parsed, **told)))
        raw = mail(what)
        accepted = inbox.accept(c, RawMessage(raw, given.envelope), f"{what} {self.number}", LATER + 1000 * MINUTE)
        lease = LATER + 1000 * MINUTE
        return inbox.claim_of(accepted, RawMessage(raw, given.envelope), lease, Turn("smtp", 0)), given

    def job(self, kind: str) -> Callable[[Connection], Any]:
        whose, reference = self.at.office, self.reference
        jobs: dict[str, Callable[[Connection], Any]] = {
            "answer": lambda c: people.answer(c, reference, "Done.", Acting(JIM, whose, LATER)),
            "another answer": lambda c: people.answer(c, reference, "Done.", Acting(JO, whose, LATER + MINUTE)),
            "close": lambda c: people.close(c, reference, Acting(JIM, whose, LATER)),
            "reopen": lambda c: people.reopen(c, reference, Acting(JIM, whose, LATER)),
            "release": lambda c: people.release(c, self.pending[0].id, Acting(JIM, whose, LATER)),
            "follow-up": lambda c: desk.commit(Occasion(c, *self.follow, whose, LATER)),
            "no proof": lambda c: desk.commit(Occasion(c, *self.unproven, whose, LATER)),
            "clock": lambda c: rounds.tick(c, whose, NOW + 16 * MINUTE),
            "bounce": lambda c: aftermath.record_bounce(c, self.acknowledged.id, "5.1.1", whose, LATER),
            "dead": lambda c: died(c, self.answer_row, "550", whose, LATER) if self.answer_row else None,
        }
        return jobs[kind]

    def found(self) -> dict[str, Any]:
        t = tables.tickets
        row = self.store.read_now(lambda c: c.execute(select(t).where(t.c.reference == self.reference)).one())
        shown = self.store.read_now(lambda c: views.ticket_show(c, row))
        texts = sorted((entry["status"], entry["text"]) for entry in shown["entries"])
        return {name: getattr(row, name) for name in TELLING} | {"entries": texts}


def held(store: Store, job: Callable[[Connection], Any], begun: Callable[[], None]) -> None:
    """Commits ``job`` after ``begun``, which runs when everything is written."""

    def both(connection: Connection) -> None:
        job(connection)
        begun()

    store.write_now(both)


def beside(first: Store, second: Store, one: Callable[[Connection], Any], two: Callable[[Connection], Any]) -> None:
    """``two`` begins when ``one`` has written and not committed, and goes as far as it can."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            second.write_now(two)
        except BaseException as error:  # it is raised where the test can see it
            faults.append(error)

    thread = threading.Thread(target=run)

    def begun() -> None:
        thread.start()
        if not first.is_sqlite:  # where it would wait at its very beginning
            until(lambda: not thread.is_alive() or waits(first), 30, "the second writer")

    held(first, one, begun)
    thread.join(60)
    assert not thread.is_alive() and faults == []


def waits(store: Store) -> bool:
    """Whether a session waits for a lock of another."""
    query = text(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )
    with store._reader_engine.connect() as connection:
        return bool(connection.execute(query).scalar())


@pytest.mark.parametrize("answered", [False, True], ids=["not answered", "answered"])
@pytest.mark.parametrize("pair", list(itertools.permutations(KINDS, 2)), ids=" then ".join)
def test_two_writers(shared: tuple[Store, Store], pair: tuple[str, str], answered: bool) -> None:
    store, other = shared
    if store.is_sqlite and not answered:
        pytest.skip("SQLite has one writer; the other half is enough to see it")
    first, second = pair
    raced = Scene(store, answered)
    beside(store, other, raced.job(first), raced.job(second))
    if "clock" in pair:  # it leaves a ticket alone that somebody has in hand, and comes back to it
        store.write_now(raced.job("clock"))
    came = raced.found()
    serial = Scene(store, answered)
    for kind in (*pair, *(["clock"] if "clock" in pair else [])):
        store.write_now(serial.job(kind))
    assert came == serial.found()
    assert store.read_now(openings.unwatched) == []


NUMBERS = itertools.count(1)
CLOCKS = ("staff_alert", "status", "staff_breach")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """Two stores on one database for all the pairs, which each have tickets of their own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('races') / 'gateway.db'}"
    else:
        url = request.getfixturevalue("postgresql")()
    store = Store(url)
    store.open(NOW)
    another = Store(url)
    another.open(NOW)
    yield store, another
    another.close()
    store.close()


def test_many_writers_at_once_leave_no_ticket_without_a_clock(shared: tuple[Store, Store]) -> None:
    """Everybody at the same time, in the order that chance gives: also deadlocks come out well."""
    store, other = shared
    scenes = [Scene(store, True) for _ in range(4)]
    jobs = [
        (which, scene.job(kind))
        for scene in scenes
        for which, kind in zip(
            itertools.cycle((store, other)),
            ("answer", "follow-up", "no proof", "clock", "bounce", "release", "dead"),
            strict=False,
        )
    ]
    done = [which.submit(job) for which, job in jobs]
    for future in done:
        future.result(60)
    assert store.read_now(openings.unwatched) == []
    for scene in scenes:
        found = scene.found()
        assert found["state"] in ("open", "waiting")
        assert (found["clock_next_at"] is not None) or found["state"] == "waiting"


def test_the_clocks_of_two_nodes_tell_everything_once(request: pytest.FixtureRequest, database: str) -> None:
    """Both look at the same minute, again and again: each ticket is told of once, and what one left the other does."""
    nodes = Store(database), Store(database)
    for node in nodes:
        node.open(NOW)
        request.addfinalizer(node.close)
    at = Desk(nodes[0])
    for number in range(6):
        raw = mail(
            f"The disk of order #12345{number} is slow.", f"Disk {number}", Message_ID=f"<clock{number}@example.de>"
        )
        at.take(incoming(raw), raw)
    sent(at, NOW)
    for minute in (15, 25, 30, 31):
        now = NOW + minute * MINUTE
        ticks = [node.submit(lambda c, now=now: rounds.tick(c, at.office, now)) for _ in range(3) for node in nodes]
        for tick in ticks:
            tick.result(60)
    told = Counter((row.template, row.ticket_id, row.recipient) for row in at.outbox() if row.template in CLOCKS)
    assert set(told.values()) == {1}
    assert Counter(template for template, _, _ in told) == {"staff_alert": 6, "status": 6, "staff_breach": 12}


# --------------------------------------------------------------------------- the standing check


def at_desk(store: Store) -> tuple[Desk, str]:
    at = Desk(store)
    return at, at.take(incoming()).reference or ""


def test_a_ticket_that_no_clock_watches_is_found_and_mended(store: Store) -> None:
    at, reference = at_desk(store)
    assert at.status()["problems"] == []
    stopped = update(tables.tickets).values(round_started_at=None, clock_next_at=None, target_at=None, limit_at=None)
    store.write_now(lambda c: c.execute(stopped))
    (problem,) = at.status()["problems"]
    assert reference in problem and "gateway tickets reopen" in problem
    store.write_now(lambda c: people.reopen(c, reference, Acting(JOE, at.office, LATER)))
    assert at.status()["problems"] == []
    assert at.show(reference)["target_at"] == (LATER + 15 * MINUTE).isoformat()


def test_a_running_round_with_nothing_due_is_found(store: Store) -> None:
    at, reference = at_desk(store)
    store.write_now(lambda c: c.execute(update(tables.tickets).values(clock_next_at=None)))
    assert [reference in problem for problem in at.status()["problems"]] == [True]


def test_what_never_had_a_clock_or_is_past_its_limit_is_not_taken_for_it(store: Store) -> None:
    at, _ = at_desk(store)
    at.tick(NOW + 31 * MINUTE)  # a breach, which is told otherwise
    machine = mail("I am away.", Message_ID="<auto@example.de>", Auto_Submitted="auto-replied")
    at.take(incoming(machine), machine)
    assert store.read_now(openings.unwatched) == []


@pytest.mark.parametrize("how", ["reopen", "dead", "release"])
def test_whatever_opens_a_ticket_again_starts_its_clock(store: Store, how: str) -> None:
    scene = Scene(store, True)
    if how == "reopen":
        store.write_now(scene.job("close"))
    if how == "release":
        store.write_now(scene.job("close"))
    store.write_now(scene.job(how))
    found = scene.found()
    assert (found["state"], found["target_at"], found["closed_at"]) == ("open", LATER + 15 * MINUTE, None)


# --------------------------------------------------------------------------- the clock starts at the receipt


def test_the_clock_starts_at_the_receipt_however_late_the_mail_is_worked_on(store: Store) -> None:
    at = Desk(store)
    late = NOW + timedelta(hours=2)
    first = at.take(incoming(), now=late)
    shown = at.show(first.reference)
    assert (shown["opened_at"], shown["target_at"], shown["limit_at"]) == (
        NOW.isoformat(), (NOW + 15 * MINUTE).isoformat(), (NOW + 30 * MINUTE).isoformat(),
    )  # fmt: skip
    assert at.tick(late) == ["target", "status", "limit"], "found late, and recorded as that"
    store.write_now(lambda c: people.answer(c, first.reference or "", "Words.", Acting(JOE, at.office, late)))
    received = late + MINUTE
    raw = mail("Still slow.", f"Re: [{first.reference}]", Message_ID="<next@example.de>")
    at.take(incoming(raw, envelope_=envelope(received_at=received)), raw, now=late + timedelta(hours=3))
    assert at.show(first.reference)["target_at"] == (received + 15 * MINUTE).isoformat()
