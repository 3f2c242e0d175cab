"""The clock beside the machine's own steady one: when it was moved, and whether what removes things may believe it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway import log

WAIT = timedelta(days=1)
APART = timedelta(seconds=60)  #: by which the clocks may part between two looks; NTP corrects less
NOT_MOVED = timedelta(0)


def since_boot() -> float:
    """Seconds of the clock that nobody sets; it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Drift:
    """Tells from look to look by how much the clock was moved. ``steady``: seconds that only run."""

    clock: Callable[[], datetime]
    steady: Callable[[], float] = since_boot
    wall: datetime = field(init=False)
    ran_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.wall, self.ran_s = self.clock(), self.steady()

    def look(self) -> timedelta:
        """By how much the clock was moved since the last look: forward, back (less than 0), or ``NOT_MOVED``."""
        wall, ran_s = self.clock(), self.steady()
        apart = wall - self.wall - timedelta(seconds=ran_s - self.ran_s)
        self.wall, self.ran_s = wall, ran_s
        return apart if abs(apart) > APART else NOT_MOVED


class Steadiness:
    """A clock that is ahead for a moment (a battery that is empty at boot, a guest that was paused, a wrong ``date``)
    makes everything old. It is believed once it has run true for a day: since the start, unless it went on where the
    service was last seen, and since it was moved."""

    def __init__(self, drift: Drift, last: datetime | None) -> None:
        self._drift = drift
        self._from_s = drift.ran_s
        away = abs(drift.wall - last) if last is not None else NOT_MOVED
        if away > WAIT:
            self._doubt(f"the service was last seen {last:%Y-%m-%d %H:%M}, {away.days} days from now")

    def believed(self) -> datetime | None:
        """The time, or ``None`` while it is not to be believed."""
        moved = self._drift.look()
        if moved:
            self._doubt(f"the clock was set {in_words(moved)}")
        return self._drift.wall if self._drift.ran_s >= self._from_s else None

    def _doubt(self, why: str) -> None:
        self._from_s = self._drift.ran_s + WAIT.total_seconds()
        log.purge_waits(why)


def in_words(moved: timedelta) -> str:
    """``forward by 6:00:00``."""
    return f"{'forward' if moved > NOT_MOVED else 'back'} by {timedelta(seconds=round(abs(moved).total_seconds()))}"
