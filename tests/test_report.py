"""The promise, measured on both databases: against a count by hand, over both changes of the clock."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, delete, select

from gateway.database import console_tables, tables
from gateway.database.store import Store
from gateway.tickets import report_days
from gateway.tickets.report import Span, report
from tests.samples import RULES

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
#: (promised at, minutes to the first answer or None, more of the ticket)
Asked = tuple[datetime, float | None, dict[str, Any]]


def written(store: Store, asked: list[Asked]) -> None:
    base: dict[str, Any] = {
        "trust": "verified", "question": "account", "department": "technical", "priority": "normal", "language": "de",
        "accounts": [], "sensitive": [], "marks": [], "missing": [], "clock_done": [], "watchers": [], "author_name": "",
        "subject": "", "silence": "", "reply_language": "de", "critical": False, "breached": False, "round": 1,
    }  # fmt: skip
    rows = []
    for number, (at, minutes, more) in enumerate(asked):
        answered = None if minutes is None else at + minutes * MINUTE
        state = "open" if answered is None else "waiting"
        row = {"reference": f"T-{number:07}", "state": state, "opened_at": at, "promised_at": at}
        rows.append(base | row | {"first_response_at": answered} | more)
    store.write_now(lambda c: c.execute(tables.tickets.insert(), rows))


def told(store: Store, since: datetime, now: datetime, zone: str = "Europe/Berlin") -> dict[str, Any]:
    return store.read_now(lambda c: report(c, Span(since, now, zone), RULES))


def test_what_counts_and_how_it_is_counted(store: Store) -> None:
    at = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    minutes = [1, 2, 3, 4, 15, 15.01, 20, 25, 30, 31]
    asked: list[Asked] = [(at, value, {}) for value in minutes]
    asked += [
        (at, None, {"breached": True}),  # nobody has answered it, and the limit is over
        (at, None, {"breached": True, "state": "closed"}),  # closed when it was late already
        (at, None, {"state": "closed"}),  # closed in time without an answer
        (at + 50 * MINUTE, None, {}),  # there is time left
        (at - timedelta(days=40), 500, {}),  # long ago
        (at, 10, {"department": "financial", "language": None}),
        (at, None, {"promised_at": None, "round": 0}),  # a machine's mail
    ]
    written(store, asked)
    found = told(store, at - timedelta(days=30), at + 60 * MINUTE)
    technical, financial = found["departments"][1], found["departments"][0]
    assert technical == {
        "key": "technical", "tickets": 12, "answered": 10, "within_target": 5, "within_limit": 9, "breached": 2,
        "p50_s": 900.0, "p95_s": 1860.0,
    }  # fmt: skip
    assert (financial["key"], financial["tickets"], financial["p50_s"], financial["p95_s"]) == (
        "financial",
        1,
        600.0,
        600.0,
    )
    assert [(row["key"], row["tickets"]) for row in found["languages"]] == [("?", 1), ("de", 12)]
    assert (found["total"]["tickets"], found["total"]["within_target"]) == (13, 6)
    assert sum(map(sum, found["hours"])) == 15  # whoever was promised an answer lately, 11 h in Berlin on a Friday
    assert found["hours"][4][11] == 15
    assert told(store, at + 2 * timedelta(days=1), at + 3 * timedelta(days=1))["total"]["tickets"] == 0


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)])
def test_days_and_hours_are_those_of_the_zone(store: Store, change: datetime) -> None:
    asked: list[Asked] = [(change + timedelta(minutes=17 * step), 5, {}) for step in range(-300, 300)]
    written(store, asked)
    found = told(store, change - timedelta(days=30), change + timedelta(days=30))
    local = [at.astimezone(BERLIN) for at, _, _ in asked]
    days = Counter(at.date().isoformat() for at in local)
    assert {row["key"]: row["tickets"] for row in found["days"]} == days
    hours = Counter((at.weekday(), at.hour) for at in local)
    assert {
        (day, hour): many for day, row in enumerate(found["hours"]) for hour, many in enumerate(row) if many
    } == hours


def test_silence_is_counted_by_its_reason(store: Store) -> None:
    at = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    base: dict[str, Any] = {"source": "smtp", "received_at": at, "size": 1, "rcpt_tos": [], "client_reason": "", "trusted": False,
            "tls": False, "state": "done", "attempts": 1, "suspect": False, "recheck": 0, "released": False,
            "authenticated": False}  # fmt: skip
    reasons = ["auto_reply: Auto-Submitted", "auto_reply: Precedence", "follow-ups are not acknowledged", ""]
    rows = [base | {"digest": f"{number}", "reason": reason} for number, reason in enumerate(reasons)]
    store.write_now(lambda c: c.execute(tables.messages.insert(), rows))
    silence = told(store, at - MINUTE, at)["silence"]
    assert silence == [{"reason": "auto_reply", "count": 2}, {"reason": "follow-ups are not acknowledged", "count": 1}]


def test_what_is_counted_ahead_is_exact_whatever_changes(store: Store) -> None:
    """Days that are kept and days that are counted anew say the same, after every kind of change to old tickets."""
    chance = random.Random(14)
    now = datetime.now(UTC)
    base = (now - timedelta(days=20)).replace(hour=0, minute=0, second=0, microsecond=0)
    asked: list[Asked] = [
        (base + chance.random() * timedelta(days=19.5), chance.choice((None, 5, 14.9, 15, 15.0001, 29, 300)),
         {"department": chance.choice(("technical", "financial")), "language": chance.choice(("de", "uk", None)),
          "breached": chance.random() < 0.2})
        for _ in range(300)
    ]  # fmt: skip
    written(store, asked)
    since = now - timedelta(days=19, hours=3)
    watch = report_days.Watch("Europe/Berlin", now, RULES.clock.limit)

    def settled() -> int:
        while store.write_now(lambda c: report_days.settle(c, since, watch)):
            pass
        return len(store.read_now(lambda c: c.execute(select(console_tables.report_days)).all()))

    def plain() -> dict[str, Any]:
        """The same without anything that was kept."""

        def count(connection: Connection) -> dict[str, Any]:
            connection.execute(delete(console_tables.report_days))
            found = report(connection, Span(since, now, "Europe/Berlin"), RULES)
            connection.rollback()
            return found

        with store._writer_engine.connect() as connection:
            return count(connection)

    t, moved = tables.tickets, 0
    days = settled()
    assert days >= 15
    assert told(store, since, now) == plain()
    for change in (
        t.update().where(t.c.id == 7).values(first_response_at=asked[6][0] + 7 * MINUTE),
        t.update().where(t.c.id < 60).values(department="financial"),
        t.update().where(t.c.id.between(60, 90)).values(language="fr"),
        t.update().where(t.c.first_response_at.is_(None)).values(breached=True),
        t.update().where(t.c.id > 200).values(state="closed"),
        t.update().where(t.c.id == 99).values(promised_at=base + timedelta(days=3)),
        t.delete().where(t.c.id.between(100, 120)),
        t.update().where(t.c.id == 1).values(owner="nobody looks at this"),
    ):
        before = told(store, since, now)
        store.write_now(lambda c, one=change: c.execute(one) and None)  # type: ignore[misc]
        after = told(store, since, now)
        moved += after != before
        assert after == plain()
        assert settled() == days and told(store, since, now) == after
    assert moved >= 4 and store.read_now(lambda c: c.execute(select(console_tables.report_changes)).all()) == []
    assert settled() == days and told(store, since, now, "Asia/Tokyo")["total"] == told(store, since, now)["total"]
