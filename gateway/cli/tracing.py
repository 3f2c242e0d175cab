"""``gateway trace``: one mail's whole life."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, line, safe

if TYPE_CHECKING:
    from gateway.tickets.life import Life

app = typer.Typer()


@app.command()
def trace(
    what: Annotated[
        str, typer.Argument(metavar="ID|MESSAGE-ID|ADDRESS|T-...", help="A mail's number, our id, a ticket, ...")
    ],
    as_json: Json = False,
) -> None:
    """Tell a mail's life with times and reasons, from the connection to the relay's answer to our reply.

    Takes its number, the id in our 250, the relay's queue id, its Message-ID (or that of our reply), an address, a
    ticket.
    """
    from gateway.tickets import life

    with context.store() as (settings, store):
        found = store.read_now(lambda connection: life.traced(connection, what, store.keys))
    if not found:
        fail(f"no mail found for {safe(what)}; it was refused, or never came: look for it in the log (journalctl)")
    zone = ZoneInfo(settings.gateway.timezone)
    for one in found:
        print(_json(one)) if as_json else _show(one, zone)


def _json(one: Life) -> str:
    steps = [
        {"at": step.at.isoformat() if step.at else None, "what": step.what, "line": step.line} for step in one.steps
    ]
    return json.dumps({"message": one.message, "title": one.title, "steps": steps}, ensure_ascii=False)


def _show(one: Life, zone: ZoneInfo) -> None:
    print(line(one.title))
    last = ""
    for step in one.steps:
        at = _clock(step.at, zone)
        print(f"  {at if at != last else '':28} {step.what:13} {line(step.line)}")
        last = at


def _clock(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(" ", "milliseconds")[:23] + at.astimezone(zone).strftime(" %Z") if at else ""
