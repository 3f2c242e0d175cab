"""What bounds the listeners: connections in all and per address, octets in flight, free disk."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from gateway import metrics


class Limits:
    """Shared by every listener of a process; used on the event loop only."""

    def __init__(
        self, max_connections: int, max_per_address: int, max_in_flight: int, min_free: int, state_dir: Path
    ) -> None:
        self.max_connections, self.max_per_address = max_connections, max_per_address
        self.max_in_flight, self.min_free = max_in_flight, min_free
        self._state_dir = state_dir
        self._open = 0
        self._by_address: Counter[str] = Counter()
        self._in_flight = 0

    def enter(self, address: str | None, exempt: bool) -> str:
        """Counts a connection in; the reason when there is no room (it is not counted then)."""
        if self._open >= self.max_connections:
            return "too many connections"
        if address and not exempt and self._by_address[address] >= self.max_per_address:
            return "too many connections from your address"
        self._open += 1
        if address:
            self._by_address[address] += 1
        metrics.CONNECTIONS.set(self._open)
        return ""

    def leave(self, address: str | None) -> None:
        """Counts a connection out."""
        self._open -= 1
        if address:
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]
        metrics.CONNECTIONS.set(self._open)

    def reserve(self, octets: int) -> bool:
        """Takes octets from the budget for mails being received."""
        if self._in_flight + octets > self.max_in_flight:
            return False
        self._in_flight += octets
        metrics.IN_FLIGHT.set(self._in_flight)
        return True

    def free(self, octets: int) -> None:
        """Gives octets back."""
        self._in_flight -= octets
        metrics.IN_FLIGHT.set(self._in_flight)

    def disk_has_room(self, octets: int) -> bool:
        """Whether the state directory keeps ``min_free`` after a mail of this size."""
        try:
            stats = os.statvfs(self._state_dir)
        except OSError:
            return False
        return stats.f_bavail * stats.f_frsize - octets >= self.min_free
