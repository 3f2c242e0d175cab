"""IP addresses and networks that can be a customer's server. Linear expressions plus ``ipaddress``."""

from __future__ import annotations

import ipaddress
import re

from gateway.model import Candidate

MAX = 50
_V4 = re.compile(r"(?<![\w.:/-])(\d{1,3}(?:\.\d{1,3}){3})(/\d{1,2})?(?!\w|\.\d|-\d|/\d)")
_V6 = re.compile(r"(?<![\w:.])([0-9A-Fa-f:]{2,39}(?:\.\d{1,3}\.\d{1,3}\.\d{1,3})?)(/\d{1,3})?(?![\w:])")
_PUBLIC_RESOLVERS = frozenset(
    [
        "8.8.8.8",
        "8.8.4.4",
        "1.1.1.1",
        "1.0.0.1",
        "9.9.9.9",
        "149.112.112.112",
        "208.67.222.222",
        "208.67.220.220",
        "2001:4860:4860::8888",
        "2001:4860:4860::8844",
        "2606:4700:4700::1111",
        "2606:4700:4700::1001",
    ]
)
_HINT = re.compile(r"\d\.\d|[0-9A-Fa-f:]:[0-9A-Fa-f:]")  # cheap: most lines have no address
_VERSION_BEFORE = re.compile(r"(\bversion|release|firmware|\bbuild|\bv|\bver\.?)\s{0,2}$", re.IGNORECASE)
_ATTACKER_LINE = re.compile(
    r"^\s*received:|failed password|rhost=|invalid user|attack|authentication failure|\bfrom \S+ port \d|banned?\b|"
    r"\[client |refused connect",
    re.IGNORECASE,
)
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)


def _usable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if any(address in network for network in _DOCUMENTATION if network.version == address.version):
        return True  # used by samples and tests; nobody's in the wild, so harmless
    if address.version == 4 and (address.packed[0] == 255 or address.packed[0] == 0):
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_private
                or address.is_link_local or address.is_reserved)  # fmt: skip


def _value(address: str, prefix: str | None) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
        if not _usable(parsed) or str(parsed) in _PUBLIC_RESOLVERS:
            return None
        if prefix:
            return str(ipaddress.ip_network(address + prefix, strict=False))
        return str(parsed)
    except ValueError:
        return None


def ips_in(text: str) -> tuple[Candidate, ...]:
    """Addresses and networks in canonical text form, in order of appearance."""
    found: dict[str, Candidate] = {}
    for line in text.split("\n"):
        if not _HINT.search(line):
            continue
        hostile: bool | None = None
        for match in sorted([*_V4.finditer(line), *_V6.finditer(line)], key=lambda m: m.start()):
            if "." not in match[1] and match[1].count(":") < 2:
                continue
            if _VERSION_BEFORE.search(line[max(0, match.start() - 12) : match.start()]):
                continue
            if hostile is None:
                hostile = bool(_ATTACKER_LINE.search(line[:500]))
            value = None if hostile else _value(match[1], match[2])
            if value is not None and value not in found:
                words = " ".join(line[max(0, match.start() - 30) : match.end() + 20].split())
                found[value] = Candidate(value, words)
                if len(found) >= MAX:
                    return tuple(found.values())
    return tuple(found.values())
