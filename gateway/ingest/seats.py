"""A connection that was let in: who it is to us, and whether it gets on. What all of them take is summed up here
too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from gateway.networks import networks

PACE = 16 * 1024  #: octets a second; data that comes slower is slow
CREDIT_S = 5.0  #: a pause that is not slow
GREETING_S = 10.0  #: from the connection to the first data


LOCAL = "local"  #: the network of who has no address: a program of this machine, by our UNIX socket


class Standing(IntEnum):
    """Who a peer is to us; the higher one finds room that the lower one does not."""

    STRANGER = 0
    KNOWN = 1  #: customers' mail came from there lately
    TRUSTED = 2  #: our own relay or socket


class Held(Protocol):
    """The octets of the mail that is received on a connection; ``kept``: it is being stored."""

    octets: int
    kept: bool

    def give_back(self) -> None: ...


class Seat:
    """A connection that was let in, and how it gets on."""

    __slots__ = ("_clock", "_slow_at", "give_way", "hold", "networks", "standing")

    def __init__(
        self, address: str | None, standing: Standing, give_way: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self.networks = networks(address) if address else (LOCAL,)
        self.standing, self.give_way, self._clock = standing, give_way, clock
        self.hold: Held | None = None
        self._slow_at = clock() + GREETING_S

    def progress(self, octets: int) -> None:
        """Octets of a mail came: each buys its time at ``PACE``, and a rest of them buys no more than a pause."""
        now = self._clock()
        self._slow_at = min(max(self._slow_at, now) + octets / PACE, now + CREDIT_S)

    def rested(self) -> None:
        """A mail begins or has ended: a pause is fine."""
        self._slow_at = self._clock() + CREDIT_S

    def slow_for(self) -> float:
        """Seconds since it should have brought more; negative while it is fast enough."""
        return self._clock() - self._slow_at


class Tally:
    """How much is taken, by standing and by network."""

    def __init__(self, shown: Callable[[float], None]) -> None:
        self._shown = shown
        self.total = 0
        self._standing = [0 for _ in Standing]
        self.network: Counter[str] = Counter()

    def add(self, seat: Seat, amount: int) -> None:
        """Counts what a seat takes, or gives back."""
        self.total += amount
        self._standing[seat.standing] += amount
        for name in seat.networks:
            self.network[name] += amount
            if not self.network[name]:
                del self.network[name]
        self._shown(self.total)

    def up_to(self, standing: Standing) -> int:
        """What everybody up to a standing takes."""
        return sum(self._standing[: standing + 1])
