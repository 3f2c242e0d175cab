"""``gateway incidents``: what several tickets are about."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import context, moments
from gateway.cli.output import Json, Limit, show_table

app = typer.Typer(no_args_is_help=True, help="Incidents that several tickets are about: list, confirm, close.")

Number = Annotated[int, typer.Argument(help="The number of the incident.")]


@app.command("list")
def incidents_list(
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Open incidents with their tickets, newest first."""
    from gateway.tickets import incidents

    with context.store() as (_, store):
        rows = store.read_now(lambda connection: incidents.listed(connection, every, limit))
    show_table(rows, ("incident", "state", "kind", "value", "known_since", "confirmed_by", "tickets"), as_json)


def _act(what: str, number: int) -> None:
    from gateway.database.store import utc_now
    from gateway.model import Person
    from gateway.tickets import audit

    with context.store(write=True) as (_, store):
        act = audit.Act(what, "incident", str(number))
        store.write_now(lambda connection: audit.write(connection, act, Person(context.who()), utc_now()))


@app.command("confirm")
def incidents_confirm(
    number: Number,
    since: Annotated[str | None, typer.Option(help="We know since then: 20m, 14:05 today as 2026-11-28T14:05.")] = None,
) -> None:
    """It is one: from now on received and status replies to its customers say since when we know."""
    from gateway.database.store import utc_now
    from gateway.tickets import incidents

    with context.store(write=True) as (settings, store):
        start = moments.past(since, utc_now(), zone=settings.gateway.timezone) if since else None
        store.write_now(lambda connection: incidents.confirm(connection, number, context.who(), start, utc_now()))
    _act("confirm", number)
    print(f"incident {number} is confirmed: customers hear of it from now on")


@app.command("close")
def incidents_close(number: Number) -> None:
    """It is over, or was none: replies say nothing of it any more; its tickets stay as they are."""
    from gateway.database.store import utc_now
    from gateway.tickets import incidents

    with context.store(write=True) as (_, store):
        store.write_now(lambda connection: incidents.close(connection, number, utc_now()))
    _act("close", number)
    print(f"incident {number} is closed")
