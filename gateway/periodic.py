"""What is done again and again while the service runs: each room says what and how often, the daemon runs the list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway import log

Wait = Callable[[float], Awaitable[bool]]  #: so many seconds; false when the service stops


@dataclass(frozen=True, slots=True)
class Periodic:
    """``job`` each ``seconds()``; the first time after ``first`` seconds, where that is another number. What it raises
    is logged under ``name``, and the next turn tries again."""

    name: str
    seconds: Callable[[], float]
    job: Callable[[], Awaitable[None]]
    first: float | None = None

    async def run(self, wait: Wait) -> None:
        """Until ``wait`` says that the service stops."""
        pause = self.seconds() if self.first is None else self.first
        while await wait(pause):
            try:
                await self.job()
            except Exception as error:  # the one broad net of all periodic work: its next time may go well
                log.loop_fault(self.name, error)
            pause = self.seconds()
