"""The promise, measured: how soon people gave the first answer, when customers write, and why nothing was sent.

Everything is counted by the database. A ticket counts from the start of its first round (``promised_at``) when it was
answered, or when it was not and its ``limit`` is over; what was closed in time without an answer (spam, a merged ticket)
and machines' mail was promised nothing. Percentiles are those of the answered ones, by nearest rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, DateTime, Float, and_, case, cast, extract, func, literal, or_, select, type_coerce

from gateway.database.tables import messages, tickets
from gateway.model import InboxState, Rules, TicketState

_P50, _P95 = 50, 95


@dataclass(frozen=True, slots=True)
class Span:
    """What is reported on: from ``since`` to ``now``, days and hours in ``zone``."""

    since: datetime
    now: datetime
    zone: str


def report(connection: Connection, span: Span, rules: Rules) -> dict[str, Any]:
    """The report as JSON values: ``since until timezone target_s limit_s total days departments languages hours silence``.

    ``total`` and each of ``days departments languages``: ``tickets answered within_target within_limit breached p50_s
    p95_s``; ``hours``: seven lists (Monday first) of 24 counts of mails that were promised an answer; ``silence``:
    ``reason count``.
    """
    t = tickets.c
    return {
        "since": span.since.isoformat(),
        "until": span.now.isoformat(),
        "timezone": span.zone,
        "target_s": rules.target_s,
        "limit_s": rules.limit_s,
        "total": next(_kept(connection, literal("all"), span, rules), _NOTHING),
        "days": list(_kept(connection, _local(connection, t.promised_at, "day", span), span, rules)),
        "departments": list(_kept(connection, t.department, span, rules)),
        "languages": list(_kept(connection, func.coalesce(t.language, "?"), span, rules)),
        "hours": _hours(connection, span),
        "silence": _silence(connection, span),
    }


# --------------------------------------------------------------------------- the promise


def _kept(connection: Connection, key: Any, span: Span, rules: Rules) -> Iterator[dict[str, Any]]:
    """The promise by one key, in its order."""
    t = tickets.c
    delay = _seconds(connection, t.first_response_at, t.promised_at)
    over = t.promised_at <= span.now - timedelta(seconds=rules.limit_s)
    unanswered = and_(t.first_response_at.is_(None), over, or_(t.state != TicketState.CLOSED, t.breached.is_(True)))
    counted = and_(t.promised_at >= span.since, or_(t.first_response_at.is_not(None), unanswered))
    each = select(key.label("key"), delay.label("delay"), t.breached).where(counted).subquery()
    place = func.row_number().over(partition_by=each.c.key, order_by=(each.c.delay.is_(None), each.c.delay))
    many = func.count(each.c.delay).over(partition_by=each.c.key)
    ranked = select(each, place.label("place"), many.label("many")).subquery()
    for row in connection.execute(_summed(ranked.c, rules).group_by(ranked.c.key).order_by(ranked.c.key)):
        yield _row(row)


def _summed(r: Any, rules: Rules) -> Any:
    def times(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    def percentile(percent: int) -> Any:
        return func.min(case((and_(r.delay.is_not(None), r.place * 100 >= r.many * percent), r.delay)))

    return select(
        r.key,
        func.count().label("tickets"),
        func.count(r.delay).label("answered"),
        times(r.delay <= rules.target_s).label("within_target"),
        times(r.delay <= rules.limit_s).label("within_limit"),
        times(r.breached.is_(True)).label("breached"),
        percentile(_P50).label("p50"),
        percentile(_P95).label("p95"),
    )


_COUNTS = ("tickets", "answered", "within_target", "within_limit", "breached")
_NOTHING: dict[str, Any] = {"key": "all", **dict.fromkeys(_COUNTS, 0), "p50_s": None, "p95_s": None}


def _row(row: Any) -> dict[str, Any]:
    counts = {name: int(getattr(row, name)) for name in _COUNTS}
    return {"key": row.key, **counts, "p50_s": _rounded(row.p50), "p95_s": _rounded(row.p95)}


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 1)


# --------------------------------------------------------------------------- when customers write


def _hours(connection: Connection, span: Span) -> list[list[int]]:
    """Counts of promised tickets by weekday (Monday first) and hour, in the zone."""
    t = tickets.c
    key = _local(connection, t.promised_at, "hour", span).label("key")
    found = [[0] * 24 for _ in range(7)]
    for row in connection.execute(
        select(key, func.count().label("many")).where(t.promised_at >= span.since).group_by(key)
    ):
        day, hour = map(int, row.key.split())
        found[day % 7 - 1][hour] = int(row.many)
    return found


def _silence(connection: Connection, span: Span) -> list[dict[str, Any]]:
    """Why no automatic reply went to a mail: the reasons, each with its count, the most frequent first."""
    m = messages.c
    many = func.count().label("many")
    settled = m.state.in_([InboxState.DONE, InboxState.QUARANTINED])
    chosen = select(m.reason, many).where(m.received_at >= span.since, settled, m.reason != "").group_by(m.reason)
    found: Counter[str] = Counter()
    for row in connection.execute(chosen.order_by(many.desc())):
        found[row.reason.partition(":")[0].partition(" (")[0]] += int(row.many)
    return [{"reason": reason, "count": count} for reason, count in found.most_common()]


# --------------------------------------------------------------------------- what the databases write differently


def _seconds(connection: Connection, later: Any, earlier: Any) -> Any:
    if connection.dialect.name == "sqlite":  # a Julian day is exact to 40 microseconds
        return func.round((func.julianday(later) - func.julianday(earlier)) * 86400.0, 3)
    return cast(extract("epoch", type_coerce(later, DateTime()) - type_coerce(earlier, DateTime())), Float)


#: (SQLite, PostgreSQL): Monday is 1; SQLite's Sunday is 0, PostgreSQL's 7
_FORMATS = {"day": ("%Y-%m-%d", "YYYY-MM-DD"), "hour": ("%w %H", "ID HH24")}


def _local(connection: Connection, moment: Any, what: str, span: Span) -> Any:
    """The day (2026-11-22) or the hour of the week (``1 14``: Monday) of a moment in the zone."""
    sqlite, postgresql = _FORMATS[what]
    if connection.dialect.name != "sqlite":
        return func.to_char(func.timezone(span.zone, moment), postgresql)
    return func.strftime(sqlite, moment, func.printf("%+d seconds", _shift(moment, span)))


def _shift(moment: Any, span: Span) -> Any:
    """How far the zone is east of UTC at a moment, in seconds; SQLite knows no zones."""
    *before, (_, last) = _offsets(span)
    if not before:
        return literal(last)
    return case(*((moment < until, offset) for until, offset in before), else_=last)


def _offsets(span: Span) -> list[tuple[datetime, int]]:
    """(until when, seconds east of UTC) of each stretch between two changes of the zone's clock."""
    zone, step = ZoneInfo(span.zone), timedelta(days=1)
    found: list[tuple[datetime, int]] = []
    at, offset = span.since, _offset(span.since, zone)
    while at < span.now:
        ahead = min(at + step, span.now)
        if _offset(ahead, zone) != offset:
            change = _change(at, ahead, zone)
            found.append((change, offset))
            offset = _offset(ahead, zone)
        at = ahead
    return [*found, (span.now, offset)]


def _offset(moment: datetime, zone: ZoneInfo) -> int:
    shift = moment.astimezone(zone).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second after a change of the clock that lies between two moments."""
    before, offset = before.replace(microsecond=0), _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        before, after = (middle, after) if _offset(middle, zone) == offset else (before, middle)
    return after.replace(microsecond=0)
