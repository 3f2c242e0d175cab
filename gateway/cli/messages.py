"""``gateway messages``: the inbox."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import context, moments
from gateway.cli.listing import Listing, listed
from gateway.cli.output import Force, Json, Limit, fail, show_fields, write_octets
from gateway.model import Disposition, InboxState

app = typer.Typer(no_args_is_help=True, help="The inbox: list, show, raw, replay, release, discard.")


COLUMNS = ("id", "source", "received_at", "from", "subject", "state", "disposition", "ticket", "reason")


@app.command("list")
def messages_list(
    state: InboxState | None = None,
    disposition: Disposition | None = None,
    sender: Annotated[str | None, typer.Option("--from", help="A part of the author or envelope sender.")] = None,
    subject: Annotated[str | None, typer.Option(help="A part of the subject.")] = None,
    message_id: Annotated[str | None, typer.Option("--message-id", help="The mail's Message-ID.")] = None,
    since: Annotated[str | None, typer.Option(help="Received since then: 2h, 3d, or 2026-11-22T14:00.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List received mail, newest first."""
    from gateway.tickets import search

    wanted = search.Search(state, disposition, sender, subject, message_id, limit=limit)
    listed(Listing(search.inbox_rows, COLUMNS, as_json), wanted, since)


@app.command("show")
def messages_show(message: Annotated[int, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show one mail: its envelope, where it came from and what became of it. ``gateway trace ID`` tells it step by
    step."""
    from gateway.mail.receipts import receipt
    from gateway.tickets import search

    with context.store() as (_, store):
        found = store.read_now(lambda connection: search.inbox_show(connection, message))
        if found is None:
            fail(f"no message {message}")
        found["receipt"] = receipt(store.keys[store.key_id], message)
    show_fields(found, as_json)


@app.command("raw")
def messages_raw(message: int, force: Force = False) -> None:
    """The mail as it came, to standard output."""
    from gateway.database import originals

    with context.store() as (_, store):
        raw = store.read_now(lambda connection: originals.load(connection, message))
    if not raw:
        fail(f"no message {message}")
    write_octets(raw, force, "a raw mail")


def _on_message(function: str, message: int, needs: str) -> None:
    from gateway.database.store import utc_now
    from gateway.tickets import held

    act = getattr(held, function)
    with context.store(write=True) as (_, store):
        if not store.write_now(lambda connection: act(connection, message, context.person(), utc_now())):
            fail(f"message {message} is not {needs}")


@app.command("replay")
def messages_replay(
    messages: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Message numbers.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Every mail that failed since then: 2h, 3d, or 2026-11-22T14:00.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every failed mail.")] = False,
) -> None:
    """Run failed mails again: by number, by --since, or --all."""
    from gateway.database.store import utc_now
    from gateway.tickets import held

    now, ids = utc_now(), messages or []
    if bool(ids) == bool(since or every):
        fail("name the messages by number, or choose them by --since or --all", 2)
    start = moments.past(since, now) if since else None
    with context.store(write=True) as (_, store):
        done = store.write_now(lambda connection: held.replay_all(connection, ids, start, context.person(), now))
    print(f"{len(done)} mails are run again")
    missing = sorted(set(ids) - set(done))
    if missing:
        fail(f"not failed: {', '.join(map(str, missing))}")


@app.command("release")
def messages_release(message: int) -> None:
    """Give a quarantined mail, or a contribution without proof, to the desk."""
    from gateway.tickets import held

    with context.store(write=True) as (settings, store):
        acting = context.acting(settings, store)
        if not store.write_now(lambda connection: held.release(connection, message, acting)):
            fail(f"message {message} is not quarantined or pending")


@app.command("discard")
def messages_discard(message: int) -> None:
    """Settle a quarantined or failed mail without a ticket."""
    _on_message("discard", message, "quarantined or failed")
