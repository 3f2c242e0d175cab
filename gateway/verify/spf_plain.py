"""SPF records that name addresses only (``ip4``, ``ip6``, ``all``; RFC 7208 sections 5.1 and 5.6), or none at all:
their result needs no further question, no macro and no limit. Most mail servers of their own have such a one; each is
read once.
"""

from __future__ import annotations

import functools
import ipaddress

import spftrace.evaluator
import spftrace.parser

_RESULTS = spftrace.parser.QUALIFIERS
_PLAIN = frozenset(("ip4", "ip6", "all"))
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@functools.lru_cache(maxsize=256)
def parsed(text: str) -> spftrace.parser.Record:
    """A record's terms, parsed once and not for each mail.

    Raises:
        spftrace.SpfPermError: it breaks the grammar, also where spftrace lets it pass: a newline at its end, a zone in
            an address (``ip6:fe80::1%eth0``).
    """
    record = spftrace.parser.parse(text)
    if text.endswith("\n") or any(term.name == "ip6" and "%" in (term.arg or "") for term in record.terms):
        raise spftrace.SpfPermError("no record of RFC 7208 section 12")
    return record


spftrace.evaluator.parse = parsed  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=256)
def _terms(text: str) -> tuple[tuple[_Network | None, str, str], ...] | None:
    """(network, result, term) of each mechanism of a record, ``None`` standing for everybody; ``None`` where it is not
    plain."""
    try:
        record = parsed(text)
    except spftrace.SpfPermError:
        return None
    mechanisms = [term for term in record.terms if term.is_mechanism]
    if record.redirect is not None or any(term.name not in _PLAIN for term in mechanisms):
        return None
    return tuple((_network(term), _RESULTS[term.qualifier], term.raw) for term in mechanisms)


def _network(term: spftrace.parser.Term) -> _Network | None:
    if term.name == "all":
        return None
    return ipaddress.ip_network(f"{term.arg}/{term.cidr4 if term.name == 'ip4' else term.cidr6}", strict=False)


@functools.lru_cache(maxsize=256)  # a domain's mails come from a few addresses
def result(values: tuple[str, ...], client: str) -> tuple[str, str] | None:
    """(result for a client's address, the term that told it) of a domain with these TXT records; ``None`` where its
    record is not plain."""
    records = [value for value in values if spftrace.parser.VERSION_RE.match(value)]
    if not records:
        return "none", ""
    terms = _terms(records[0]) if len(records) == 1 else None
    if terms is None:
        return None
    address = ipaddress.ip_address(client)
    for network, told, term in terms:
        if network is None or (network.version == address.version and address in network):
            return told, term
    return "neutral", ""
