"""``gateway accounts``: the directory of accounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, safe

if TYPE_CHECKING:
    from gateway.model import JsonObject


app = typer.Typer(no_args_is_help=True, help="The account directory: sync, lookup.")


@app.command("sync")
def accounts_sync() -> None:
    """Read the account directory now, and say what was read or why not."""
    from gateway.configured import directory_of
    from gateway.database.store import utc_now

    settings = context.settings()
    if not settings.directory.configured:
        fail("directory.path is not set", 2)
    counts = directory_of(settings).reload(utc_now())
    print(", ".join(f"{count} {what}" for what, count in counts.items()))


@app.command("lookup")
def accounts_lookup(
    what: Annotated[str, typer.Argument(help="An address, order, IP or service name.")], as_json: Json = False
) -> None:
    """Show which accounts an address, order, IP or service belongs to."""
    from gateway.configured import directory_of
    from gateway.verify.lookup import accounts_of

    directory = directory_of(context.settings())
    found: list[JsonObject] = [
        {
            "account": account.account,
            "name": account.name,
            "language": account.language,
            "status": account.status,
            "addresses": [{"address": a, "role": role} for a, role in directory.addresses_of(account.account)],
            "orders": [
                {"order": o.number, "service": o.service, "status": o.status}
                for o in directory.orders_of(account.account)
            ],
        }
        for account in accounts_of(directory, what)
    ]
    if not found:
        fail(f"nothing known of {safe(what)}")
    for row in found:
        if as_json:
            print(json.dumps(row, ensure_ascii=False))
            continue
        print(safe(f"{row['account']}  {row['name']}  ({row['language']}, {row['status']})"))
        for address in row["addresses"]:
            print(safe(f"    {address['address']}  {address['role']}"))
        for order in row["orders"]:
            print(safe(f"    #{order['order']}  {order['service']}  {order['status']}"))
