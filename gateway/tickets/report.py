"""The promise, measured: how soon people gave the first answer, when customers write, and why nothing was sent.

A ticket counts from the start of its first round (``promised_at``) when it was answered, or when it was not and its
``limit`` is over; what was closed in time without an answer (spam, a merged ticket) and machines' mail was promised
nothing. Percentiles are those of the answered ones, by nearest rank. Days that are over are not counted twice
(``report_days``).
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from gateway.database.tables import tickets
from gateway.model import Rules, TicketState
from gateway.tickets import report_days
from gateway.tickets.report_days import Day, Watch

K = TypeVar("K")
_P50, _P95 = 50, 95


@dataclass(frozen=True, slots=True)
class Span:
    """What is reported on: from ``since`` to ``now``, days and hours in ``zone``."""

    since: datetime
    now: datetime
    zone: str


def report(connection: Connection, span: Span, rules: Rules) -> dict[str, Any]:
    """The report as JSON values: ``since until timezone target_s limit_s total days weeks departments languages hours
    silence``.

    ``total`` and each of ``days weeks departments languages``: ``tickets answered within_target within_limit breached
    p50_s p95_s``; ``hours``: seven lists (Monday first) of 24 counts of mails that were promised an answer;
    ``silence``: ``reason count``.
    """
    days = report_days.read(connection, span.since, watch_of(span, rules))
    return {
        "since": span.since.isoformat(),
        "until": span.now.isoformat(),
        "timezone": span.zone,
        "target_s": rules.target_s,
        "limit_s": rules.limit_s,
        **_promise(days, rules),
        "hours": _hours(days),
        "silence": _silence(days),
    }


def in_time(connection: Connection, now: datetime) -> int:
    """How many open tickets wait for their first answer and are not late: what the report does not count yet."""
    t = tickets.c
    waits = (t.state == TicketState.OPEN, t.first_response_at.is_(None), t.limit_at >= now, t.merged_into.is_(None))
    return int(connection.execute(select(func.count()).select_from(tickets).where(*waits)).scalar_one())


def watch_of(span: Span, rules: Rules) -> Watch:
    """How the days of a span are counted."""
    return Watch(span.zone, span.now, rules.limit_s)


# --------------------------------------------------------------------------- the promise


@dataclass(slots=True)
class _Kept:
    """Groups put together. Their delays stay ascending: what is sorted in pieces is sorted quickly."""

    tickets: int = 0
    breached: int = 0
    delays: list[int] = field(default_factory=list)

    def add(self, tickets: int, breached: int, delays: list[int]) -> None:
        self.tickets += tickets
        self.breached += breached
        self.delays += delays

    def row(self, key: str, rules: Rules) -> dict[str, Any]:
        """As it is reported."""
        self.delays.sort()
        within = (bisect_right(self.delays, round(limit * 1000)) for limit in (rules.target_s, rules.limit_s))
        counts = {"key": key, "tickets": self.tickets, "answered": len(self.delays)}
        counts |= dict(zip(("within_target", "within_limit"), within, strict=True)) | {"breached": self.breached}
        return counts | {"p50_s": self._percentile(_P50), "p95_s": self._percentile(_P95)}

    def _percentile(self, percent: int) -> float | None:
        if not self.delays:
            return None
        return round(self.delays[-(-len(self.delays) * percent // 100) - 1] / 1000, 1)


Pairs = Mapping[tuple[str, str], _Kept]
_MONTHS: dict[str, tuple[tuple[Day, ...], Pairs]] = {}  #: what was put together last, and of which days
_MOST = 40


def _promise(days: Mapping[date, Day], rules: Rules) -> dict[str, Any]:
    """``total days weeks departments languages``: the promise by one key each, in its order."""
    pairs: defaultdict[tuple[str, str], _Kept] = defaultdict(_Kept)
    by_day, months = {}, defaultdict(list)
    for day, found in days.items():
        by_day[str(day)] = _of_day(found)
        months[str(day)[:7]].append(found)
    for month, its in months.items():
        for pair, kept in _of_month(month, tuple(its)).items():
            pairs[pair].add(kept.tickets, kept.breached, kept.delays)
    departments = _together(pairs, lambda pair: pair[0])
    named = {
        "days": {day: kept for day, kept in by_day.items() if kept.tickets},
        "weeks": _together({day: kept for day, kept in by_day.items() if kept.tickets}, _week_of),
        "departments": departments,
        "languages": _together(pairs, lambda pair: pair[1]),
    }
    total = _together(departments, lambda _: "all").get("all", _Kept())
    rows = {name: [kept.row(key, rules) for key, kept in sorted(of.items())] for name, of in named.items()}
    return {"total": total.row("all", rules), **rows}


def _of_day(day: Day) -> _Kept:
    groups = day.groups.values()
    late = sum(group.unanswered for group in groups)
    return _Kept(len(day.delays()) + late, sum(group.breached for group in groups), list(day.delays()))


def _of_month(month: str, its: tuple[Day, ...]) -> Pairs:
    """The days of a month put together; once, while they are the same."""
    known = _MONTHS.get(month)
    if known is not None and len(known[0]) == len(its) and all(map(operator.is_, known[0], its)):
        return known[1]
    made: defaultdict[tuple[str, str], _Kept] = defaultdict(_Kept)
    for day in its:
        for pair, group in day.groups.items():
            made[pair].add(len(group.delays) + group.unanswered, group.breached, group.delays)
    for kept in made.values():
        kept.delays.sort()
    if len(_MONTHS) > _MOST:
        _MONTHS.clear()
    _MONTHS[month] = its, made
    return made


def _together(of: Mapping[K, _Kept], key: Callable[[K], str]) -> dict[str, _Kept]:
    """Put together by a part of the key."""
    found: defaultdict[str, _Kept] = defaultdict(_Kept)
    for name, kept in of.items():
        kept.delays.sort()
        found[key(name)].add(kept.tickets, kept.breached, kept.delays)
    return dict(found)


def _week_of(day: str) -> str:
    """The ISO week of a day: ``2026-W48``."""
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"


# --------------------------------------------------------------------------- when customers write


def _hours(days: Mapping[date, Day]) -> list[list[int]]:
    """Counts of promised tickets by weekday (Monday first) and hour, in the zone."""
    found = [[0] * 24 for _ in range(7)]
    for day, counts in days.items():
        week = found[day.weekday()]
        for hour, many in enumerate(counts.hours):
            week[hour] += many
    return found


def _silence(days: Mapping[date, Day]) -> list[dict[str, Any]]:
    """Why no automatic reply went to a mail: the reasons, each with its count, the most frequent first."""
    found: Counter[str] = Counter()
    for counts in days.values():
        found.update(counts.silence)
    rows = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [{"reason": reason, "count": many} for reason, many in rows]
