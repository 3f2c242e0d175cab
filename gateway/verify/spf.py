"""SPF (RFC 7208) by spftrace over our own resolver."""

from __future__ import annotations

import functools
import hmac
import ipaddress
import re
from dataclasses import dataclass

import spftrace

from gateway.mail.address import a_label
from gateway.model import Envelope
from gateway.verify import spf_doubt, spf_plain
from gateway.verify.dns import Answer, Resolver, Status

_DOMAIN = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&*+/=?^_`{|}~.-]{1,64}")
MAX_RECORD = 16384


@dataclass(frozen=True, slots=True)
class SpfResult:
    """``result`` in RFC 8601 words; ``domain`` is the identity that was checked (A-label); ``doubt``: why a pass proves
    nobody."""

    result: str
    domain: str
    reason: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, as the transport said: the address of the client, MAIL FROM and HELO; ``None`` where unknown. ``seed``
    draws the addresses that are tried beside the client's: the same for one mail whenever it is judged."""

    client: str | None
    mail_from: str | None
    helo: str | None
    seed: bytes = b""


@dataclass(frozen=True, slots=True)
class _Case:
    """What an evaluation is about (RFC 7208 section 4.1): the address, the sender and its domain, HELO; and what draws
    other addresses."""

    address: str
    sender: str
    domain: str
    helo: str
    seed: bytes

    def drawn(self, number: int) -> str:
        """An address that nobody foresees who has not the seed."""
        return spf_doubt.another(self.address, hmac.digest(self.seed, f"{number} {self.domain}".encode(), "sha256"))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A resolver that knows the first answer already: it is not asked for, and not counted, twice."""

    resolver: Resolver
    domain: str
    answer: Answer

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``."""
        if rtype == "TXT" and name.rstrip(".").lower() == self.domain:
            return self.answer
        return await self.resolver.lookup(name, rtype)


class _Adapter(spftrace.BaseResolver):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def _lookup(self, name: str, rtype: str) -> tuple[str, list[str]]:
        answer = await self._resolver.lookup(name, rtype)
        if answer.status is Status.SERVFAIL:
            return "SERVFAIL", []
        values = [v.partition(" ")[2] if rtype == "MX" else v for v in answer.values if len(v) <= MAX_RECORD]
        return str(answer.status), values


@functools.lru_cache(maxsize=1024)  # one mail asks for it in five places
def _identity(mail_from: str | None, helo: str | None) -> tuple[str, str]:
    """(sender to check, its domain) or ("", ""): MAIL FROM, or HELO for the null sender (RFC 7208 section 2.4)."""
    if mail_from:
        local, _, domain = mail_from.rpartition("@")
        domain = a_label(domain.rstrip(".")) or ""
        if not _DOMAIN.fullmatch(domain) or "@" in local:
            return "", ""
        if not _LOCAL.fullmatch(local):
            local = "postmaster"
        return f"{local}@{domain}", domain.lower()
    name = (helo or "").rstrip(".")
    return (f"postmaster@{name}", name.lower()) if _DOMAIN.fullmatch(name) else ("", "")


def domain_of(mail_from: str | None, helo: str | None) -> str:
    """The domain that is checked, ``""`` for none."""
    return _identity(mail_from, helo)[1]


#: addresses from which no mail comes: reserved (RFC 1112 section 4), and the discard prefix (RFC 6666)
_NOBODY = {4: "240.0.0.1", 6: "100::1"}


async def lets_everybody(domain: str, envelope: Envelope, resolver: Resolver) -> str:
    """Why a pass for this domain proves nobody: the record passes for an address of nobody too (``+all``,
    ``0.0.0.0/0``, ``exists:`` of a name that is always there), so anybody may send in its name. ``""`` where it names
    some addresses only."""
    client = envelope.client or ""
    nobody = _NOBODY[6 if ":" in client and "." not in client else 4]
    same = domain == domain_of(envelope.mail_from, envelope.helo)
    sender, helo = (envelope.mail_from, envelope.helo) if same else (f"postmaster@{domain}", None)
    found = await check(Sender(nobody, sender, helo), resolver, True)
    return f"the SPF record of {domain} lets everybody send: it proves nobody" if found.result == "pass" else ""


async def check_helo(sender: Sender, resolver: Resolver, evaluate_private: bool) -> SpfResult | None:
    """The HELO identity beside MAIL FROM (RFC 7208 section 2.3): evidence for whoever asks why, it proves no author.

    ``None`` where ``check`` has said it already (null sender, or the same domain) or the name is no domain.
    """
    _, domain = _identity(None, sender.helo)
    if sender.client is None or not sender.mail_from or not domain or domain == _identity(sender.mail_from, None)[1]:
        return None
    return await check(Sender(sender.client, None, sender.helo), resolver, evaluate_private)


async def check(sender: Sender, resolver: Resolver, evaluate_private: bool, why: str = "") -> SpfResult:
    """The SPF result for a client address and the envelope; ``none`` with the reason when there is nothing to check.
    ``why``: the reason where the client is not known."""
    if sender.client is None:
        return SpfResult("none", "", why or "client unknown")
    address, problem = _client(sender.client, evaluate_private)
    if problem:
        return SpfResult("none", "", problem)
    who, domain = _identity(sender.mail_from, sender.helo)
    if not domain:
        return SpfResult("none", "", "no domain in the envelope sender")
    case = _Case(address, who, domain, (sender.helo or domain)[:253], sender.seed)
    try:
        result, doubt = await _evaluated(case, resolver)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        result, doubt = "permerror", ""  # a record that its evaluator did not expect is its domain's fault, no mail's
    return SpfResult(result, domain, _explained(result, domain, address), doubt)


async def _evaluated(case: _Case, resolver: Resolver) -> tuple[str, str]:
    """(result, why a pass proves nobody)."""
    answer = await resolver.lookup(case.domain, "TXT")
    plain = None
    if not answer.failed and all(len(value) <= MAX_RECORD for value in answer.values):
        plain = spf_plain.result(answer.values, case.address)
    if plain is not None:
        told, term = plain
        return told, spf_doubt.of_term(term, case.domain, case.address) if told == "pass" else ""
    evaluator = spftrace.Evaluator(_Adapter(_Asked(resolver, case.domain, answer)), spftrace.Limits())
    found = await evaluator.evaluate(case.address, case.sender, case.helo)
    if found.result != "pass":
        return found.result, ""
    doubt, by_address = await spf_doubt.why(found.trace, case.sender, case.address)
    if by_address and not doubt and await _pass_too(evaluator, case):
        doubt = f"the SPF record of {case.domain} lets everybody send: it proves nobody"
    return found.result, doubt


async def _pass_too(evaluator: spftrace.Evaluator, case: _Case) -> bool:
    """Whether addresses pass that nobody can foresee: one might be the domain's, two are not."""
    for number in range(2):
        found = await evaluator.evaluate(case.drawn(number), case.sender, case.helo)
        if found.result != "pass":
            return False
    return True


#: set aside for documentation, and judged like any other address: samples and tests use them
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)


@functools.lru_cache(maxsize=1024)
def _client(text: str, evaluate_private: bool) -> tuple[str, str]:
    """(the address to evaluate, why there is nothing to evaluate)."""
    try:
        address = ipaddress.ip_address(text.removeprefix("IPv6:"))
    except ValueError:
        return "", "client unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address), f"{address} is a private address" if not evaluate_private and _local(address) else ""


def _local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    documentation = any(address in network for network in _DOCUMENTATION if network.version == address.version)
    return (address.is_private and not documentation) or address.is_loopback or address.is_link_local


_SAID = {
    "pass": "{domain} lists {client}",
    "fail": "the SPF record of {domain} does not list {client}",
    "softfail": "the SPF record of {domain} does not list {client} (softfail)",
    "neutral": "the SPF record of {domain} says nothing of {client}",
    "none": "{domain} publishes no SPF record",
    "permerror": "the SPF record of {domain} cannot be evaluated",
    "temperror": "the SPF record of {domain} could not be looked up",
}


def _explained(result: str, domain: str, client: str) -> str:
    return _SAID.get(result, "").format(domain=domain, client=client)
