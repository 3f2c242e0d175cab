"""The pulse of the process: how late its event loop is, and the sign of life that systemd waits for
(sd_watchdog_enabled(3))."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway import metrics, systemd
from gateway.periodic import Periodic

LAG_S = 0.5
HANG_S = 5.0  #: without a turn of the pipeline's loop


class Pulse:
    """``beat``: when the pipeline turned the last time, by the event loop's clock; ``None`` on a node that has none."""

    def __init__(self, beat: Callable[[], float | None]) -> None:
        self._beat = beat
        self._woken = 0.0

    def loops(self) -> tuple[Periodic, ...]:
        """The loops of this room, for ``Node.parts``."""
        interval = systemd.watchdog_interval()
        lag = Periodic("lag", self._pause, self._lag)
        return (lag,) if interval is None else (lag, Periodic("watchdog", lambda: interval, self._watchdog))

    def alive(self) -> bool:
        """Whether the pipeline still turns; the loop proves itself by asking."""
        beat, limit = self._beat(), max(HANG_S, systemd.watchdog_interval() or 0)
        return beat is None or asyncio.get_running_loop().time() - beat < limit

    def _pause(self) -> float:
        self._woken = asyncio.get_running_loop().time() + LAG_S
        return LAG_S

    async def _lag(self) -> None:
        metrics.LOOP_LAG.set(max(0.0, asyncio.get_running_loop().time() - self._woken))

    async def _watchdog(self) -> None:
        if self.alive():
            systemd.notify("WATCHDOG=1")
