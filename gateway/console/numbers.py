"""The promise in numbers, drawn as SVG by the template: how it was kept, when customers write, why nothing was sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.console.door import Visit
from gateway.tickets import report, report_days

SPANS = {"7d": 7, "30d": 30, "90d": 90, "365d": 365}
FRESH_S = 5.0
MANY_DAYS = 100  #: more are shown by week
_WIDTH, _HEIGHT, _FOOT = 640.0, 160.0, 24.0
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Numbers:
    """The reports, each made at most every few seconds however many look."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime, dict[str, Any]]] = {}

    async def page(self, visit: Visit) -> Response:
        """``gateway report`` as a page."""
        chosen = visit.asked("since") if visit.asked("since") in SPANS else "30d"
        now = visit.service.clock()
        known = self._known.get(chosen)
        if known is None or now - known[0] > timedelta(seconds=FRESH_S):
            known = self._known[chosen] = (now, await _counted(visit, SPANS[chosen], now))
        waiting = await visit.service.ask(lambda connection: report.in_time(connection, now))
        return _page(visit, chosen, known[1], waiting)


async def _counted(visit: Visit, days: int, now: datetime) -> dict[str, Any]:
    desk = visit.service.desk()
    span = report.Span(now - timedelta(days=days), now, desk.settings.gateway.timezone)
    rules = desk.office.rules

    watch = report.watch_of(span, rules)
    while await visit.service.change(lambda connection: report_days.settle(connection, span.since, watch)):
        pass

    def read(connection: Connection) -> dict[str, Any]:
        return report.report(connection, span, rules)

    return await visit.service.ask(read)


def _page(visit: Visit, chosen: str, found: dict[str, Any], waiting: int) -> Response:
    drawn = found["days"] if SPANS[chosen] <= MANY_DAYS else found["weeks"]
    return visit.page(
        "numbers.html", found=found, waiting=waiting, spans=SPANS, chosen=chosen, bars=_bars(drawn),
        week=_week(found["hours"]),
        by_day=SPANS[chosen] <= MANY_DAYS,
    )  # fmt: skip


def _bars(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each day's column: what came in time, and the rest on top of it."""
    most = max((day["tickets"] for day in days), default=0) or 1
    width = _WIDTH / max(1, len(days))
    room = _HEIGHT - _FOOT
    drawn = []
    for index, day in enumerate(days):
        kept, late = (room * count / most for count in (day["within_limit"], day["tickets"] - day["within_limit"]))
        drawn.append(
            {"x": round(index * width + 1, 1), "width": round(max(1.0, min(width - 2, 40.0)), 1), "kept": round(kept,
            1),
             "late": round(late, 1), "top": round(room - kept, 1), "upper": round(room - kept - late, 1), "day": day,
             "label": day["key"][5:] if index % max(1, len(days) // 8) == 0 else ""}
        )  # fmt: skip
    return drawn


def _week(hours: list[list[int]]) -> list[dict[str, Any]]:
    """The hours of the week as cells; the more mails, the more colour."""
    most = max((count for day in hours for count in day), default=0) or 1
    return [
        {"x": 40 + hour * 25, "y": 4 + day * 20, "share": round(count / most, 2), "count": count, "day": _DAYS[day],
        "hour": hour}
        for day, counts in enumerate(hours)
        for hour, count in enumerate(counts)
    ]  # fmt: skip
