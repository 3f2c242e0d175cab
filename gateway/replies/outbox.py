"""Sends what the outbox holds: claim, build, hand to the relay, mark. The retry schedule is a pure function of the
row."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from gateway import log, metrics
from gateway.claims import LATE_S as LATE_S
from gateway.claims import SILENT, Bell, ClaimLoop, Hand, Pace
from gateway.model import ClaimedItem, Enclosure, OutboxItem, Sent, Temporary
from gateway.replies.render import RenderError, Sender, Templates, build
from gateway.replies.send import Transport

MINUTES = (1, 5, 15, 30, 60)
LONGEST_PAUSE = timedelta(minutes=66)  #: from one try of a reply to the next
POLL_S = 1.0  #: between two looks into the outbox
AWAY_S = (5, 10, 20, 40, 60)  #: from one try of a relay that cannot be reached to the next
REFUSED_S = (60, 300, 900, 1800, 3600)  #: of one that refuses our login or sender: too many may lock the account
DRAIN_S = 20.0  #: for what is being sent at a stop; the rest is claimed again when its lease has ended
TOO_LARGE = 552  #: RFC 1870: the relay takes no mail of this size
WAITING = 8  #: rows in hand for each connection to the relay
BEFORE = "?"  #: a problem that a service before this one may have noted
OVERDUE = 100  #: rows given up at a time
RENEW_S = 10.0  #: between two renewals of the leases
SEND_S = 540.0  #: for one transaction with the relay, which may drip


class Queue(Protocol):
    """The outbox table; every call is a commit, and raises ``Temporary`` while the database takes none."""

    async def claim(self, now: datetime, count: int, sure: bool) -> list[ClaimedItem]: ...
    async def confirm(self, claimed: ClaimedItem, now: datetime) -> bool: ...
    async def renew(self, claims: list[ClaimedItem], now: datetime) -> tuple[datetime, list[int]]: ...
    async def sent(self, claimed: ClaimedItem, answer: str, now: datetime) -> None: ...
    async def later(self, claimed: ClaimedItem, error: str, next_at: datetime) -> None: ...
    async def lighter(self, claimed: ClaimedItem, error: str, now: datetime) -> None: ...
    async def dead(self, claimed: ClaimedItem, error: str, now: datetime) -> None: ...
    async def give_back(self, claimed: ClaimedItem, now: datetime, error: str | None = None) -> None: ...
    async def overdue(self, before: datetime, error: str, now: datetime) -> int: ...
    async def amiss(self, problem: str, now: datetime) -> None: ...
    async def well(self) -> None: ...


Write = Callable[[ClaimedItem], Awaitable[None]]  #: tells the database what became of a row


@dataclass(slots=True)
class _Owed:
    """An outcome that the database does not know yet. ``sent``: the relay has the mail, it must not go out again.
    ``refused``: the database did not take it when it was told."""

    row: ClaimedItem
    write: Write
    sent: bool
    refused: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  #: it is written once, by one of those who would


def next_attempt(
    attempts: int, tried_from: datetime, now: datetime, retry_for: float, jitter: float
) -> datetime | None:
    """When to try again after ``attempts`` tries; ``None`` when ``retry_for`` seconds are over. ``jitter`` in [0,
    1)."""
    if (now - tried_from).total_seconds() >= retry_for:
        return None
    minutes = MINUTES[min(attempts, len(MINUTES)) - 1]
    return now + timedelta(seconds=minutes * 60 * (1 + 0.1 * jitter))


class Outbox:
    """The sending loop. What may change at a reload is read through ``desk``: (sender, templates, relay, retry_for).

    A relay that cannot be reached, or that refuses our login, is no fault of any row: the queue waits, and tries again
    with one row at a time, then two, then four, until it goes at full width again. A new relay (a reload) is tried at
    once.
    """

    def __init__(
        self,
        queue: Queue,
        desk: Callable[[], tuple[Sender, Templates, Transport, float]],
        clock: Callable[[], datetime],
        concurrency: int,
        files: Callable[[OutboxItem], Awaitable[Sequence[Enclosure]]] | None = None,
        bell: Bell = SILENT,
    ) -> None:
        self._queue, self._desk, self._clock, self._files, self._bell = queue, desk, clock, files, bell
        self._most, self._slots = concurrency * WAITING, asyncio.Semaphore(concurrency)
        self._width = self._most  # rows in hand at most; few after a pause
        self._owed: dict[int, _Owed] = {}  #: what the database must be told before anything else
        pace = Pace(self._poll, RENEW_S, DRAIN_S)
        self.loop: ClaimLoop[Hand[ClaimedItem]] = ClaimLoop("outbox", self, pace, bell.replies)
        self.problem = ""  #: why the relay takes nothing until a person does something
        self._noted: str | None = None  # the problem as the database knows it; None: it may know one of before us
        self._away = ""  # why the relay took nothing the last time; empty when it takes mail
        self._swept = True  # what waited too long meanwhile is given up
        self._tries, self._paused_until, self._pauses = 0, 0.0, 0
        self._tried: Transport | None = None  # the relay that is paused

    @property
    def away(self) -> str:
        """Why the relay took nothing the last time; empty when it takes mail."""
        return self._away

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until ``stop``; finishes what it began."""
        await self.loop.run(stop)

    # -- what others see

    @property
    def wake(self) -> asyncio.Event:
        """Set by who knows of something to send."""
        return self.loop.wake

    def tell(self) -> None:
        """Something was written that nobody has claimed: here and on other nodes."""
        self.loop.tell()

    def reserve(self) -> bool:
        """Whether a reply that is being written now can be sent at once; then a place is kept until ``take``."""
        if not self.loop.free() or self._paused() or any(owed.refused for owed in self._owed.values()):
            return False
        self.loop.keep()
        return True

    def take(self, row: ClaimedItem | None) -> None:
        """A reply that was claimed as it was written; ``None`` when none was written."""
        if row is None:
            self.loop.release()
        else:
            self.loop.take(Hand(row, row.lease_until))

    # -- the relay as a whole

    def _paused(self) -> bool:
        if self._tries and self._desk()[2] is not self._tried:
            self._tried, self._tries, self._paused_until = self._desk()[2], 1, 0.0
        return asyncio.get_running_loop().time() < self._paused_until

    def heard(self, outcome: Sent) -> None:
        """What the relay says to whoever asks it."""
        if outcome.relay:
            self._pause(outcome.detail, outcome.auth_failed)
        else:
            self._resume()
        self.wake.set()

    def _pause(self, detail: str, refused: bool) -> None:
        """Nothing is sent for a while. Several rows may meet the same fault at a time: it counts once."""
        if refused:
            self.problem = self.problem or f"the relay refuses us: {detail}; correct [relay] and reload"
        if self._paused():
            return
        steps = REFUSED_S if refused else AWAY_S
        seconds = steps[min(self._tries, len(steps) - 1)] * (1 + 0.1 * random.random())
        self._tried, self._tries, self._width = self._desk()[2], self._tries + 1, 1
        self._paused_until, self._pauses = asyncio.get_running_loop().time() + seconds, self._pauses + 1
        self._away, self.loop.clear, self._swept = detail, False, False
        metrics.RELAY_UP.set(0)
        log.relay_paused(detail, seconds, refused)

    def _resume(self) -> None:
        """The relay took a mail, or refused it for its own sake."""
        self._width = min(self._most, self._width * 2)
        if self._tries:
            log.relay_resumed()
        self._tries, self._paused_until = 0, 0.0
        self.problem = self._away = ""
        if self._noted is None:
            self._noted = BEFORE
        metrics.RELAY_UP.set(1)

    # -- what the loop asks

    def places(self) -> int:
        """See ``claims.Desk``."""
        return self._width

    def rests(self) -> bool:
        """See ``claims.Desk``."""
        return False

    def _poll(self) -> float:
        return POLL_S if self._tries or self._owed else self._bell.poll(POLL_S)

    async def renew(self, hands: Sequence[Hand[ClaimedItem]]) -> tuple[datetime, list[Hand[ClaimedItem]]] | None:
        """Keeps what is in hand ours, however long the relay takes."""
        if not hands:
            return None
        lease, lost = await self._queue.renew([hand.claimed for hand in hands], self._clock())
        return lease, [hand for hand in hands if hand.claimed.id in lost]

    async def claim(self) -> list[Hand[ClaimedItem]]:
        """Due rows, once the database knows what became of the others."""
        await self._settle()
        rows = await self._claimed()
        if self._tries and not rows and not self.loop.held and not self._paused():
            await self._ask(self.loop.stopping)
        return [Hand(row, row.lease_until) for row in rows]

    async def _claimed(self) -> list[ClaimedItem]:
        free = self.loop.room()
        if free <= 0 or self._paused():
            return []
        count = -(-free // 2) if self.loop.clear else free  # half for what is written meanwhile
        with self.loop.claiming(count):
            rows = await self._queue.claim(self._clock(), count, self.loop.sure())
            self.loop.clear = len(rows) < count and not self._tries
        return rows

    async def _ask(self, stop: asyncio.Event) -> None:
        """Nothing waits that could be tried: whether the relay is back is asked."""
        asking = asyncio.ensure_future(self._desk()[2].asked())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait([asking, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if asking.done():
            self.heard(asking.result())
        else:
            asking.cancel()

    async def _settle(self) -> None:
        """Tells the database what it does not know yet; nothing is claimed before it does.

        Raises:
            Temporary: it takes nothing now.
        """
        for owed in list(self._owed.values()):
            await self._pay(owed)
        problem = self.problem
        if problem and problem != self._noted:
            await self._queue.amiss(problem, self._clock())
            self._noted = problem
        elif not problem and self._noted:
            await self._queue.well()
            self._noted = ""
        if not self._swept:
            now, retry_for = self._clock(), self._desk()[3]
            while await self._queue.overdue(now - timedelta(seconds=retry_for), self._away, now) >= OVERDUE:
                pass
            self._swept = True

    async def settle(self) -> None:
        """Before a stop the database is told everything, however often it must be tried."""
        while self._owed:
            with contextlib.suppress(Temporary):
                await self._settle()
                break
            await asyncio.sleep(POLL_S / 2)

    async def leave(self, left: dict[asyncio.Task[None], Hand[ClaimedItem]]) -> None:
        """What the relay still holds is claimed again when its lease has ended."""
        if self._owed:
            log.warning("outcomes_lost", outbox=",".join(str(row) for row in self._owed))

    # -- one row

    async def work(self, hand: Hand[ClaimedItem]) -> None:
        """See ``claims.Desk``."""
        try:
            async with self._slots:
                await self._deliver(hand)
        except Exception as error:  # what is owed is written by the loop; else the lease ends
            log.loop_fault("outbox", error)

    async def _record(self, row: ClaimedItem, write: Write, sent: bool = False) -> None:
        """Writes an outcome down; while the database takes nothing it is owed."""
        owed = self._owed[row.id] = _Owed(row, write, sent)
        try:
            await self._pay(owed)
        except Temporary:
            self.wake.set()
            raise

    async def _pay(self, owed: _Owed) -> None:
        async with owed.turn:
            if self._owed.get(owed.row.id) is owed:  # nobody has written it meanwhile
                await self._written(owed)

    async def _written(self, owed: _Owed) -> None:
        try:
            await owed.write(owed.row)
        except Temporary:
            owed.refused = True
            raise
        except Exception as error:  # the database refuses this very row: the others need not wait
            log.loop_fault("outbox", error)
            if owed.sent:
                return
        self._owed.pop(owed.row.id, None)

    async def _return(self, row: ClaimedItem, error: str | None = None) -> None:
        """Gives the row back, at most once: a second time (after a commit whose answer was lost) it could be taken from
        whoever has it by then. So the database is asked first; if it fails at the very commit, the lease ends it."""
        if not await self._queue.confirm(row, self._clock()):
            return
        try:
            await self._queue.give_back(row, self._clock(), error)
        except Temporary as fault:
            log.loop_fault("outbox", fault)

    async def _deliver(self, hand: Hand[ClaimedItem]) -> None:
        row = hand.claimed
        owed = self._owed.get(row.id)
        if owed is not None and owed.sent:  # its lease ended while the database was away: it is not sent again
            owed.row = row
            await self._pay(owed)
            return
        sender, templates, relay, retry_for = self._desk()
        now = self._clock()
        if hand.late(now) or self._paused():
            await self._record(row, self._return)
            self.wake.set()
            return
        try:
            message = build(row.item, sender, templates, await self._enclosed(row))
        except RenderError as error:
            await self._give_up(row, str(error))
            return
        try:
            if not await self._queue.confirm(row, now):
                return
        except Temporary:  # what became of it could not be written down: it is not sent now
            await self._record(row, self._return)
            raise
        if row.resent:
            metrics.DUPLICATE_SENDS.inc()
        pauses = self._pauses
        try:
            async with asyncio.timeout(SEND_S):
                outcome = await relay.send(replace(message, ours=lambda: not hand.late(self._clock())))
        except TimeoutError:
            outcome = Sent(False, False, 0, "the relay took too long")
        if not outcome.relay and pauses == self._pauses:  # what was begun before a pause says nothing of its end
            self._resume()
        await self._done(hand, outcome, retry_for)

    async def _enclosed(self, row: ClaimedItem) -> Sequence[Enclosure]:
        """The files that a row names; most name none.

        Raises:
            RenderError: one of a person's answer is not there any more.
        """
        if self._files is None or not row.item.context.get("files"):
            return ()
        try:
            return await self._files(row.item)
        except Temporary:
            await self._record(row, self._return)
            raise
        except LookupError as error:
            raise RenderError(str(error)) from error

    async def _done(self, hand: Hand[ClaimedItem], outcome: Sent, retry_for: float) -> None:
        row, now = hand.claimed, self._clock()
        if outcome.relay:
            self._pause(outcome.detail, outcome.auth_failed)
            metrics.REPLIES.labels(row.item.template, "postponed").inc()
            await self._record(row, lambda mine: self._return(mine, outcome.detail))
            return
        if not outcome.ok and hand.late(now):
            log.warning("claim_lost", outbox=row.id)
            await self._record(row, self._return)
            return
        if outcome.ok:
            metrics.REPLIES.labels(row.item.template, "sent").inc()
            log.sent(row.id, row.item.template, row.item.recipient, row.attempts, outcome.detail)
            await self._record(row, lambda mine: self._queue.sent(mine, outcome.detail, now), sent=True)
            return
        if outcome.code == TOO_LARGE and row.item.kind == "staff" and row.item.context.get("files"):
            log.postponed(row.id, outcome.code, outcome.detail, now)
            await self._record(row, lambda mine: self._queue.lighter(mine, outcome.detail, now))
            self.wake.set()
            return
        again = next_attempt(row.attempts, row.tried_from, now, retry_for, random.random())
        if outcome.permanent or again is None:
            await self._give_up(row, outcome.detail)
            return
        metrics.REPLIES.labels(row.item.template, "postponed").inc()
        log.postponed(row.id, outcome.code, outcome.detail, again)
        await self._record(row, lambda mine: self._queue.later(mine, outcome.detail, again))

    async def _give_up(self, row: ClaimedItem, why: str) -> None:
        now = self._clock()
        metrics.REPLIES.labels(row.item.template, "dead").inc()
        log.dead(row.id, row.item.template, why)
        await self._record(row, lambda mine: self._queue.dead(mine, why, now))
