"""``gateway abuse``: notices of abuse of a customer's service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context
from gateway.cli.output import fail, safe

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.tickets.abuse import Contact

app = typer.Typer(no_args_is_help=True, help="Abuse notices: tell.")


@app.callback()
def _abuse() -> None:
    """So that ``abuse tell`` is a command of its own."""


@app.command("tell")
def abuse_tell(
    reference: str,
    account: Annotated[str | None, typer.Option(help="Whose contact, where the notice names several accounts.")] = None,
) -> None:
    """Pass an abuse notice on to the abuse contact (else the owner) of the account whose address it names."""
    from gateway.tickets import abuse
    from gateway.tickets.conversation import ticket

    with context.store(write=True) as (settings, store):
        said = store.read_now(lambda connection: abuse.named(connection, ticket(connection, reference).id))
        contact = _contact(settings, said, account)
        about = ", ".join([*said["ips"], *said["services"], *said["orders"]][:3])
        acting = context.acting(settings, store)
        told = store.write_now(lambda connection: abuse.tell(connection, reference, contact, about, acting))
    print(f"told {', '.join(map(safe, told))} (account {safe(contact.account.account)})")


def _contact(settings: Settings, said: dict[str, list[str]], account: str | None) -> Contact:
    from gateway import service
    from gateway.model import Fact, Facts, Ownership
    from gateway.tickets.abuse import Contact
    from gateway.verify import accounts

    directory = service.directory(settings)
    facts = {kind: tuple(Fact(value, Ownership.UNKNOWN) for value in values) for kind, values in said.items()}
    owners = sorted(accounts.owners(Facts(facts["orders"], facts["ips"], facts["services"]), directory))
    if account is None and len(owners) != 1:
        which = f"accounts {', '.join(owners)}" if owners else "no account that we know"
        fail(f"the notice names {which}: choose one by --account")
    chosen = directory.account(account or owners[0])
    if chosen is None:
        fail(f"there is no account {safe(account)}")
    contacts = directory.addresses_of(chosen.account, "abuse") or directory.addresses_of(chosen.account, "owner")
    return Contact(chosen, tuple(dict.fromkeys(address for address, _ in contacts)))
