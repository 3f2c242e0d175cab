"""Whose mail it is and whose facts it names: the author's address against the directory.

Names of services are whatever a customer called them (``nwl-wms1``, ``shop-db``), so the words alone do not tell them
from other words: the author's own are looked for by name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.model import Account, AccountMatch, Author, Candidate, Fact, Facts, Ownership, Reading
from gateway.verify.directory import Directory, DirectoryError, Order

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NOBODY = AccountMatch((), {}, None, ())
MAX_NAMED = 100  #: orders of an account whose services are looked for by name
MAX_SHOWN = 4  #: orders that staff are shown of an account
_SPECIAL = re.compile(r"[\d_.-]")  #: without one of these a name may be any word ("shop", "mail")
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


class _Owners:
    """Whose each fact is, by the directory, which keeps its answers: several rules ask for the same one."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.service, self.ip = directory.service_owners, directory.ip_owners

    def order(self, number: str) -> frozenset[str]:
        """Of the account that ordered it."""
        order = self._directory.order(number)
        return frozenset((order.account,)) if order else frozenset()

    def invoice(self, number: str) -> frozenset[str]:
        """Of the account that was billed."""
        owner = self._directory.invoice_owner(number)
        return frozenset((owner,)) if owner else frozenset()

    def host(self, host: str) -> frozenset[str]:
        """Of the service of that name, or of the nearest one above it: ``mail.shop.example`` is ``shop.example``'s."""
        while host.count("."):
            if owners := self.service(host) or self.service(f"www.{host}"):
                return owners
            host = host.partition(".")[2]
        return frozenset()

    def customer(self, number: str) -> frozenset[str]:
        """A customer number is its account's."""
        return frozenset((number,)) if self._directory.account(number) is not None else frozenset()


class _Claims:
    """Facts with their ownership, and which of the author's accounts they speak for."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._mine = frozenset(account.account for account in accounts)
        self.claimed: set[str] = set()

    def mine(self, owners: frozenset[str]) -> bool:
        """Whether one of these accounts is the author's."""
        return bool(owners & self._mine)

    def facts(self, candidates: Iterable[Candidate], owners: Callable[[str], frozenset[str]]) -> tuple[Fact, ...]:
        """These candidates as facts, each with whose it is."""
        return tuple(self._fact(candidate, owners(candidate.value)) for candidate in candidates)

    def _fact(self, candidate: Candidate, owners: frozenset[str]) -> Fact:
        own = owners & self._mine
        self.claimed |= own
        ownership = Ownership.OWN if own else Ownership.FOREIGN if owners else Ownership.UNKNOWN
        return Fact(candidate.value, ownership, candidate.words, candidate.quoted)


def _judged(
    reading: Reading, found: AccountMatch, directory: Directory, networks: Sequence[Network]
) -> tuple[Facts, AccountMatch]:
    owners, claims = _Owners(directory), _Claims(found.accounts)
    held = {account.account: directory.held_by(account.account, MAX_NAMED + 1) for account in found.accounts}
    # a number that is nobody's order but somebody's invoice is an invoice, whatever it was called
    numbers = [c for c in reading.orders if not c.weak or claims.mine(owners.order(c.value) or owners.invoice(c.value))]
    called_orders = [c for c in numbers if owners.order(c.value) or not owners.invoice(c.value)]
    billed = [*reading.invoices, *(c for c in numbers if c not in called_orders)]
    services = [c for c in reading.services if c.words.startswith("service:") or owners.service(c.value)]
    services += _named(reading, held.values(), {candidate.value for candidate in services})
    served = {candidate.value for candidate in services}
    hosts = [c for c in reading.hosts if c.value not in served and f"www.{c.value}" not in served]
    result = Facts(
        orders=claims.facts(called_orders, owners.order),
        ips=claims.facts(_ranked(reading.ips, owners.ip, networks), owners.ip),
        services=claims.facts(services[:50], owners.service),
        invoices=claims.facts(billed, owners.invoice),
        incident_started_at=reading.started_at,
        hosts=claims.facts(hosts[:50], owners.host),
        customers=claims.facts(reading.customers, owners.customer),
    )
    if found.settled is None and len(claims.claimed) == 1:
        (name,) = claims.claimed
        found = _settled(found, next(a for a in found.accounts if a.account == name), directory)
    if found.settled is None:
        return result, found
    has = held[found.settled.account]
    return result, replace(found, orders=_shown(has, result))


def _shown(has: Sequence[Order], named: Facts) -> tuple[str, ...]:
    """All orders where there are few, or those that the mail names, in words."""
    said = {fact.value for fact in (*named.orders, *named.services)}
    few = has if len(has) <= MAX_SHOWN else [one for one in has if {one.number, one.service} & said][:MAX_SHOWN]
    return tuple(" ".join(filter(None, (f"#{one.number}", one.service, f"({one.status})"))) for one in few)


def _named(reading: Reading, held: Iterable[Sequence[Order]], known: set[str]) -> list[Candidate]:
    """The author's own services that the mail calls by name, beside those that are known."""
    names = {order.service for orders in held if len(orders) <= MAX_NAMED for order in orders} - known
    said = f"{reading.parsed.subject}\n{reading.text}"
    lower = said.lower() if len(said.lower()) == len(said) else said
    found: list[tuple[int, Candidate]] = []
    for name in [name for name in names if name in lower and _SPECIAL.search(name)]:
        match = re.search(rf"(?<![\w@.-]){re.escape(name)}(?![\w@-]|\.\w)", lower)
        if match is not None:
            words = " ".join(said[max(0, match.start() - 30) : match.end() + 20].split())
            found.append((match.start(), Candidate(name, words)))
    return [candidate for _, candidate in sorted(found, key=lambda one: one[0])]


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
