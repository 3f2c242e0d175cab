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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, func, select

from gateway.database.tables import tickets
from gateway.model import JsonObject, TicketState
from gateway.tickets import report_days
from gateway.tickets.report_days import Day, Group, Watch
from gateway.tickets.rules import Rules

K = TypeVar("K")
_P50, _P95 = 50, 95


@dataclass(frozen=True, slots=True)
class Span:
    """What is reported on: from ``since`` to ``now``, days and hours in ``zone``."""

    since: datetime
    now: datetime
    zone: str


def report(connection: Connection, span: Span, rules: Rules) -> JsonObject:
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
        "target_s": rules.clock.target,
        "limit_s": rules.clock.limit,
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
    return Watch(span.zone, span.now, rules.clock.limit)


# --------------------------------------------------------------------------- the promise


@dataclass(frozen=True, slots=True)
class _Piece:
    """Tickets put together; their delays to the first answer ascending, in milliseconds."""

    tickets: int = 0
    breached: int = 0
    delays: Sequence[int] = ()


Kinds = tuple[dict[str, _Piece], dict[str, _Piece]]  #: by department, by language
_MADE: dict[tuple[Any, ...], tuple[tuple[Day, ...], Any]] = {}  #: what was put together last, and of which days
_MOST = 1000  #: a year has 366 days, 53 weeks and 13 months, some of them shorter for a shorter span


def _promise(days: Mapping[date, Day], rules: Rules) -> JsonObject:
    """``total days weeks departments languages``: the promise by one key each, in its order.

    A year is put together of its months, each sorted once: what changes with every answer is today alone.
    """
    departments: defaultdict[str, list[_Piece]] = defaultdict(list)
    languages: defaultdict[str, list[_Piece]] = defaultdict(list)
    for month, its in _by(days, lambda day: f"{day:%Y-%m}"):
        for kind, found in zip((departments, languages), _once((month,), its, _kinds), strict=True):
            for key, piece in found.items():
                kind[key].append(piece)
    total = [piece for pieces in departments.values() for piece in pieces]
    return {
        "total": _row("all", total, rules),
        "days": _rows_of(_by(days, str), rules),
        "weeks": _rows_of(_by(days, _week_of), rules),
        "departments": [_row(key, its, rules) for key, its in sorted(departments.items())],
        "languages": [_row(key, its, rules) for key, its in sorted(languages.items())],
    }


def _rows_of(spans: Iterable[tuple[str, tuple[Day, ...]]], rules: Rules) -> list[JsonObject]:
    """The rows of days or weeks that had any ticket."""
    limits = (rules.clock.target, rules.clock.limit)
    rows = [
        _once((key, *limits), its, lambda days, key=key: _row(key, [_whole(days)], rules))  # type: ignore[misc]
        for key, its in spans
    ]
    return [row for row in rows if row["tickets"]]


def _by(days: Mapping[date, Day], key: Callable[[date], str]) -> Iterable[tuple[str, tuple[Day, ...]]]:
    """The days by a part of their date."""
    found: defaultdict[str, list[Day]] = defaultdict(list)
    for day, counts in days.items():
        found[key(day)].append(counts)
    return [(name, tuple(its)) for name, its in found.items()]


def _once(name: tuple[Any, ...], its: tuple[Day, ...], make: Callable[[tuple[Day, ...]], K]) -> K:
    """What ``make`` puts together of these days; once, while they are the same."""
    key = (*name, len(its))
    known = _MADE.get(key)
    if known is not None and all(map(operator.is_, known[0], its)):
        return cast(K, known[1])
    made = make(its)
    if len(_MADE) > _MOST:
        _MADE.clear()
    _MADE[key] = its, made
    return made


def _kinds(its: tuple[Day, ...]) -> Kinds:
    """Some days by department and by language."""
    by: tuple[defaultdict[str, list[Group]], defaultdict[str, list[Group]]] = defaultdict(list), defaultdict(list)
    for day in its:
        for pair, group in day.groups.items():
            for of, key in zip(by, pair, strict=True):
                of[key].append(group)
    departments, languages = ({key: _piece(groups) for key, groups in of.items()} for of in by)
    return departments, languages


def _whole(its: tuple[Day, ...]) -> _Piece:
    """All groups of some days as one piece."""
    return _piece([group for day in its for group in day.groups.values()])


def _piece(groups: Sequence[Group]) -> _Piece:
    """What is sorted in pieces is sorted quickly."""
    delays = sorted(chain.from_iterable(group.delays for group in groups))
    late = sum(group.unanswered for group in groups)
    return _Piece(len(delays) + late, sum(group.breached for group in groups), delays)


def _row(key: str, pieces: Sequence[_Piece], rules: Rules) -> JsonObject:
    """A line of the report: tickets, answered, within target and limit; percentiles of the delay in seconds."""
    delays = [piece.delays for piece in pieces if piece.delays]
    answered = sum(map(len, delays))
    within = (_up_to(delays, round(limit * 1000)) for limit in (rules.clock.target, rules.clock.limit))
    counts = {"key": key, "tickets": sum(piece.tickets for piece in pieces), "answered": answered}
    counts |= dict(zip(("within_target", "within_limit"), within, strict=True))
    counts |= {"breached": sum(piece.breached for piece in pieces)}
    return counts | {f"p{percent}_s": _percentile(delays, answered, percent) for percent in (_P50, _P95)}


def _up_to(delays: Sequence[Sequence[int]], limit: int) -> int:
    """How many are not longer, of ascending lists."""
    return sum(bisect_right(one, limit) for one in delays)


def _percentile(delays: Sequence[Sequence[int]], count: int, percent: int) -> float | None:
    """In seconds, by nearest rank: the shortest delay that enough of them do not exceed, found without sorting."""
    if not count:
        return None
    rank = -(-count * percent // 100)
    if len(delays) == 1:
        return round(delays[0][rank - 1] / 1000, 1)
    low, high = min(one[0] for one in delays), max(one[-1] for one in delays)
    while low < high:
        middle = (low + high) // 2
        if _up_to(delays, middle) < rank:
            low = middle + 1
        else:
            high = middle
    return round(low / 1000, 1)


def _week_of(day: date) -> str:
    """The ISO week of a day: ``2026-W48``."""
    year, week, _ = day.isocalendar()
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


def _silence(days: Mapping[date, Day]) -> list[JsonObject]:
    """Why no automatic reply went to a mail: the reasons, each with its count, the most frequent first."""
    found: Counter[str] = Counter()
    for counts in days.values():
        found.update(counts.silence)
    rows = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [{"reason": reason, "count": many} for reason, many in rows]
