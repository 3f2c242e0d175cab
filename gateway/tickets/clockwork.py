"""What the tickets need time and again: their clocks, the digest for staff, the incidents behind several of them, the
block list."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from gateway import log, metrics
from gateway.database.store import Store
from gateway.periodic import Periodic
from gateway.tickets import blocks, incidents, moved_clock, outgoing, rounds
from gateway.tickets.moved_clock import Longest
from gateway.tickets.outgoing import Office
from gateway.tickets.settings import Incidents
from gateway.tickets.steadiness import Drift, in_words

CLOCK_S, INCIDENTS_S, BLOCKS_S, DIGEST_S = 0.5, 5.0, 2.0, 30.0
#: of the clocks in one transaction, and until the next one where there may be more to do: after a night without the
#: service hundreds of tickets are due, and mail comes meanwhile
SLICE_S, AGAIN_S = 0.03, 0.1
SAID = timedelta(hours=1)  #: for so long ``status`` tells that the clock was moved


@dataclass
class Clockwork:
    """``office`` and ``rule`` as they are now; ``told``: something was written for the outbox."""

    store: Store
    clock: Callable[[], datetime]
    office: Callable[[], Office]
    rule: Callable[[], Incidents]
    told: Callable[[], None]
    longest: Callable[[], Longest]
    drift: Drift
    say: Callable[[str], None]  #: what is amiss with the clock, for ``status``; empty: nothing any more
    _more: bool = field(default=False, init=False)  #: the last look at the clocks found something to do
    _digest_at: float = field(default=0.0, init=False)
    _looked: bool = field(default=False, init=False)  #: at what a service before this one may have left
    _said_at: datetime | None = field(default=None, init=False)

    def loops(self) -> tuple[Periodic, ...]:
        """The loops of this room, for ``Node.parts``."""
        return (
            Periodic("clock", lambda: AGAIN_S if self._more else CLOCK_S, self._clocks),
            Periodic("incidents", lambda: INCIDENTS_S, self._incidents),
            Periodic("blocks", lambda: BLOCKS_S, self._blocks),
        )

    async def _clocks(self) -> None:
        await self._put_right(self.drift.look())
        now = self.clock()
        due = await self.store.read(rounds.next_due)
        self._more = due is not None and due <= now and await self._tick(now)
        if time.monotonic() >= self._digest_at:
            self._digest_at = time.monotonic() + min(DIGEST_S, self.office().staff.digest_every)
            await self._digest(now)

    async def _put_right(self, moved: timedelta) -> None:
        """Nobody waits for a moment that a wrong clock wrote."""
        now = self.drift.wall
        if moved or not self._looked:
            rows = await self.store.write(partial(self._hastened, moved=moved, now=now))
            self._looked = True
            if moved:
                log.clock_moved(in_words(moved), rows)
                self.say(
                    f"the clock was set {in_words(moved)} at {now.isoformat(timespec='seconds')}: {rows} times were "
                    "put right"
                )
                self._said_at = now
            self.told()
        elif self._said_at is not None and now > self._said_at + SAID:
            self._said_at = None
            self.say("")

    def _hastened(self, connection: Connection, moved: timedelta, now: datetime) -> int:
        return moved_clock.hasten(connection, self.longest(), self.office().rules, now, moved)

    async def _tick(self, now: datetime) -> bool:
        """Does what is due, for at most ``SLICE_S``; whether anything was."""
        done = await self.store.write(partial(rounds.tick, office=self.office(), now=now, working_s=SLICE_S))
        for reference, what, late in done:
            metrics.LATE.labels(what).inc()
            log.clock(reference, what, late)
        self.told()
        return bool(done)

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

    async def _blocks(self) -> None:
        """Knows whom a person has blocked at another node or by a command."""
        self.office().board.blocked = await self.store.read(blocks.senders)
