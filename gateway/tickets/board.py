"""What persons decided for all mail, in memory: the confirmed incidents and the blocked senders. A mail asks the
database for neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network

from gateway.model import Facts, Ownership


@dataclass(frozen=True, slots=True)
class Known:
    """A confirmed incident, as replies know it."""

    kind: str
    value: str
    since: datetime


@dataclass
class Board:
    """The confirmed incidents, and the addresses and domains that persons have blocked; set by a look every few
    seconds, and at once by the console of the same service."""

    known: tuple[Known, ...] = field(default=())
    blocked: frozenset[str] = frozenset()

    def goes_on(self, old: Board) -> None:
        """What the board before a reload knew."""
        self.known, self.blocked = old.known, old.blocked

    def since(self, found: Facts) -> datetime | None:
        """Since when we know of what a customer's own facts are about."""
        if not self.known:
            return None
        own = {kind: [f.value for f in found.of(kind) if f.ownership is Ownership.OWN and not f.quoted]
               for kind in ("ips", "services", "orders")}  # fmt: skip
        times = [one.since for one in self.known if _matches(one, own)]
        return min(times, default=None)


def _matches(one: Known, own: dict[str, list[str]]) -> bool:
    if one.kind == "network":
        return any(_inside(address, one.value) for address in own["ips"])
    return one.value in own["services" if one.kind == "service" else "orders" if one.kind == "server" else "ips"]


def _inside(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False
