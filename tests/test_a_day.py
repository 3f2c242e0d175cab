"""A day of the desk under a clock of our own: on both days when the clocks change, with a restart each hour.

500 customers write, half of them are answered, sooner or later. Everything that was promised happens once and when it is due
(or as soon as the service is back), and `gateway report` says what a count by hand says.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from gateway.cli.report import lines
from gateway.database import inbox, tables
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.model import Incoming, RawMessage
from gateway.tickets import desk, ownership, people, rounds
from gateway.tickets.occasion import Occasion
from gateway.tickets.outgoing import Acting
from gateway.tickets.report import Span, report
from tests.samples import ACCOUNT_TEXT, JOE, RULES, STAFF, envelope, incoming, mail, office

BERLIN = ZoneInfo("Europe/Berlin")
CUSTOMERS = 500
MINUTE = timedelta(minutes=1)
OWNERS, TARGET, STATUS, LIMIT = 10 * MINUTE, 15 * MINUTE, 25 * MINUTE, 30 * MINUTE
DOWN = 90  #: seconds that each restart takes, from the full hour
WORDS = {
    ("technical", "en"): ACCOUNT_TEXT,
    (
        "technical",
        "de",
    ): "Guten Tag, bitte sehen Sie sich meinen Server 203.0.113.7 an, die Festplatte ist sehr langsam.",
    ("financial", "en"): "Hello, please send me the invoice for my last payment again, I need it for my bookkeeping.",
    ("financial", "de"): "Guten Tag, bitte senden Sie mir die Rechnung für meine letzte Zahlung noch einmal zu.",
}


@dataclass
class Customer:
    """Somebody who writes, and what becomes of it."""

    number: int
    wrote: datetime
    words: tuple[str, str]
    answered: datetime | None
    owned: datetime | None
    reference: str = ""

    @property
    def address(self) -> str:
        return f"customer@shop{self.number}.example"

    def waits_at(self, moment: datetime) -> bool:
        """Whether nobody has answered him by then."""
        return self.answered is None or self.answered > moment


def back(moment: datetime) -> datetime:
    """When the service is there from this moment on: at once, or after the restart of this hour."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return max(moment, hour + timedelta(seconds=DOWN))


def customers_of(midnight: datetime, length: timedelta, chance: random.Random) -> list[Customer]:
    made = []
    for number in range(CUSTOMERS):
        wrote = back(midnight + timedelta(seconds=chance.uniform(0, length.total_seconds())))
        soon = timedelta(seconds=chance.expovariate(1 / 1000))
        answered = wrote + soon if number % 2 else None
        owned = wrote + 5 * MINUTE if number % 5 == 0 else None
        made.append(Customer(number, wrote, chance.choice(list(WORDS)), answered, owned))
    return made


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder that no disk slows down: what is simulated is time, not a power cut."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="gateway-day-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


class Service:
    """The desk of one day: its database, and a clock that is ours."""

    def __init__(self, folder: Path, start: datetime) -> None:
        self._url = f"sqlite:///{folder / 'gateway.db'}"
        self.readings: dict[tuple[str, str], Incoming] = {key: incoming(mail(words)) for key, words in WORDS.items()}
        self.store = Store(self._url)
        self.restart(start)

    def restart(self, now: datetime) -> None:
        """Nothing is remembered but what is in the database."""
        self.store.close()
        self.store = Store(self._url)
        self.store.open(now)
        self.office = office(
            self.store.keys, self.store.key_id, staff=STAFF.model_copy(update={"people": {"joe": "joe@introserv.com"}})
        )

    def receive(self, customer: Customer) -> None:
        now = customer.wrote
        raw = mail(author=customer.address, Message_ID=f"<day{customer.number}@shop.example>")
        like = self.readings[customer.words]
        reading = replace(like.reading, author=replace(like.reading.author, address=customer.address))
        what = replace(like, reading=reading, envelope=envelope(mail_from=customer.address, received_at=now))

        def job(c: Any) -> desk.Outcome:
            inbox.accept(c, RawMessage(raw, what.envelope), digest_of(raw))
            (claimed,), _ = inbox.claim(c, now, 1, 60)
            return desk.commit(Occasion(c, claimed, what, self.office, now))

        customer.reference = self.store.write_now(job).reference or ""

    def answer(self, customer: Customer, now: datetime) -> None:
        self.store.write_now(
            lambda c: people.answer(c, customer.reference, "We did it.", Acting(JOE, self.office, now))
        )

    def assign(self, customer: Customer, now: datetime) -> None:
        self.store.write_now(lambda c: ownership.assign(c, customer.reference, "joe", JOE, now))

    def live_until(self, now: datetime, end: datetime) -> None:
        """Lets the clock do what is due, when it is due."""
        while (due := self.store.read_now(rounds.next_due)) is not None and max(now, due) < end:
            now = max(now, due)
            self.store.write_now(lambda c, now=now: rounds.tick(c, self.office, now))

    def sent(self) -> Iterator[Any]:
        o, t = tables.outbox.c, tables.tickets.c
        query = select(o.template, o.recipient, o.created_at, t.reference).join(tables.tickets, t.id == o.ticket_id)
        yield from self.store.read_now(lambda c: c.execute(query).all())


def lived(service: Service, customers: list[Customer], midnight: datetime, end: datetime) -> None:
    """The day, event by event."""
    events: list[tuple[datetime, str, Any]] = [(one.wrote, "writes", one) for one in customers]
    events += [(one.answered, "is answered", one) for one in customers if one.answered is not None]
    events += [(one.owned, "is owned", one) for one in customers if one.owned is not None]
    hours = int((end - midnight) / timedelta(hours=1))
    events += [(midnight + timedelta(hours=hour), "restart", None) for hour in range(1, hours)]
    up = midnight
    for now, what, customer in sorted(events, key=lambda event: event[0]):
        service.live_until(up, now)
        up = back(now)  # while it is down nothing is due for it; people at the shell go on
        if what == "restart":
            service.restart(now)
        elif what == "writes":
            service.receive(customer)
        elif what == "is answered":
            service.answer(customer, now)
        else:
            service.assign(customer, now)
    service.live_until(up, end)


def promised(customers: list[Customer]) -> Counter[tuple[str, str, str, datetime]]:
    """What has to be sent: (customer's reference, template, to whom, when)."""
    found: Counter[tuple[str, str, str, datetime]] = Counter()
    for one in customers:
        team = "l1@introserv.com" if one.words[0] == "technical" else "billing@introserv.com"
        mine = ["joe@introserv.com"] if one.owned is not None and one.waits_at(one.owned) else []
        others = ["joe@introserv.com"] if one.owned is not None else []
        found[one.reference, "received", one.address, one.wrote] += 1
        found[one.reference, "staff_new", team, one.wrote] += 1
        if one.answered is not None:
            found[one.reference, "answer", one.address, one.answered] += 1
        plan = [(OWNERS, "staff_owner", mine), (TARGET, "staff_alert", [team, *others]), (STATUS, "status", [one.address]),
                (LIMIT, "staff_breach", [team, *others, "boss@introserv.com"])]  # fmt: skip
        for after, template, to in plan:
            at = back(one.wrote + after)
            for address in to if one.waits_at(at) else ():
                found[one.reference, template, address, at] += 1
    return found


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)], ids=["23 hours", "25 hours"])
def test_every_promise_of_a_day_is_kept_once_and_on_time_and_the_report_says_so(day: date, in_memory: Path) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
    end = datetime(day.year, day.month, day.day + 1, tzinfo=BERLIN).astimezone(UTC)
    customers = customers_of(midnight, end - midnight, random.Random(day.toordinal()))
    service = Service(in_memory, midnight)
    evening = end + timedelta(hours=1, minutes=1)
    lived(service, customers, midnight, evening)

    sent = Counter((row.reference, row.template, row.recipient, row.created_at) for row in service.sent())
    assert sent == promised(customers)

    late = {one.reference for one in customers if one.waits_at(one.wrote + LIMIT)}
    t = tables.tickets.c
    broken = service.store.read_now(lambda c: set(c.execute(select(t.reference).where(t.breached.is_(True))).scalars()))
    assert broken == late
    assert len(late) > CUSTOMERS / 2

    told = service.store.read_now(lambda c: report(c, Span(midnight, evening, "Europe/Berlin"), RULES))
    print("\n".join(lines(told)))
    assert told["total"] == by_hand("all", customers)
    for name, part in (("departments", 0), ("languages", 1)):
        kinds = sorted({one.words[part] for one in customers})
        assert told[name] == [by_hand(kind, [one for one in customers if one.words[part] == kind]) for kind in kinds]
    assert [row["key"] for row in told["days"]] == [day.isoformat()]
    local = Counter(one.wrote.astimezone(BERLIN).hour for one in customers)
    assert told["hours"][6] == [local[hour] for hour in range(24)]
    service.store.close()


def by_hand(key: str, customers: list[Customer]) -> dict[str, Any]:
    delays = sorted((one.answered - one.wrote).total_seconds() for one in customers if one.answered is not None)

    def rank(percent: int) -> float:
        return round(delays[-(-len(delays) * percent // 100) - 1], 1)

    return {
        "key": key,
        "tickets": len(customers),
        "answered": len(delays),
        "within_target": sum(delay <= TARGET.total_seconds() for delay in delays),
        "within_limit": sum(delay <= LIMIT.total_seconds() for delay in delays),
        "breached": sum(one.waits_at(one.wrote + LIMIT) for one in customers),
        "p50_s": rank(50),
        "p95_s": rank(95),
    }
