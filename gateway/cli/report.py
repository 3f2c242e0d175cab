"""``gateway report``: the promise, measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, moments
from gateway.cli.output import Json, safe

if TYPE_CHECKING:
    from gateway.model import JsonObject


app = typer.Typer()
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@app.command("report")
def report(
    since: Annotated[str, typer.Option(help="Since then: 30d, 12h, or 2026-11-01.")] = "30d", as_json: Json = False
) -> None:  # fmt: skip
    """Report how soon customers got their first answer, when they write, and why nothing was sent."""
    from gateway.database.store import utc_now
    from gateway.tickets import report as measured

    with context.store() as (settings, store):
        now, zone = utc_now(), moments.zone_of(settings)
        span = measured.Span(moments.past(since, now, zone=zone), now, zone)
        rules = context.office(settings, store).rules
        found = store.read_now(lambda connection: measured.report(connection, span, rules))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for text in lines(found):
        print(safe(text))


def lines(found: JsonObject) -> list[str]:
    """The report as a page of text."""
    zone = found["timezone"]
    head = f"First answers, {moments.local(found['since'], zone)} to {moments.local(found['until'], zone)}"
    target, limit = (f"in {found[name] / 60:g} min" for name in ("target_s", "limit_s"))
    columns = f"{'':12}{'tickets':>9}{'answered':>10}{target:>12}{limit:>12}{'p50':>10}{'p95':>10}"
    page = [head, "", columns, _kept(found["total"])]
    for name in ("departments", "languages", "weeks", "days"):
        page += ["", *map(_kept, found[name])] if found[name] else []
    page += ["", f"Mails that were promised an answer, by hour ({zone})", _heads()]
    days = zip(_DAYS, found["hours"], strict=True)
    page += [f"{day:5}" + "".join(f"{many or '.':>5}" for many in hours) for day, hours in days]
    if found["silence"]:
        page += ["", "No automatic reply", *(f"{one['count']:>9}  {one['reason']}" for one in found["silence"])]
    return page


def _heads() -> str:
    return f"{'':5}" + "".join(f"{hour:>5}" for hour in range(24))


def _kept(row: JsonObject) -> str:
    shares = "".join(_share(row[name], row["tickets"]) for name in ("within_target", "within_limit"))
    return f"{row['key']:12}{row['tickets']:>9}{row['answered']:>10}{shares}{_time(row['p50_s'])}{_time(row['p95_s'])}"


def _share(part: int, whole: int) -> str:
    return f"{f'{100 * part / whole:.1f} %' if whole else '-':>12}"


def _time(seconds: float | None) -> str:
    shown = "-" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02} min"
    return f"{shown:>10}"
