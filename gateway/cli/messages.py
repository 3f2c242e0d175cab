"""``gateway messages``: the inbox."""

from __future__ import annotations

import typer

from gateway.cli import context
from gateway.cli.output import Force, Json, Limit, fail, show_table, write_octets
from gateway.model import Disposition, InboxState

app = typer.Typer(no_args_is_help=True, help="The inbox: list, raw, replay, release, discard.")


@app.command("list")
def messages_list(
    state: InboxState | None = None, disposition: Disposition | None = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """The inbox, newest first."""
    from gateway.tickets import views

    with context.store() as (_, store):
        rows = store.read_now(lambda connection: views.message_list(connection, state, disposition, limit))
    show_table(rows, ("id", "source", "received_at", "state", "disposition", "ticket", "attempts", "reason"), as_json)


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
def messages_replay(message: int) -> None:
    """Run a failed mail again."""
    _on_message("replay", message, "failed")


@app.command("release")
def messages_release(message: int) -> None:
    """Give a quarantined mail, or a contribution without proof, to the desk."""
    from gateway.database.store import utc_now
    from gateway.tickets import held

    with context.store(write=True) as (settings, store):
        office = context.office(settings, store)
        if not store.write_now(
            lambda connection: held.release(connection, message, context.person(), office, utc_now())
        ):
            fail(f"message {message} is not quarantined or pending")


@app.command("discard")
def messages_discard(message: int) -> None:
    """Settle a quarantined or failed mail without a ticket."""
    _on_message("discard", message, "quarantined or failed")
