"""``gateway accounts lookup``: accounts by whatever an operator has in hand."""

from __future__ import annotations

from gateway.model import Account
from gateway.verify.directory import Directory


def accounts_of(directory: Directory, what: str) -> list[Account]:
    """The accounts of an address, order number, IP address or network, service name, or account id."""
    names: set[str] = set()
    if "@" in what:
        names |= set(directory.roles_of(what))
    else:
        order = directory.order(what.removeprefix("#"))
        names |= {order.account} if order else set()
        names |= directory.service_owners(what)
        owner = directory.invoice_owner(what)
        names |= {owner} if owner else set()
        try:
            names |= directory.ip_owners(what)
        except ValueError:
            pass
        names.add(what)
    return [account for name in sorted(names) if (account := directory.account(name)) is not None]


def customers_of(directory: Directory, sender: str, most: int = 5) -> tuple[int, list[Account]]:
    """(how many accounts a sender is registered with, the first of them); ``sender``: an address, or a domain with
    everything below it, as ``blocks.normal`` gives them."""
    if "@" in sender:
        found = accounts_of(directory, sender)
        return len(found), found[:most]
    number, names = directory.below(sender, most)
    return number, [account for name in names if (account := directory.account(name)) is not None]
