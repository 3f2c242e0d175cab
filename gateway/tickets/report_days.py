"""The days of the report: tickets and silences by day, each day counted once when it is over and kept.

Triggers write down which day a later change belongs to (an answer to an old ticket, an erasure), in the transaction of
that change; such a day is counted from its rows again. So what is reported is exact at every moment, whether or not
anybody counted ahead.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, func, select, text

from gateway.database.among import among
from gateway.database.console_tables import report_changes, report_days
from gateway.database.statements import put_all
from gateway.database.store import Store
from gateway.database.tables import messages, tickets
from gateway.model import InboxState, TicketState
from gateway.periodic import Periodic, Wait

#: a day is kept when it has been over for so long; the triggers watch rows older than a day of the database's clock
SEALED = timedelta(days=2)
STEP = 4  #: days that one transaction counts
CHANGES = 2000  #: of them that one transaction reads
DAY = timedelta(days=1)
YEAR = timedelta(days=366)
EVERY_S, FIRST_S, PAUSE_S = 6 * 3600.0, 300.0, 0.04  #: how often, after the start, and between two steps


@dataclass(slots=True)
class Group:
    """Tickets of one department and language: ``delays`` to the first answer in milliseconds, ascending; how many
    nobody has answered, and how many passed their limit."""

    delays: list[int] = field(default_factory=list)
    unanswered: int = 0
    breached: int = 0


@dataclass(slots=True)
class Day:
    """What is counted of a day. ``hours``: promised tickets by hour; ``silence``: mails without a reply by reason."""

    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    silence: dict[str, int] = field(default_factory=dict)

    def as_text(self) -> str:
        """The day as the database keeps it, in JSON."""
        groups = [[*key, one.unanswered, one.breached, one.delays] for key, one in self.groups.items()]
        return json.dumps([groups, self.hours, self.silence], separators=(",", ":"))

    @classmethod
    def of_text(cls, kept: str) -> Day:
        """The day that ``as_text`` wrote."""
        groups, hours, silence = json.loads(kept)
        made = {
            (key, language): Group(delays, unanswered, breached)
            for key, language, unanswered, breached, delays in groups
        }
        return cls(made, hours, silence)


@dataclass(frozen=True, slots=True)
class Watch:
    """Days of a ``zone`` as of ``now``; an unanswered ticket counts once its ``limit_s`` is over."""

    zone: str
    now: datetime
    limit_s: float

    def begins(self, day: date) -> datetime:
        """The first moment of a day."""
        return datetime.combine(day, time.min, ZoneInfo(self.zone)).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """The day of a moment in the zone of the desk."""
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def open_from(self, clock: datetime) -> date:
        """The first day that is not kept yet, by our clock and the database's."""
        rest = max(SEALED, timedelta(seconds=self.limit_s) + DAY)
        return self.day_of(min(self.now, clock) - rest)


def read(connection: Connection, since: datetime, watch: Watch) -> dict[date, Day]:
    """Every day since then on which anything happened; of the first one what came later than ``since``."""
    kept = _kept(connection, since, watch)
    for start, end in _gaps(since, kept, watch):
        kept |= counted(connection, start, end, watch)
    return dict(sorted(kept.items()))


def _kept(connection: Connection, since: datetime, watch: Watch) -> dict[date, Day]:
    """The whole days that are kept and are as they were."""
    r = report_days.c
    stale = _days_of(connection.execute(select(report_changes.c.day).distinct()).scalars())
    first, until = watch.day_of(since - timedelta(microseconds=1)) + DAY, watch.open_from(_clock(connection))
    chosen = select(r.day, r.counted).where(r.zone == watch.zone, r.day >= str(first), r.day < str(until))
    rows = [(date.fromisoformat(row.day), row.counted) for row in connection.execute(chosen)]
    return {day: _read(counts) for day, counts in rows if day not in stale}


@functools.lru_cache(maxsize=400)
def _read(kept: str) -> Day:
    """``Day.of_text``, once for each day of the last year; nobody changes it."""
    return Day.of_text(kept)


def _clock(connection: Connection) -> datetime:
    """The time of the database, by which its triggers go."""
    found = connection.execute(text("select current_timestamp")).scalar_one()
    moment = datetime.fromisoformat(found) if isinstance(found, str) else found
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _days_of(changed: Iterable[str]) -> set[date]:
    """The days of any zone that a day of UTC has a part in."""
    found = {date.fromisoformat(day) for day in changed}
    return {day + step for day in found for step in (-DAY, timedelta(0), DAY)}


def _gaps(since: datetime, kept: Mapping[date, Day], watch: Watch) -> Iterator[tuple[datetime, datetime | None]]:
    """The stretches of time that no kept day covers; the last one is open."""
    start = since
    for day in sorted(kept):
        if start < watch.begins(day):
            yield start, watch.begins(day)
        start = watch.begins(day + DAY)
    yield start, None


def counted(connection: Connection, start: datetime, end: datetime | None, watch: Watch) -> dict[date, Day]:
    """The days between two moments, counted from the rows themselves; the silence of all of them stands at the
    first."""
    days: dict[date, Day] = {}
    zone = ZoneInfo(watch.zone)
    for row in _promised(connection, start, end):
        there = row.promised_at.astimezone(zone)
        day = days.setdefault(there.date(), Day())
        day.hours[there.hour] += 1
        _count(day, row, watch)
    for day in days.values():
        for group in day.groups.values():
            group.delays.sort()
    for reason, many in _silent(connection, start, end):
        silence = days.setdefault(watch.day_of(start), Day()).silence
        silence[reason] = silence.get(reason, 0) + many
    return days


def _promised(connection: Connection, start: datetime, end: datetime | None) -> Iterable[Any]:
    t = tickets.c
    chosen = select(t.promised_at, t.first_response_at, t.department, t.language, t.breached, t.state)
    return connection.execute(chosen.where(t.promised_at >= start, *((t.promised_at < end,) if end else ()))).all()


def _count(day: Day, row: Any, watch: Watch) -> None:
    answered = row.first_response_at is not None
    if not answered and not _owed(row, watch):
        return
    group = day.groups.setdefault((row.department, row.language or "?"), Group())
    group.breached += bool(row.breached)
    if answered:
        waited = -((row.promised_at - row.first_response_at) // timedelta(milliseconds=1))
        group.delays.append(max(0, waited))  # a clock that was set back, at most
    else:
        group.unanswered += 1


def _owed(row: Any, watch: Watch) -> bool:
    """Whether an answer that nobody gave was promised: its time is over, and it was not closed in time."""
    over = row.promised_at <= watch.now - timedelta(seconds=watch.limit_s)
    return bool(over and (row.state != TicketState.CLOSED or row.breached))


def _silent(connection: Connection, start: datetime, end: datetime | None) -> Iterator[tuple[str, int]]:
    """(reason without its detail, how many) of the mails that nobody was answered."""
    m = messages.c
    # nearly every mail is done: found by their time, not by the index of the state
    settled = (func.lower(m.state).in_([InboxState.DONE, InboxState.QUARANTINED]), m.reason != "")
    when = (m.received_at >= start, *((m.received_at < end,) if end else ()))
    chosen = select(m.reason, func.count().label("many")).where(*when, *settled).group_by(m.reason)
    for row in connection.execute(chosen):
        yield row.reason.partition(":")[0].partition(" (")[0], int(row.many)


# --------------------------------------------------------------------------- counting ahead


def loops(store: Store, watch: Callable[[], Watch], wait: Wait) -> tuple[Periodic, ...]:
    """What runs: the days of the last year that are over are counted ahead of the report, changed ones anew."""

    async def run() -> None:
        now = watch()
        while await store.write(partial(settle, since=now.now - YEAR, watch=now)) and await wait(PAUSE_S):
            pass

    return (Periodic("report", lambda: EVERY_S, run, first=FIRST_S),)


def settle(connection: Connection, since: datetime, watch: Watch) -> bool:
    """Keeps a few more days since then that are over, and forgets those of which something changed; whether there is
    more to do. Short, and one at a time: a mail's commit waits for it on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("lock table report_days in share row exclusive mode"))
    more = _forget_changed(connection, watch)
    missing = _missing(connection, since, watch)
    rows = []
    for day in missing[:STEP]:
        found = counted(connection, watch.begins(day), watch.begins(day + DAY), watch).get(day, Day())
        rows.append({"zone": watch.zone, "day": str(day), "counted": found.as_text()})
    put_all(connection, report_days, rows)
    return more or len(missing) > STEP


def _forget_changed(connection: Connection, watch: Watch) -> bool:
    """Drops the days of which something changed, and those of another zone."""
    c, r = report_changes.c, report_days.c
    seen = connection.execute(select(c.id, c.day).order_by(c.id).limit(CHANGES)).all()
    stale = [str(day) for day in _days_of({row.day for row in seen})]
    connection.execute(delete(report_days).where((r.zone != watch.zone) | among(r.day, stale)))
    connection.execute(delete(report_changes).where(among(c.id, [row.id for row in seen])))
    return len(seen) == CHANGES


def _missing(connection: Connection, since: datetime, watch: Watch) -> list[date]:
    """The days that could be kept and are not, the newest first."""
    r = report_days.c
    there = set(connection.execute(select(r.day).where(r.zone == watch.zone)).scalars())
    first, until = watch.day_of(since - timedelta(microseconds=1)) + DAY, watch.open_from(_clock(connection))
    days = [until - DAY * step for step in range(1, max(0, (until - first).days) + 1)]
    return [day for day in days if str(day) not in there]
