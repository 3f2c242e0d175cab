"""Asks each new relay what it offers: SMTPUTF8 is offered to senders only where their answers could go out."""

from __future__ import annotations

from collections.abc import Callable

from gateway.model import Sent
from gateway.periodic import Periodic
from gateway.replies.send import Transport

LOOK_S = 1.0


class Offers:
    """``relay`` as it is now; ``heard``: what it said, when it is away or refuses us too."""

    def __init__(self, relay: Callable[[], Transport], heard: Callable[[Sent], None]) -> None:
        self._relay, self._heard = relay, heard
        self._asked: Transport | None = None

    def loops(self) -> tuple[Periodic, ...]:
        """The loops of this room, for ``Node.parts``."""
        return (Periodic("relay", lambda: LOOK_S, self._look, first=0.0),)

    async def _look(self) -> None:
        relay = self._relay()
        if relay is not self._asked:
            self._asked = relay
            self._heard(await relay.asked())
