"""A clock that is ahead for a moment removes nothing, and makes nobody wait once it is right."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from gateway.database import tables
from gateway.database.store import Store
from gateway.tickets import clock, moved_clock
from gateway.tickets.clockwork import Clockwork
from gateway.tickets.health import NAMES
from gateway.tickets.moved_clock import Longest
from gateway.tickets.settings import Incidents
from gateway.tickets.steadiness import Drift, Steadiness, in_words, since_boot
from tests.samples import NOW, incoming, mail
from tests.test_desk import Desk

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@dataclass
class Clocks:
    """A wall clock that may be set, and one that only runs."""

    wall: datetime = NOW
    ran_s: float = 1000.0

    def on(self, by: timedelta) -> None:
        self.wall, self.ran_s = self.wall + by, self.ran_s + by.total_seconds()

    def begun(self, last: datetime | None) -> Steadiness:
        return Steadiness(Drift(lambda: self.wall, lambda: self.ran_s), last)


@pytest.mark.parametrize("last", [None, NOW - HOUR, NOW - 23 * HOUR, NOW + MINUTE])
def test_a_clock_that_goes_on_where_it_was_seen_is_believed(last: datetime | None) -> None:
    clocks = Clocks()
    seen = clocks.begun(last)
    assert seen.believed() == NOW
    clocks.on(6 * HOUR)
    clocks.wall += MINUTE  # NTP sets it right
    assert seen.believed() == NOW + 6 * HOUR + MINUTE


@pytest.mark.parametrize("by", [400 * DAY, 10 * MINUTE, -2 * DAY])
def test_after_a_jump_it_has_to_run_true_for_a_day(by: timedelta) -> None:
    clocks = Clocks()
    seen = clocks.begun(NOW)
    clocks.wall += by
    assert seen.believed() is None
    clocks.on(23 * HOUR)
    assert seen.believed() is None
    clocks.on(2 * HOUR)
    assert seen.believed() == clocks.wall


def test_the_way_back_is_a_jump_too() -> None:
    clocks = Clocks()
    seen = clocks.begun(NOW)
    clocks.wall += 400 * DAY
    assert seen.believed() is None
    clocks.on(DAY)
    clocks.wall -= 400 * DAY
    assert seen.believed() is None
    clocks.on(25 * HOUR)
    assert seen.believed() == clocks.wall


@pytest.mark.parametrize("last", [NOW - 3 * DAY, NOW + 3 * DAY])
def test_a_start_far_from_where_the_service_was_last_seen_waits_a_day(last: datetime) -> None:
    clocks = Clocks()
    seen = clocks.begun(last)
    assert seen.believed() is None
    clocks.on(25 * HOUR)
    assert seen.believed() == clocks.wall


def test_the_steady_clock_runs() -> None:
    assert 0 < since_boot() <= since_boot()


LONGEST = Longest(HOUR, HOUR / 2)


def test_what_was_written_ahead_is_due_once_the_clock_is_right(store: Store) -> None:
    at, ahead = Desk(store), NOW + 6 * HOUR
    outcome = at.take(incoming(), mail(), ahead)
    later = incoming(mail(Message_ID="<m2@example.de>"))
    store.write_now(
        lambda c: c.execute(update(tables.outbox).values(state="queued", next_at=ahead + MINUTE, attempts=1))
    )
    store.write_now(lambda c: c.execute(update(tables.messages).values(due_at=ahead + MINUTE)))
    assert at.take(later, mail(Message_ID="<m2@example.de>"), NOW).reference
    rows = store.write_now(lambda c: moved_clock.hasten(c, LONGEST, at.office.rules, NOW))
    assert rows >= 2
    assert all(row.next_at <= NOW for row in at.outbox())
    dues = store.read_now(lambda c: c.execute(select(tables.messages.c.due_at)).scalars().all())
    assert [due for due in dues if due is not None and due > NOW + HOUR] == []
    assert at.show(outcome.reference)["state"] == "open"
    assert store.write_now(lambda c: moved_clock.hasten(c, LONGEST, at.office.rules, NOW)) == 0, "once"


def test_a_round_that_begins_in_time_to_come_begins_now(store: Store) -> None:
    at, ahead = Desk(store), NOW + 6 * HOUR
    given = incoming()
    at.take(given)
    columns = dict.fromkeys(("round_started_at", "target_at", "status_at", "limit_at", "clock_next_at"), ahead)
    store.write_now(lambda c: c.execute(update(tables.tickets).values(columns)))
    assert store.write_now(lambda c: moved_clock.hasten(c, LONGEST, at.office.rules, NOW)) == 1
    row = store.read_now(lambda c: c.execute(select(tables.tickets)).one())
    assert (row.round_started_at, row.target_at, row.limit_at) == (NOW, NOW + 15 * MINUTE, NOW + 30 * MINUTE)
    assert row.clock_next_at == NOW + 15 * MINUTE


def test_the_clock_goes_back_under_a_running_service(store: Store) -> None:
    """Six hours ahead, put right: the customer's reply goes out now, and what he was promised counts from when he wrote."""
    at, clocks, said, told = Desk(store), Clocks(NOW + 6 * HOUR), [""], []
    drift = Drift(lambda: clocks.wall, lambda: clocks.ran_s)
    work = Clockwork(
        store, lambda: clocks.wall, lambda: at.office, lambda: Incidents(within=3600), lambda: told.append(1),
        lambda: LONGEST, drift, said.append,
    )  # fmt: skip
    asyncio.run(work._clocks())
    at.take(incoming(), mail(), clocks.wall)
    postponed = {"next_at": clocks.wall + MINUTE, "attempts": 1}
    store.write_now(lambda c: c.execute(update(tables.outbox).values(postponed)))
    columns = clock.columns(clock.new_round(clocks.wall, at.office.rules), 1)
    store.write_now(lambda c: c.execute(update(tables.tickets).values(columns)))
    clocks.on(5 * MINUTE)
    clocks.wall -= 6 * HOUR
    told.clear()
    asyncio.run(work._clocks())
    row = store.read_now(lambda c: c.execute(select(tables.tickets)).one())
    assert (row.round_started_at, row.target_at, row.clock_next_at) == (NOW, NOW + 15 * MINUTE, NOW + 15 * MINUTE)
    assert {one.next_at for one in at.outbox()} == {NOW + 5 * MINUTE} and told
    assert said[-1].startswith("the clock was set back by 6:00:00 at ") and said[-1].endswith(
        ": 3 times were put right"
    )
    clocks.on(2 * HOUR)
    asyncio.run(work._clocks())
    assert said[-1] == "" and store.read_now(lambda c: c.execute(select(tables.tickets.c.breached)).scalar())


def test_a_move_is_told_in_words() -> None:
    assert "clock" in NAMES, "status and readiness know the check"
    assert (in_words(6 * HOUR), in_words(-DAY)) == ("forward by 6:00:00", "back by 1 day, 0:00:00")
