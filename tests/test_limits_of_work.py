"""What the outbox and the inbox do for how long: backing off, giving up, late claims, and the limit of a drain."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.claims import LATE_S
from gateway.database import inbox, tables
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.judge import Hand
from gateway.model import ClaimedItem, Outgoing, RawMessage, Sent
from gateway.pipeline import Pipeline
from gateway.replies.outbox import Outbox, next_attempt
from gateway.replies.render import Templates
from tests.samples import NOW, envelope, mail
from tests.test_outages import a_row
from tests.test_render import SENDER

WEEK = 7 * 86400.0


class Table:
    """Gives one row once, and remembers what became of it."""

    def __init__(self, row: ClaimedItem) -> None:
        self.due, self.done = [row], asyncio.Event()
        self.said: list[tuple[str, Any]] = []

    async def claim(self, now: datetime, count: int, sure: bool) -> list[ClaimedItem]:
        return [self.due.pop()] if self.due else []

    def _note(self, what: str, value: Any) -> None:
        self.said.append((what, value))
        self.done.set()

    async def sent(self, row: ClaimedItem, answer: str, now: datetime) -> None:
        self._note("sent", now)

    async def later(self, row: ClaimedItem, error: str, next_at: datetime) -> None:
        self._note("later", next_at)

    async def dead(self, row: ClaimedItem, error: str, now: datetime) -> None:
        self._note("dead", error)

    async def give_back(self, row: ClaimedItem, now: datetime, error: str | None = None) -> None:
        self._note("given back", row.id)

    async def confirm(self, row: ClaimedItem, now: datetime) -> bool:
        return True

    async def renew(self, rows: list[ClaimedItem], now: datetime) -> tuple[datetime, list[int]]:
        return now + timedelta(days=1), []

    async def amiss(self, problem: str, now: datetime) -> None:
        raise AssertionError(problem)

    async def well(self) -> None:
        pass

    async def overdue(self, before: datetime, why: str, now: datetime) -> int:
        return 0


def outcome(row: ClaimedItem, says: Sent, now: datetime = NOW) -> list[tuple[str, Any]]:
    """What the outbox does with a row when the relay says this."""

    class Relay:
        async def send(self, message: Outgoing) -> Sent:
            return says

    async def main() -> list[tuple[str, Any]]:
        table, stop = Table(row), asyncio.Event()
        outbox = Outbox(table, lambda: (SENDER, Templates(None), Relay(), WEEK), lambda: now, 1)  # type: ignore[arg-type, return-value]
        running = asyncio.create_task(outbox.run(stop))
        await asyncio.wait_for(table.done.wait(), 60)
        stop.set()
        await running
        return table.said

    return asyncio.run(main())


REFUSED, GREY = Sent(False, True, 550, "RCPT TO: 550"), Sent(False, False, 451, "RCPT TO: 451")


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 5), (3, 15), (4, 30), (5, 60), (6, 60), (500, 60)])
def test_each_try_waits_longer_up_to_an_hour(attempts: int, minutes: int) -> None:
    ((what, at),) = outcome(a_row(attempts=attempts), GREY)
    assert what == "later" and timedelta(minutes=minutes) <= at - NOW <= timedelta(minutes=minutes * 1.1)
    for jitter in (0.0, 0.5, 0.999):
        found = next_attempt(attempts, NOW, NOW, WEEK, jitter)
        assert found == NOW + timedelta(minutes=minutes * (1 + 0.1 * jitter))


def test_a_reply_is_given_up_when_it_is_refused_or_too_old() -> None:
    assert outcome(a_row(), REFUSED) == [("dead", "RCPT TO: 550")]
    old = NOW + timedelta(seconds=WEEK)
    row = a_row(attempts=100, lease_until=old + timedelta(days=1))
    assert outcome(row, GREY, old) == [("dead", "RCPT TO: 451")]
    ((what, _),) = outcome(row, GREY, old - timedelta(seconds=1))
    assert what == "later"
    assert next_attempt(1, NOW, old, WEEK, 0.0) is None


def test_a_drain_of_the_outbox_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that never answers does not keep the service from ending."""
    monkeypatch.setattr("gateway.replies.outbox.DRAIN_S", 0.2)
    begun = asyncio.Event()

    class Relay:
        async def send(self, message: Outgoing) -> Sent:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

    async def main() -> list[tuple[str, Any]]:
        table, stop = Table(a_row()), asyncio.Event()
        outbox = Outbox(table, lambda: (SENDER, Templates(None), Relay(), WEEK), lambda: NOW, 1)  # type: ignore[arg-type, return-value]
        running = asyncio.create_task(outbox.run(stop))
        await asyncio.wait_for(begun.wait(), 60)
        stop.set()
        await asyncio.wait_for(running, 60)
        return table.said

    assert asyncio.run(main()) == []  # the claim ends by itself, and the row is sent again


class Hangs:
    """Reads for ever."""

    trouble = ""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def incoming(self, hand: Hand) -> None:
        self.begun.set()
        await asyncio.Event().wait()


class Nobody:
    def tell(self) -> None:
        pass

    def reserve(self) -> bool:
        return False


def accepted(store: Store) -> int:
    message = RawMessage(mail(), envelope())
    return store.write_now(lambda c: inbox.accept(c, message, digest_of(message.raw))).id


def state(store: Store) -> tuple[str, int]:
    row = store.read_now(lambda c: c.execute(select(tables.messages.c.state, tables.messages.c.attempts)).one())
    return row.state, row.attempts


def test_a_drain_of_the_inbox_has_an_end_and_hands_back_what_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pipeline.DRAIN_S", 0.2)
    accepted(store)

    async def main() -> None:
        judge, stop = Hangs(), asyncio.Event()
        pipeline = Pipeline(store, judge, None, lambda: NOW, Nobody())  # type: ignore[arg-type]
        running = asyncio.create_task(pipeline.run(stop))
        await asyncio.wait_for(judge.begun.wait(), 60)
        assert state(store) == ("processing", 1)
        stop.set()
        await asyncio.wait_for(running, 60)

    asyncio.run(main())
    assert state(store) == ("pending", 0)


def test_a_node_that_finds_itself_late_commits_nothing_although_nobody_else_has_begun(store: Store) -> None:
    accepted(store)
    moment = NOW
    wrote: list[str] = []

    class Late:
        trouble = ""

        async def incoming(self, hand: Hand) -> tuple[Any, None]:
            nonlocal moment
            moment = NOW + timedelta(seconds=inbox.LEASE_S - LATE_S)  # it stood still meanwhile

            class Incoming:
                class verdict:
                    authenticated = False

            return Incoming(), None

    def committed(*_: Any, **__: Any) -> None:
        wrote.append("committed")

    class Around:
        office = None

    async def main() -> None:
        pipeline = Pipeline(store, Late(), lambda: Around(), lambda: moment, Nobody())  # type: ignore[arg-type, return-value]
        for hand in await pipeline.claim():
            pipeline.loop.begin(hand)
        await asyncio.gather(*pipeline.loop.held)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gateway.tickets.desk.commit", committed)
        asyncio.run(main())
    assert wrote == []
    assert state(store) == ("pending", 0)  # and is claimed again at once, uncounted
