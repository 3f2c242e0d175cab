"""``gateway outbox``: replies on their way to the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, moments
from gateway.cli.listing import Listing, listed
from gateway.cli.output import Json, Limit, fail, safe, show_fields
from gateway.model import OutboxState

if TYPE_CHECKING:
    from gateway.database.outbox import Choice

app = typer.Typer(no_args_is_help=True, help="Replies: list, show, retry, discard.")

Rows = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Row numbers.")]
RowState = Annotated[str | None, typer.Option("--state", help="dead, queued or held: every row in this state.")]
Since = Annotated[
    str | None, typer.Option(help="Of those, the ones written or given up since then: 2h, 3d, or 2026-11-22T14:00Z.")
]
Every = Annotated[bool, typer.Option("--all", help="Every dead and waiting row.")]


COLUMNS = ("id", "ticket", "template", "to", "subject", "state", "attempts", "created_at", "next_at", "last_error")


@app.command("list")
def outbox_list(
    state: OutboxState | None = None,
    to: Annotated[str | None, typer.Option(help="A part of the recipient's address.")] = None,
    subject: Annotated[str | None, typer.Option(help="A part of the ticket's subject.")] = None,
    message_id: Annotated[str | None, typer.Option("--message-id", help="The reply's Message-ID.")] = None,
    since: Annotated[str | None, typer.Option(help="Written since then: 2h, 3d, or 2026-11-22T14:00.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List replies and staff mail, newest first."""
    from gateway.tickets import search

    wanted = search.Search(state, None, to, subject, message_id, limit=limit)
    listed(Listing(search.outbox_rows, COLUMNS, as_json), wanted, since)


@app.command("show")
def outbox_show(reply: Annotated[int, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show one reply: to whom, about what, and what the relay said."""
    from gateway.tickets import search

    with context.store() as (_, store):
        found = store.read_now(lambda connection: search.outbox_show(connection, reply))
    if found is None:
        fail(f"no reply {reply}")
    show_fields(found, as_json)


@app.command("retry")
def outbox_retry(rows: Rows = None, state: RowState = None, since: Since = None, every: Every = False) -> None:
    """Try dead or waiting replies now: by number, by --state and --since, or --all."""
    _settle("retry", "are due now", _chosen(rows or [], state, since, every))


@app.command("discard")
def outbox_discard(rows: Rows = None, state: RowState = None, since: Since = None, every: Every = False) -> None:
    """Give dead or waiting replies up on purpose: by number, by --state and --since, or --all."""
    _settle("drop", "are discarded", _chosen(rows or [], state, since, every))


def _chosen(ids: list[int], state: str | None, since: str | None, every: bool) -> Choice:
    """The rows that a person named; ends the command where that is not clear."""
    from gateway.database.outbox import Choice
    from gateway.database.store import utc_now

    if state not in (None, "dead", "queued", "held"):
        fail(f"--state is dead, queued or held, not {safe(state)}", 2)
    if bool(ids) == bool(state or since or every):
        fail("name the rows by number, or choose them by --state, --since or --all", 2)
    moment = moments.past(since, utc_now()) if since else None
    return Choice(tuple(ids), OutboxState(state) if state else None, moment)


def _settle(function: str, done: str, choice: Choice) -> None:
    from gateway.database.store import utc_now
    from gateway.tickets import held

    act, now = getattr(held, function), utc_now()
    with context.store(write=True) as (_, store):
        found = store.write_now(lambda connection: act(connection, choice, context.person(), now))
    print(f"{len(found)} replies {done}")
    missing = sorted(set(choice.ids) - set(found))
    if missing:
        fail(f"neither dead, waiting nor held: {', '.join(str(row) for row in missing)}")
