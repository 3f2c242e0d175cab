"""Whose mail it is and whose facts it names: the author's address against the directory."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from gateway.model import Account, AccountMatch, Author, Candidate, Fact, Facts, Ownership, Reading
from gateway.verify.directory import Directory, DirectoryError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NOBODY = AccountMatch((), {}, None, ())
_UNREADABLE = AccountMatch((), {}, None, (), False, "the directory cannot be read or is too old")


def match(author: Author, directory: Directory, now: datetime) -> AccountMatch:
    """Every account of the author's address; not settled yet when there are several."""
    if not directory.usable(now):
        return _UNREADABLE
    if author.address is None:
        return NOBODY
    try:
        roles = directory.roles_of(author.address)
        accounts = tuple(account for name in sorted(roles) if (account := directory.account(name)) is not None)
        return _settled(AccountMatch(accounts, roles, None, ()), accounts[0] if len(accounts) == 1 else None, directory)
    except DirectoryError:
        return _UNREADABLE


def _settled(found: AccountMatch, account: Account | None, directory: Directory) -> AccountMatch:
    support = tuple(a for a, _ in directory.addresses_of(account.account, "support")) if account else ()
    return AccountMatch(found.accounts, found.roles, account, support, found.usable, found.reason)


def _within(address: Network, networks: Sequence[Network]) -> bool:
    return any(address.version == own.version and address.subnet_of(own) for own in networks)  # type: ignore[arg-type]


def _ranked(
    candidates: Iterable[Candidate], owners: Callable[[str], frozenset[str]], networks: Sequence[Network]
) -> list[Candidate]:
    """The addresses that count, those first that somebody here knows: the directory, then the company's own
    networks."""
    ranked: list[tuple[int, Candidate]] = []
    for candidate in candidates:
        if owners(candidate.value):
            rank = 0
        elif networks and _within(ipaddress.ip_network(candidate.value), networks):
            rank = 1
        elif candidate.weak:
            continue
        else:
            rank = 2
        ranked.append((rank, candidate))
    return [candidate for _, candidate in sorted(ranked, key=lambda item: item[0])]


def judged(
    reading: Reading, found: AccountMatch, directory: Directory, networks: Sequence[Network] = ()
) -> tuple[Facts, AccountMatch]:
    """The facts with their ownership, and the match settled by order, address or service where several are possible.
    A directory that fails meanwhile owns nothing and makes the match unusable, so that the mail is looked at again."""
    try:
        return _judged(reading, found, directory, networks)
    except DirectoryError:
        return _nobodys(reading), _UNREADABLE


def _nobodys(reading: Reading) -> Facts:
    def unknown(candidates: Iterable[Candidate]) -> tuple[Fact, ...]:
        return tuple(Fact(c.value, Ownership.UNKNOWN, c.words, c.quoted) for c in candidates if not c.weak)

    orders, invoices = unknown(reading.orders), unknown(reading.invoices)
    hosts, customers = unknown(reading.hosts), unknown(reading.customers)
    return Facts(orders, unknown(reading.ips), (), invoices, reading.started_at, hosts, customers)


def _judged(
    reading: Reading, found: AccountMatch, directory: Directory, networks: Sequence[Network]
) -> tuple[Facts, AccountMatch]:
    mine = frozenset(account.account for account in found.accounts)
    claimed: dict[str, set[str]] = {}

    def fact(candidate: Candidate, owners: frozenset[str]) -> Fact:
        for owner in owners & mine:
            claimed.setdefault(owner, set()).add(candidate.value)
        ownership = Ownership.OWN if owners & mine else Ownership.FOREIGN if owners else Ownership.UNKNOWN
        return Fact(candidate.value, ownership, candidate.words, candidate.quoted)

    def facts(candidates: Iterable[Candidate], owners: Callable[[str], frozenset[str]]) -> tuple[Fact, ...]:
        return tuple(fact(candidate, owners(candidate.value)) for candidate in candidates)

    @functools.cache  # several rules ask for the same fact
    def order_owners(number: str) -> frozenset[str]:
        order = directory.order(number)
        return frozenset((order.account,)) if order else frozenset()

    @functools.cache
    def invoice_owners(number: str) -> frozenset[str]:
        owner = directory.invoice_owner(number)
        return frozenset((owner,)) if owner else frozenset()

    service_owners, ip_owners = functools.cache(directory.service_owners), functools.cache(directory.ip_owners)
    # a number that is nobody's order but somebody's invoice is an invoice, whatever it was called
    called_orders = [c for c in reading.orders if order_owners(c.value) or not invoice_owners(c.value)]
    billed = [*reading.invoices, *(c for c in reading.orders if c not in called_orders)]
    services = [
        candidate
        for candidate in reading.services
        if candidate.words.startswith("service:") or service_owners(candidate.value)
    ]
    served = {candidate.value for candidate in services}

    def host_owners(host: str) -> frozenset[str]:
        """Of the service of that name, or of the nearest one above it: ``mail.shop.example`` is ``shop.example``'s."""
        while host.count("."):
            if owners := service_owners(host) or service_owners(f"www.{host}"):
                return owners
            host = host.partition(".")[2]
        return frozenset()

    def customer_owners(number: str) -> frozenset[str]:
        return frozenset((number,)) if directory.account(number) is not None else frozenset()

    hosts = [c for c in reading.hosts if c.value not in served and f"www.{c.value}" not in served]
    addresses = _ranked(reading.ips, ip_owners, networks)
    result = Facts(
        orders=facts(called_orders, order_owners),
        ips=facts(addresses, ip_owners),
        services=facts(services[:50], service_owners),
        invoices=facts(billed, invoice_owners),
        incident_started_at=reading.started_at,
        hosts=facts(hosts[:50], host_owners),
        customers=facts(reading.customers, customer_owners),
    )
    if found.settled is None and len(claimed) == 1:
        name = next(iter(claimed))
        found = _settled(found, next(a for a in found.accounts if a.account == name), directory)
    return result, found


def owners(found: Facts, directory: Directory) -> set[str]:
    """Every account whose address, service or order is named."""
    accounts: set[str] = set()
    for fact in found.ips:
        accounts |= directory.ip_owners(fact.value)
    for fact in found.services:
        accounts |= directory.service_owners(fact.value)
    for fact in found.orders:
        order = directory.order(fact.value)
        accounts |= {order.account} if order is not None else set()
    return accounts
