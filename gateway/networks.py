"""A peer's address, the networks it stands in (who has one address of a network usually has the others too), and the
host that a request names."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

#: an address of IPv6 in brackets, or an address or name; a port (RFC 3986 section 3.2.2, RFC 6874)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+(?:%[a-z0-9._~%-]+)?)\]|([a-z0-9._-]*))(?::[0-9]*)?")


def host_named(field: str) -> str | None:
    """The host in a Host field (RFC 9110 section 7.2): an address or a name in lower case, without brackets, port and
    final dot; ``""`` where it is empty, ``None`` where it is none."""
    found = _HOST.fullmatch(field.strip(" \t").lower())
    return (found[1] or found[2].removesuffix(".")) if found is not None else None


def _plain(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def peer_address(peername: Any) -> str | None:
    """The address of a socket's ``peername``: IPv4 behind IPv6 is IPv4, without a zone. ``None`` for a UNIX socket."""
    if not isinstance(peername, tuple) or not peername:
        return None
    return _spelt(str(peername[0]))


@lru_cache(maxsize=4096)
def _spelt(address: str) -> str:
    return str(_plain(address) or address)


@lru_cache(maxsize=4096)
def networks(address: str) -> tuple[str, ...]:
    """The address and what it stands in, narrow to wide: the /24 of IPv4; the /64 of IPv6, and the /48 that a single
    subscriber may have."""
    parsed = _plain(address)
    if parsed is None:
        return (address,)
    wider = (24,) if isinstance(parsed, IPv4Address) else (64, 48)
    return str(parsed), *(str(ip_network((parsed, length), strict=False)) for length in wider)
