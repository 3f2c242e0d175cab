"""``gateway blocks``: senders whose mail goes to quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, safe, show_table

if TYPE_CHECKING:
    from gateway.model import JsonObject


app = typer.Typer(no_args_is_help=True, help="Blocked senders: list, add, remove.")

Sender = Annotated[str, typer.Argument(help="An address, or a domain with everything below it.")]


@app.command("list")
def blocks_list(as_json: Json = False) -> None:
    """Who is blocked, by whom and since when; the configuration's own last."""
    from gateway.tickets import blocks

    with context.store() as (settings, store):
        kept = store.read_now(blocks.listed)
    rows: list[JsonObject] = [
        {"sender": row.sender, "since": row.at.isoformat(timespec="seconds"), "by": row.who,
        "why": row.why} for row in kept
    ]  # fmt: skip
    fixed = [*settings.block.addresses, *settings.block.domains]
    rows += [{"sender": one, "since": None, "by": "[block] of the configuration", "why": ""} for one in fixed]
    show_table(rows, ("sender", "since", "by", "why"), as_json)


@app.command("add")
def blocks_add(
    sender: Sender,
    why: Annotated[str, typer.Option(help="For the list.")] = "",
    customer: Annotated[bool, typer.Option("--customer", help="Although accounts are registered with it.")] = False,
) -> None:
    """Send mail of this sender to quarantine from now on, unanswered."""
    from gateway.tickets import blocks

    with context.store(write=True) as (settings, store):
        if not customer and (whose := _customers(settings, blocks.normal(sender))):
            fail(f"{safe(whose)}: --customer blocks it all the same", 2)
        acting = context.acting(settings, store)
        done = store.write_now(lambda connection: blocks.add(connection, sender, why, acting))
    print(f"{safe(done)} is blocked: the service knows it within two seconds")


def _customers(settings: Any, sender: str) -> str:
    """Whose mail would not reach the desk any more; an empty string: no customer's."""
    from gateway.configured import directory_of
    from gateway.verify.lookup import customers_of

    directory = directory_of(settings)
    if settings.directory.configured and not directory.loaded:
        return "nobody knows whether it is a customer's: the account directory cannot be read (gateway accounts sync)"
    number, some = customers_of(directory, sender)
    if not number:
        return ""
    names = ", ".join(account.account for account in some) + (" ..." if number > len(some) else "")
    if "@" in sender:
        return f"{sender} belongs to account {names}"
    return f"{number} account{'s have' if number > 1 else ' has'} addresses at {sender} ({names})"


@app.command("remove")
def blocks_remove(sender: Sender) -> None:
    """Take mail of this sender again; what is in quarantine stays there until it is released."""
    from gateway.database.store import utc_now
    from gateway.tickets import blocks

    with context.store(write=True) as (_, store):
        if not store.write_now(lambda c: blocks.remove(c, sender, context.person(), utc_now())):
            fail(f"{safe(sender)} is not on the list: gateway blocks list (the configuration's own are in [block])")
    print(f"{safe(sender)} is not blocked any more")
