"""A peer's address, and the networks it stands in: who has one address of a network usually has the others too."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any


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
    return str(_plain(str(peername[0])) or peername[0])


@lru_cache(maxsize=4096)
def networks(address: str) -> tuple[str, ...]:
    """The address and what it stands in, narrow to wide: the /24 of IPv4; the /64 of IPv6, and the /48 that a single
    subscriber may have."""
    parsed = _plain(address)
    if parsed is None:
        return (address,)
    wider = (24,) if isinstance(parsed, IPv4Address) else (64, 48)
    return str(parsed), *(str(ip_network((parsed, length), strict=False)) for length in wider)
