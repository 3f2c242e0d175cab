"""Whether the disk keeps what commits need: the same bound for every way in, whoever brings the mail."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.database.store import DiskFull


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """The disk of the state directory and the octets that are to stay free on it (``smtp.min_free``)."""

    state_dir: Path
    min_free: int

    def has(self, octets: int) -> bool:
        """Whether ``min_free`` is kept after a mail of this size; not where the disk cannot be looked at."""
        try:
            stats = os.statvfs(self.state_dir)
        except OSError:
            return False
        return stats.f_bavail * stats.f_frsize - octets >= self.min_free

    def check(self, octets: int) -> None:
        """Raises DiskFull where the mail has no room: it waits where it is."""
        if not self.has(octets):
            raise DiskFull(f"less than smtp.min_free would be free in {self.state_dir}")
