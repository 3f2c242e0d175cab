"""Reads the account directory again when its files have changed and rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway import metrics
from gateway.periodic import Periodic
from gateway.verify.directory import Directory, DirectoryError

SETTLED_S = 5.0  #: files that are being written are left alone


@dataclass(frozen=True)
class Refresh:
    """``directory`` and ``seconds`` as they are now; ``loaded`` and ``refused``: what became of a reading."""

    directory: Callable[[], Directory]
    seconds: Callable[[], float]
    clock: Callable[[], datetime]
    loaded: Callable[[dict[str, int]], None]
    refused: Callable[[Exception], None]

    def first(self, directory: Directory) -> None:
        """At the start, before the first mail."""
        try:
            self.loaded(directory.reload(self.clock()))
        except (DirectoryError, OSError) as error:
            self.refused(error)

    def loops(self) -> tuple[Periodic, ...]:
        """The loops of this room, for ``Node.parts``."""
        return (Periodic("directory", lambda: min(1.0, self.seconds()), self._look),)

    async def _look(self) -> None:
        directory, now = self.directory(), self.clock()
        try:
            if not directory.changed():
                directory.touch(now)
            elif directory.settled_for(now) >= min(SETTLED_S, self.seconds()):
                self.loaded(await asyncio.to_thread(directory.reload, now))
        except (DirectoryError, OSError) as error:
            self.refused(error)
        metrics.DIRECTORY_AGE.set(directory.age(now) or 0)
