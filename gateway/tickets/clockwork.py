"""What the tickets need time and again: their clocks, the digest for staff, the incidents behind several of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from gateway import log, metrics
from gateway.database.store import Store
from gateway.periodic import Periodic
from gateway.tickets import incidents, outgoing, rounds
from gateway.tickets.incidents import Rule
from gateway.tickets.outgoing import Office

CLOCK_S, INCIDENTS_S, DIGEST_S = 0.5, 5.0, 30.0


@dataclass
class Clockwork:
    """``office`` and ``rule`` as they are now; ``told``: something was written for the outbox."""

    store: Store
    clock: Callable[[], datetime]
    office: Callable[[], Office]
    rule: Callable[[], Rule]
    told: Callable[[], None]
    _digest_at: float = field(default=0.0, init=False)

    def loops(self) -> tuple[Periodic, ...]:
        """What runs."""
        return Periodic("clock", lambda: CLOCK_S, self._clocks), Periodic(
            "incidents", lambda: INCIDENTS_S, self._incidents
        )

    async def _clocks(self) -> None:
        now = self.clock()
        due = await self.store.read(rounds.next_due)
        if due is not None and due <= now:
            await self._tick(now)
        if time.monotonic() >= self._digest_at:
            self._digest_at = time.monotonic() + min(DIGEST_S, self.office().digest_every_s)
            await self._digest(now)

    async def _tick(self, now: datetime) -> None:
        office = self.office()
        done = await self.store.write(lambda connection: rounds.tick(connection, office, now))
        for reference, what, late in done:
            metrics.LATE.labels(what).inc()
            log.clock(reference, what, late)
        self.told()

    async def _digest(self, now: datetime) -> None:
        if not await self.store.read(outgoing.anything_to_tell):
            return
        office = self.office()
        if await self.store.write(lambda connection: outgoing.digest(connection, office, now)):
            self.told()

    async def _incidents(self) -> None:
        """Ties tickets together that are about the same thing, and knows what a person confirmed."""
        rule, office, now = self.rule(), self.office(), self.clock()
        office.board.known = await self.store.read(incidents.known)
        if await self.store.read(partial(incidents.due, rule=rule, now=now)):
            for line in await self.store.write(partial(incidents.look, rule=rule, office=office, now=now)):
                log.incident(line)
            self.told()
