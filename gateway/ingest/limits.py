"""What bounds the listeners: connections, octets in flight, free disk; in all, for each address and for each network.

Three rules keep one sender from taking everything. Each address and each network has a share. A part of the whole is
for trusted relays and for relays that customers' mail came from lately. And who is slow goes first: when there is no
room, the connection that gets nowhere makes way for one that does. What is taken is given back at the end of a ``with``
block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import metrics
from gateway.ingest.room import DiskRoom
from gateway.ingest.seats import LOCAL, Seat, Standing, Tally
from gateway.ingest.settings import Smtp

SMALL = 1024 * 1024  #: a mail up to this size also finds room in the last eighth
LATELY_S, MOST_SLOW = 60.0, 4096  #: so long, and so many, networks are remembered that had to make way
ADDRESS_PART, NETWORK_PART = 8, 4  #: of the octets in flight: an eighth an address, a quarter a network
LOCAL_PART = (
    2  #: of the connections, half is for programs of this machine: one that forgets to close them stops nobody else
)


class Full(Exception):
    """No room; the text is for the peer."""


@dataclass(frozen=True, slots=True)
class Room:
    """``ceilings``: what everybody up to a standing may hold together, lowest standing first; ``shares``: of an
    address, its network, and the network around that (IPv6); ``local``: of all programs of this machine."""

    ceilings: tuple[int, ...]
    shares: tuple[int, ...]
    local: int


def seats(smtp: Smtp) -> Room:
    """How many connections there are: in all, for an address, a network, and programs of this machine."""
    total = smtp.max_connections
    network = smtp.max_connections_per_network
    shares = (smtp.max_connections_per_address, network, 2 * network)
    return Room(_ceilings(total, smtp.reserved), shares, max(total // LOCAL_PART, 1))


def octets(smtp: Smtp, small: bool) -> Room:
    """What there is for a mail that is received; a ``small`` one gets the last eighth too. An address may always hold
    one mail of the largest size."""
    whole = smtp.max_in_flight
    one = min(smtp.max_size + SMALL, whole)
    total = whole if small else whole - whole // 8
    address, network = whole // ADDRESS_PART, whole // NETWORK_PART
    ceilings = tuple(max(ceiling, one) for ceiling in _ceilings(total, smtp.reserved))
    return Room(ceilings, (max(address, one), max(network, one), max(2 * network, one)), total)


def _ceilings(total: int, reserved: float) -> tuple[int, ...]:
    """The part of all that strangers get, that half of the reserve is for besides, and all."""
    return total - int(total * reserved), total - int(total * reserved / 2), total


class Hold:
    """The octets that one mail takes while it is received."""

    def __init__(self, limits: Limits, seat: Seat) -> None:
        self._limits, self._seat = limits, seat
        self.octets = 0
        self.kept = False

    def take(self, octets: int) -> bool:
        """Takes more; false when there is no room, and nothing is taken then."""
        if not self._limits._fits(self._seat, self.octets, octets):
            return False
        self.octets += octets
        self._limits._octets.add(self._seat, octets)
        return True

    def give_back(self) -> None:
        """Gives back every octet that is held; may be called again."""
        octets, self.octets = self.octets, 0
        self._limits._octets.add(self._seat, -octets)

    def keep(self) -> Callable[[Any], None]:
        """From now on it is held until the returned function is called, whatever becomes of the session."""
        self.kept = True
        return lambda _: self.give_back()


class Limits:
    """Shared by every listener of a process; used on the event loop only. ``known``: whether customers' mail came from
    an address lately."""

    def __init__(
        self, bounds: Smtp, state_dir: Path, known: Callable[[str], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state_dir, self._known, self._clock = state_dir, known, clock
        self._seats: dict[Seat, None] = {}
        self._slow: dict[str, float] = {}  # networks that made way because they were slow, and when; the latest last
        self._connections = Tally(metrics.CONNECTIONS.set)
        self._octets = Tally(metrics.IN_FLIGHT.set)
        self.bounds = bounds

    @property
    def bounds(self) -> Smtp:
        """The limits that count now; a reload sets others."""
        return self._bounds

    @bounds.setter
    def bounds(self, bounds: Smtp) -> None:
        self._bounds = bounds
        metrics.CONNECTIONS_LIMIT.set(bounds.max_connections)
        metrics.IN_FLIGHT_LIMIT.set(bounds.max_in_flight)

    def usage(self) -> dict[str, int]:
        """What is taken, and of how much."""
        return {
            "connections": self._connections.total,
            "connections_limit": self._bounds.max_connections,
            "octets_in_flight": self._octets.total,
            "octets_in_flight_limit": self._bounds.max_in_flight,
        }

    def problem(self) -> str:
        """Why a sender whom we meet for the first time would be sent away now, or an empty string."""
        stranger = Seat(None, Standing.STRANGER, lambda: None, self._clock)
        stranger.networks = ("",)
        bounds = self._bounds
        small = min(SMALL, bounds.max_in_flight // ADDRESS_PART)
        for tally, amount, room, total, what in (
            (self._connections, 1, seats(bounds), bounds.max_connections, "connections"),
            (self._octets, small, octets(bounds, True), bounds.max_in_flight, "octets in flight"),
        ):
            full = self._over(tally, stranger, amount, room)
            if full is not None and self._slowest(tally, stranger, full) is None:
                return f"no room for new senders: {tally.total} of {total} {what} in use"
        return ""

    # -- connections

    @contextmanager
    def seat(self, address: str | None, trusted: bool, give_way: Callable[[], None]) -> Iterator[Seat]:
        """Counts a connection while the block lasts. ``give_way`` ends it early, for somebody who is faster.

        Raises:
            Full: there is no room.
        """
        standing = Standing.TRUSTED if trusted else Standing.STRANGER
        if standing is Standing.STRANGER and address and self._known(address):
            standing = Standing.KNOWN
        seat = Seat(address, standing, give_way, self._clock)
        full = self._make_room(self._connections, seat, 1, seats(self._bounds))
        if full is not None:
            raise Full(f"too many connections{f' from {full}' if full else ''}")
        self._seats[seat] = None
        self._connections.add(seat, 1)
        try:
            yield seat
        finally:
            self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        if seat in self._seats:
            del self._seats[seat]
            self._connections.add(seat, -1)

    # -- octets

    @contextmanager
    def receiving(self, seat: Seat) -> Iterator[Hold]:
        """What one mail takes while the block lasts, or until it is stored (``Hold.keep``)."""
        seat.hold = hold = Hold(self, seat)
        try:
            yield hold
        finally:
            seat.hold = None
            if not hold.kept:
                hold.give_back()

    def _fits(self, seat: Seat, held: int, more: int) -> bool:
        return self._make_room(self._octets, seat, more, octets(self._bounds, held + more <= SMALL)) is None

    # -- making room

    def _make_room(self, tally: Tally, seat: Seat, amount: int, room: Room) -> str | None:
        """``None`` when there is room, if need be after others made way; else the network that has its share already,
        or an empty string when all is taken."""
        while (full := self._over(tally, seat, amount, room)) is not None:
            other = self._slowest(tally, seat, full)
            if other is None:
                return full
            if other.slow_for() > 0:
                self._remember(other.networks[-1])
            self._leave(other)
            if other.hold is not None:
                other.hold.give_back()
            other.give_way()
        return None

    def _remember(self, network: str) -> None:
        self._slow.pop(network, None)
        self._slow[network] = self._clock()
        if len(self._slow) > MOST_SLOW:
            del self._slow[next(iter(self._slow))]

    def _slow_lately(self, network: str) -> bool:
        return self._clock() - self._slow.get(network, float("-inf")) < LATELY_S

    def _over(self, tally: Tally, seat: Seat, amount: int, room: Room) -> str | None:
        shares = room.shares if seat.standing is not Standing.TRUSTED else ()
        for name, share in zip(seat.networks, (room.local,) if seat.networks == (LOCAL,) else shares, strict=False):
            if tally.network[name] + amount > share:
                return name
        for standing, ceiling in zip(Standing, room.ceilings, strict=True):
            if standing >= seat.standing and tally.up_to(standing) + amount > ceiling:
                return ""
        return None

    def _slowest(self, tally: Tally, seat: Seat, full: str) -> Seat | None:
        """Who makes way for ``seat``: of those who stand no higher and whose mail is not being stored, the one of the
        lowest standing, then who is slow, of the network that holds most. Who is not slow makes way only for a higher
        standing; or, for a connection, when his network has two more than the other's would have. A stranger whose own
        network was slow lately pushes nobody out but of this network: else the slow ones would come back at once."""
        octets = tally is self._octets
        mine = seat.networks[-1]
        only = full or (mine if seat.standing is Standing.STRANGER and self._slow_lately(mine) else "")

        def held(other: Seat) -> bool:
            if other.hold is None:
                return not octets
            return not other.hold.kept and (not octets or other.hold.octets > 0)

        def rank(other: Seat) -> tuple[int, bool, int, float]:
            slow = other.slow_for()
            return -other.standing, slow > 0, tally.network[other.networks[-1]], slow

        fits = (
            other
            for other in self._seats
            if other is not seat
            and other.standing <= seat.standing
            and (not only or only in other.networks)
            and held(other)
        )
        found = max(fits, key=rank, default=None)
        if found is None or found.standing < seat.standing or found.slow_for() > 0:
            return found
        crowd = tally.network[found.networks[-1]] > tally.network[mine] + 1
        return found if crowd and not octets else None

    # -- disk

    def disk_has_room(self, octets: int) -> bool:
        """Whether the state directory keeps ``min_free`` after a mail of this size."""
        return DiskRoom(self._state_dir, self.bounds.min_free).has(octets)
