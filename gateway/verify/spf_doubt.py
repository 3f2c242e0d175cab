"""Why an SPF pass may prove nobody although it is one (RFC 7208 section 11.1 warns of lax records): the term that
passed holds for everybody, for a part of the Internet, or for whoever says the right words of himself."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass

import spftrace
from spftrace.macros import MacroContext, expand

from gateway.mail.suffixes import is_suffix, registrable

#: a network with fewer bits than these is no sender's own: a million addresses of IPv4, more than a large provider has
#: of IPv6
_NARROWEST = {False: 12, True: 24}
_TERM = re.compile(r"[+?~-]?(\w+)(?:[:=](.*?))?(?:/(\d{1,3}))?(?://(\d{1,3}))?", re.IGNORECASE)
_MACRO = re.compile(r"%\{([a-z])(\d*)r?([.+,/_=-]*)\}", re.IGNORECASE)
#: HELO, the name of the address, the sender: whoever connects chooses them (RFC 7208 section 7.2)
_OWN_WORDS = frozenset("hpsl")
#: two peers that have no word in common: (local part, HELO)
_TWO_PEERS = (("aaq.abq", "acq.adq.aeq"), ("baq.bbq", "bcq.bdq.beq"))
#: private networks that a record may name as a whole (RFC 1918, RFC 1122): no part of the Internet
_AT_HOME = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv4Network("10.0.0.0/8"))


@dataclass(frozen=True, slots=True)
class _Step:
    """A term by which a record passed; ``bits`` as text, where it has some for the family."""

    raw: str
    name: str
    spec: str
    bits: str | None


@functools.lru_cache(maxsize=256)
def of_term(raw: str, domain: str, address: str) -> str:
    """Why a pass by this term of a plain record (``ip4``, ``ip6``, ``all``) proves nobody, or ``""``."""
    match = _TERM.fullmatch(raw)
    step = _step(raw, match, ":" in address) if match is not None else None
    return _said(step, domain, _wide(step, ":" in address)) if step is not None else ""


async def why(trace: spftrace.Trace, sender: str, address: str) -> tuple[str, bool]:
    """(why the pass proves nobody or ``""``, whether its DNS answers each address by itself: then another address tells
    whether it passes all of them)."""
    ipv6, by_address = ":" in address, False
    for step in _path(trace, ipv6):
        if doubt := _said(step, sender.rpartition("@")[2], await _lax(step, sender, address, by_address)):
            return doubt, by_address
        by_address |= _names_the_address(step.spec, ipv6)
    return "", by_address


def _said(step: _Step, domain: str, reason: str) -> str:
    return f"the SPF record of {domain} {reason} ({step.raw[:60]}): it proves nobody" if reason else ""


def another(address: str, drawn: bytes) -> str:
    """An address of the same family, out of at least 16 octets that nobody can foresee: a global unicast one (RFC 4291
    section 2.4), or one of IPv4 below 224.0.0.0."""
    if ":" in address:
        return str(ipaddress.IPv6Address((0x2 << 124) | int.from_bytes(drawn[:16]) >> 4))
    return str(ipaddress.IPv4Address((1 + int.from_bytes(drawn[3:11]) % 223) << 24 | int.from_bytes(drawn[:3])))


def _path(trace: spftrace.Trace, ipv6: bool) -> list[_Step]:
    """The terms by which an evaluation passed: redirects, the includes that led to the one that matched, and it."""
    path = [f"redirect={event.data['before']}" for event in trace.events if event.data.get("mechanism") == "redirect"
            and event.kind == "macro_expand" and event.data.get("before")]  # fmt: skip
    for event in reversed(trace.events):
        if event.kind == "mech_match":
            path.append(event.data["raw"])
            if event.data["mechanism"] != "include":
                break
    found = ((raw, match) for raw in path if (match := _TERM.fullmatch(raw)) is not None)
    return [_step(raw, match, ipv6) for raw, match in found]


def _step(raw: str, match: re.Match[str], ipv6: bool) -> _Step:
    name = match[1].lower()
    return _Step(raw, name, match[2] or "", match[4] if ipv6 and name in ("a", "mx") else match[3])


async def _lax(step: _Step, sender: str, address: str, by_address: bool) -> str:
    """What is lax about a term, or ``""``. Below a name that holds the whole address, a term speaks of that address
    only."""
    ipv6 = ":" in address
    if await _chosen_by_the_peer(step, sender, address):
        return "passes by what the peer says of itself"
    if by_address:
        return ""
    return "lets everybody send" if await _everywhere(step, sender, address) else _wide(step, ipv6)


def _wide(step: _Step, ipv6: bool) -> str:
    """What is lax about the addresses that a term names, or ``""``."""
    if step.name == "all":
        return "lets everybody send"
    if step.name in ("ip4", "ip6", "a", "mx") and step.bits is not None:
        if int(step.bits) < _NARROWEST[ipv6] and not _at_home(step.spec, step.bits):
            return "passes a large part of the Internet"
    return ""


async def _everywhere(step: _Step, sender: str, address: str) -> bool:
    """Whether a name is there for each address, or is the end of the names of very many."""
    if step.name == "ptr" and step.spec:
        return is_suffix(await _expanded(step.spec, *_TWO_PEERS[0], sender, address))
    return step.name == "exists" and not _names_the_address(step.spec, ":" in address)


def _at_home(address: str, bits: str) -> bool:
    """Whether the whole network is one of this machine, or a private one."""
    try:
        named = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    except ValueError:
        return False
    return isinstance(named, ipaddress.IPv4Network) and any(named.subnet_of(home) for home in _AT_HOME)


def _names_the_address(spec: str, ipv6: bool) -> bool:
    """Whether a name holds the client's address, or enough of it."""
    return any(
        one[1].lower() == "i"
        and (not one[2] or (one[3] and "." not in one[3]) or int(one[2]) * (4 if ipv6 else 8) >= _NARROWEST[ipv6])
        for one in _MACRO.finditer(spec)
    )


async def _chosen_by_the_peer(step: _Step, sender: str, address: str) -> bool:
    """Whether the peer's own words decide in whose domain a name is looked up, by the public suffix list; or whether it
    exists, wherever the peer is."""
    used = {one[1].lower() for one in _MACRO.finditer(step.spec)}
    if used.isdisjoint(_OWN_WORDS):
        return False
    if step.name == "exists" and not _names_the_address(step.spec, ":" in address):
        return True
    names = [await _expanded(step.spec, local, helo, sender, address) for local, helo in _TWO_PEERS]
    return len({registrable(name.rstrip(".").lower()) for name in names}) > 1


async def _expanded(spec: str, local: str, helo: str, sender: str, address: str) -> str:
    """A name as such a peer would have it looked up; the name of his address is his own word like HELO."""
    domain = sender.rpartition("@")[2]
    context = MacroContext(ipaddress.ip_address(address), f"{local}@{domain}", helo, domain)
    return await expand(re.sub(r"%\{p", "%{h", spec, flags=re.IGNORECASE), context)
