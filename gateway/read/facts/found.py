"""The facts that the words of a mail name: what its author wrote, then what stands in quotes only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gateway.mail import tokens
from gateway.model import Candidate, DeliveryReport
from gateway.read.facts import called, customers, hosts, ips, machines, orders, services
from gateway.read.secrets.masked import Masked
from gateway.read.tables import evened
from gateway.read.words import alerts, quotes

MAX_SEARCHED = 128 * 1024
LIKE_A_WORD = 1.0  #: how little a name leans to a service's that is a word with a number
OWN_HOST = 2.0  #: what a host that is named speaks for a matter of an account
Candidates = tuple[Candidate, ...]
_NAMED = (orders.orders_in, ips.ips_in, services.services_in)


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of each kind, the author's own first. ``bare``: numbers that are orders only where the directory
    has them as the author's; ``passed_on``: values of an alert below his words, which he says himself: they are quoted,
    and speak for his matter as his own."""

    orders: Candidates
    bare: Candidates
    ips: Candidates
    services: Candidates
    invoices: Candidates
    hosts: Candidates
    customers: Candidates
    passed_on: frozenset[str] = frozenset()

    def _said(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return [one for one in candidates if not one.quoted or one.value in self.passed_on]

    @property
    def name_one(self) -> bool:
        """Whether something is named that belongs to an account."""
        stated = any(one.words.startswith("service:") for one in self._said(self.services))
        return stated or any(not one.weak for one in self._said((*self.orders, *self.ips, *self.invoices)))

    @property
    def values(self) -> tuple[str, ...]:
        """The orders, addresses and services of the author's own words, each once."""
        return _values((*self.orders, *self.ips, *self.services))

    @property
    def leaning(self) -> float:
        """How much the names speak for a matter of an account."""
        named = services.leaning(one.value for one in self._said(self.services))
        return named + OWN_HOST * bool(self._said(self.hosts))

    def complained_of(self, subject: str) -> Candidates:
        """The addresses of a report of abuse: what attacks is what the report is about, not who came by, where the
        subject names it or nothing else is named."""
        above = {one.value for one in ips.ips_in(evened(subject))}
        sole = len(self.ips) == 1
        return tuple(
            replace(one, weak=False) if one.weak and not one.quoted and (sole or one.value in above) else one
            for one in self.ips
        )


def found_in(words: Masked, report: DeliveryReport | None, passes_on: bool = False) -> Found:
    """What these words name.

    Args:
        report: the feedback report that the mail is, whose address comes first.
        passes_on: what stands below the author's words may be an alert of a monitoring that he passes on: as much his.
    """
    own, rest = words.own, words.rest
    said, below = _searched(own), _searched(rest)
    spoken = quotes.unquoted(own).lower() if words.ours else None
    alert = alerts.passed_on(rest[:MAX_SEARCHED]) if passes_on and not words.ours else ""
    named = _candidates(said, below, services.services_in)
    called_so, bare = _orders(said, below)
    return Found(
        orders=_beside_ours(called_so, spoken),
        bare=_beside_ours(bare, spoken),
        ips=_reported(report, _candidates(said, below, ips.ips_in)),
        services=named,
        invoices=_candidates(said, below, orders.invoices_in),
        hosts=_beside_ours(_hosts(own, _candidates(said, below, hosts.hosts_in), named), spoken),
        customers=_candidates(said, below, customers.customers_in),
        passed_on=frozenset(one.value for find in (*_NAMED, hosts.hosts_in) for one in find(alert))
        if alert
        else frozenset(),
    )


def named_in(text: str) -> tuple[str, ...]:
    """The orders, addresses and services that a text names, each once."""
    return _values([candidate for find in _NAMED for candidate in find(_searched(text))])


def _values(candidates: Candidates | list[Candidate]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(candidate.value for candidate in candidates if not candidate.quoted))


def _searched(text: str) -> str:
    """As much of a text as is searched, with one blank between words."""
    return evened(text)[:MAX_SEARCHED]


def _candidates(own: str, rest: str, find: Callable[[str], Candidates]) -> Candidates:
    first = {c.value: c for c in find(own)}
    if not rest:
        return tuple(first.values())
    quoted = {c.value: c for c in find(rest)}
    extra = [replace(c, quoted=True) for value, c in quoted.items() if value not in first]
    return (*first.values(), *extra)


def _orders(own: str, rest: str) -> tuple[Candidates, Candidates]:
    """(the orders that are called so, the numbers of the author's own words that may be one of his). A bare number is
    called so where what he quotes calls it an order."""
    called_so = _candidates(own, rest, orders.orders_in)
    quoted = {candidate.value for candidate in called_so if candidate.quoted}
    bare = {one.value: one for one in orders.bare_in(own)}
    named = tuple(replace(bare[one.value], weak=False) if one.value in bare else one for one in called_so)
    return named, tuple(one for one in bare.values() if one.value not in quoted)


def _reported(report: DeliveryReport | None, found: Candidates) -> Candidates:
    """The addresses, first the one that a feedback report is about (RFC 5965 section 3.2: Source-IP)."""
    said = report.source_ip if report is not None else ""
    first = tuple(replace(one, words=f"Source-IP: {said}") for one in ips.ips_in(said)[:1]) if said else ()
    return (*first, *(one for one in found if not first or one.value != first[0].value))


def _hosts(own: str, found: Candidates, named: Candidates) -> Candidates:
    """Hosts that were found, with the short names of machines that are none of the services' names."""
    # "storage2" has as many letters as the opaque name of a service, and is a machine until the directory knows better
    opaque = (one for one in named if one.words.startswith("service:") or services.leaning([one.value]) > LIKE_A_WORD)
    known = {candidate.value for candidate in (*found, *opaque)}
    # "hv2" beside "hv2.shop.example" is the same machine
    known |= {candidate.value.partition(".")[0] for candidate in found}
    short = (*machines.machines_in(own), *called.called_in(own[:MAX_SEARCHED]))
    short = tuple(one for one in short if tokens.find(one.value) is None)  # "server down [T-7K2M9QX]"
    return (*found, *{c.value: c for c in short if c.value not in known}.values())


def _beside_ours(found: Candidates, spoken: str | None) -> Candidates:
    """Without what only the lines of a quoted mail of ours say; ``spoken``: the other lines, ``None`` where none is
    quoted."""
    if spoken is None:
        return found
    return tuple(one for one in found if one.quoted or one.value in spoken)
