"""The mails that are due, each to its outcome: claimed, judged, decided and committed, or handed back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from gateway import log, metrics
from gateway.claims import SILENT, Bell, ClaimLoop, Pace
from gateway.database import inbox
from gateway.database.store import LostClaim, Store, StoreError, Unavailable
from gateway.judge import Hand, Judge, Surroundings
from gateway.model import (
    ClaimedItem,
    Incoming,
    Turn,
)
from gateway.read.reader import NoReader, TooSlow
from gateway.tickets import arrivals, desk, silences
from gateway.tickets.occasion import Occasion
from gateway.turns import AHEAD_MS, LEAD_MS, Place, Turns, is_first
from gateway.verify.dns import Rank

POLL_S = 1.0  #: between two looks into the inbox
DRAIN_S = 15.0  #: for what is in work at a stop; the rest is handed back
BATCH = 16
CONCURRENCY = 48  #: of mails up to 256 KiB, or pieces of larger ones
KEPT = 8  #: hands of these, for what seems to come from customers
A_SENDER, SLOW_SENDER = 32, 4  #: hands that one sender may have; one whose mails are slow
APART, APART_A_SENDER = 512, 64  #: mails that may wait for the DNS beside the hands, in all and of one sender
APART_OCTETS = 64 * 1024**2
NO_READER_S = 5.0  #: until a mail is tried again after there was no reader for it
SLOW_TURN_S = 10.0  #: for each mail that waits until a slow one may be read
MAX_SLOW = 10_000


class Replies(Protocol):
    """Whoever sends the replies."""

    def tell(self) -> None:
        """A reply was written that nobody has claimed."""
        ...

    def reserve(self) -> bool:
        """Whether a reply that is being written now can be sent at once; then a place is kept until ``take``."""
        ...

    def take(self, claimed: ClaimedItem | None) -> None:
        """The reply, claimed as it was written; ``None`` when none was."""
        ...


class _Held(Hand):
    def __init__(self, claimed: inbox.Claimed, place: Place, pipeline: Pipeline) -> None:
        super().__init__(claimed, place)
        self._pipeline = pipeline

    @contextlib.contextmanager
    def waiting(self, rank: Rank) -> Iterator[bool]:
        """See ``Hand``: it needs no hand meanwhile."""
        room = self._pipeline.lay_aside(self, rank)
        try:
            yield room
        finally:
            self.apart = False


class Pipeline:
    """Claims due mails and brings each to its outcome; one bad mail never stops the next.

    A hand is held while a mail is read and committed; while it waits for the DNS it lies beside. Of the hands a sender
    has some, and a few are kept for what seems to come from customers (``gateway/turns.py``).
    """

    def __init__(self, store: Store, judge: Judge, around: Callable[[], Surroundings], clock: Callable[[], datetime],
                 replies: Replies, turns: Turns | None = None, bell: Bell = SILENT) -> None:  # fmt: skip
        self._store, self._judge, self._around, self._clock, self._replies = store, judge, around, clock, replies
        self._turns = turns or Turns(clock)
        self._back: list[tuple[inbox.Claimed, float, str]] = []  #: to be handed back when the database can be used
        self._slow: OrderedDict[tuple[str, int], None] = OrderedDict()  #: mails that are read only beside others
        pace = Pace(lambda: bell.poll(POLL_S), inbox.LEASE_S / 3, DRAIN_S)
        self.loop: ClaimLoop[_Held] = ClaimLoop("pipeline", self, pace, bell.mails)

    @property
    def beat(self) -> float:
        """When the loop turned the last time, by the event loop's clock."""
        return self.loop.beat

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; what is begun is finished or handed back."""
        await self.loop.run(stop)

    # -- what the ways in see

    def reserve(self, turn: Turn) -> bool:
        """Whether a hand is free for a mail that is being stored now; then it is kept until ``take`` or ``release``."""
        if not self.loop.free(0 if turn.first else KEPT) or self._judge.trouble:
            return False
        if self._one_alone() or turn.sender in self._full():
            return False
        self.loop.keep()
        return True

    def release(self) -> None:
        """See ``Work`` of ``gateway/ingest/acceptor.py``."""
        self.loop.release()

    def take(self, claimed: inbox.Claimed) -> None:
        """A mail that was stored and claimed at once."""
        self.loop.take(self._hand(claimed))

    def arrived(self) -> None:
        """A mail was stored that nobody has claimed: here and on other nodes."""
        self.loop.tell()

    # -- what is in work

    def _hand(self, claimed: inbox.Claimed) -> _Held:
        place = Place(claimed.turn, self._turns)
        place.slow = _key(claimed) in self._slow
        return _Held(claimed, place, self)

    def _one_alone(self) -> bool:
        """Whether a suspect is in work, beside which nothing else is begun."""
        return any(held.claimed.suspect and not held.apart for held in self.loop.held.values())

    def _full(self) -> list[str]:
        """The senders who have enough in work."""
        busy: Counter[str] = Counter()
        apart: Counter[str] = Counter()
        for held in self.loop.held.values():
            (apart if held.apart else busy)[held.claimed.turn.sender] += 1
        most = {sender: SLOW_SENDER if self._turns.behind(sender) else A_SENDER for sender in busy}
        return [
            *(sender for sender, count in busy.items() if count >= most[sender]),
            *(sender for sender, count in apart.items() if count >= APART_A_SENDER and busy[sender] < A_SENDER),
        ]

    def lay_aside(self, held: _Held, rank: Rank) -> bool:
        """A mail begins to wait for the DNS; whether there is room. Three quarters of it are for strangers."""
        apart = [other for other in self.loop.held.values() if other.apart]
        share = 0.75 if rank is Rank.STRANGER else 1.0
        octets = sum(other.claimed.size for other in apart) + held.claimed.size
        if len(apart) >= APART * share or octets > APART_OCTETS * share:
            return False
        held.apart = True
        self.loop.stir()
        return True

    # -- what the loop asks

    def places(self) -> int:
        """See ``claims.Desk``."""
        return CONCURRENCY

    def rests(self) -> bool:
        """One mail a turn finds out whether there is a reader again."""
        return bool(self._judge.trouble)

    async def settle(self) -> None:
        """Every outcome is written where it is made."""

    async def leave(self, left: dict[asyncio.Task[None], _Held]) -> None:
        """What is still in work at the end of a stop is handed back."""
        for task in left:
            task.cancel()
        if left or self._back:
            claimed = [held.claimed for held in left.values()]
            try:
                await self._store.write(lambda connection: self._hand_back(connection, claimed))
            except StoreError as error:
                log.loop_fault("pipeline", error)

    def _hand_back(self, connection: Connection, left: list[inbox.Claimed]) -> None:
        inbox.hand_back(connection, left, self._clock())
        for claimed, wait_s, reason in self._back:
            inbox.hand_back(connection, [claimed], self._clock(), wait_s, reason)

    async def renew(self, hands: Sequence[_Held]) -> tuple[datetime, list[_Held]] | None:
        """Keeps what is in work ours, and learns whose mails are slow elsewhere."""
        now, back = self._clock(), list(self._back)
        self._turns.learn(await self._store.read(lambda connection: inbox.owed(connection, now)))
        if not hands and not back:
            return None

        def job(connection: Connection) -> tuple[datetime, list[inbox.Claimed]]:
            for claimed, wait_s, reason in back:
                inbox.hand_back(connection, [claimed], now, wait_s, reason)
            return inbox.renew(connection, [one.claimed for one in hands], now, inbox.LEASE_S)

        lease, lost = await self._store.write(job)
        del self._back[: len(back)]
        gone = {_key(claimed) for claimed in lost}
        return lease, [one for one in hands if _key(one.claimed) in gone]

    async def claim(self) -> list[_Held]:
        """Due mails, as many as there are hands for."""
        loop, now = self.loop, self._clock()
        if loop.room() <= 0 or self._one_alone():
            return []
        if not loop.sure() and not await self._store.read(lambda connection: inbox.anything_due(connection, now)):
            loop.clear = True
            return []
        room, last = self._share(now)
        if room <= 0:  # taken while the table was asked
            loop.stay_sure()
            return []
        count = min(-(-room // 2) if loop.clear else room, BATCH)  # half for what comes meanwhile, unless many wait
        return await self._claimed(_Wanted(now, 1 if self._judge.trouble else count, last))

    def _share(self, now: datetime) -> tuple[int, int]:
        """(how many hands anybody's mail may have now, the last turn that is taken): the last hands are for
        customers."""
        room, now_ms = self.loop.room(), _ms(now)
        if room <= KEPT:
            return room, now_ms - AHEAD_MS // 2  # a customer's, as it seems
        return room - KEPT, now_ms + LEAD_MS + AHEAD_MS  # anybody's

    async def _claimed(self, wanted: _Wanted) -> list[_Held]:
        loop, full = self.loop, self._full()
        alone = not loop.busy() and not loop.reserved
        job = partial(_claim_job, wanted=wanted, alone=alone, full=full)
        if alone:  # a suspect may be among them: no other mail is taken beside it
            loop.clear = False
        clear = False
        try:
            with loop.claiming(wanted.count):
                claimed, parked, clear = await self._store.write(job)
        finally:
            loop.clear = clear
        for message in parked:
            metrics.PARKED.inc()
            log.parked(message, "claimed three times without an outcome")
        now_ms = _ms(wanted.now)
        return [
            self._hand(replace(one, turn=replace(one.turn, first=is_first(one.turn.at, now_ms)))) for one in claimed
        ]

    # -- one mail

    async def work(self, held: _Held) -> None:
        """See ``claims.Desk``."""
        began, claimed, proven = time.perf_counter(), held.claimed, ""
        try:
            incoming, bounced = await self._judge.incoming(held)
            proven = (incoming.reading.author.address or "") if incoming.verdict.authenticated else ""
            outcome = await self._commit(held, incoming, bounced)
        except (LostClaim, Unavailable, NoReader, TooSlow) as error:  # no fault of this mail: it is claimed again
            await self._again(held, error)
            return
        except Exception as error:  # nobody expected it: this mail is set aside, the next one flows on
            await self._park(held, f"{type(error).__name__} at {log.where(error)}", error)
            return
        finally:
            await self._charge(held, proven)
        self._slow.pop(_key(claimed), None)
        metrics.PROCESS.observe(time.perf_counter() - began)
        if outcome is None:
            return
        if outcome.handed_over:
            self.arrived()
        decision = outcome.decision
        metrics.DECIDED.labels(decision.disposition, decision.trust).inc()
        if decision.silence:
            metrics.SILENT.labels(silences.kind_of(decision.silence)).inc()
        log.decided(
            claimed.id, decision.disposition, decision.trust, outcome.reference, outcome.replied, decision.silence
        )
        if (decision.notify and outcome.told) or (outcome.replied and not outcome.sending):
            self._replies.tell()

    async def _again(self, held: _Held, error: Exception) -> None:
        """Hands a claim back uncounted, now or as soon as the database can be used."""
        claimed, wait_s, reason = held.claimed, 0.0, ""
        if isinstance(error, NoReader):
            wait_s, reason = NO_READER_S, str(error)
        elif isinstance(error, TooSlow):
            self._slow[_key(claimed)] = None
            if len(self._slow) > MAX_SLOW:
                self._slow.popitem(last=False)
            wait_s, reason = min(len(self._slow) * SLOW_TURN_S, 600.0), "slow to read: it waits until others are read"
        if isinstance(error, LostClaim):
            log.warning("claim_lost", message=claimed.id)
        elif not isinstance(error, TooSlow):
            log.loop_fault("pipeline", error)
        try:
            await self._store.write(
                lambda connection: inbox.hand_back(connection, [claimed], self._clock(), wait_s, reason)
            )
        except Exception as fault:  # the database is away: it is handed back with the next claim
            log.loop_fault("pipeline", fault)
            self._back.append((claimed, wait_s, reason))

    async def _charge(self, held: _Held, author: str) -> None:
        """What a sender owes, and the domain of an author who is proven, is known on every node and after a restart."""
        place = held.place
        if place is None or not place.owed:
            return
        now, owed = self._clock(), {place.turn.sender: place.owed}
        if author:
            owed |= place.proven(author)

        def job(connection: Connection) -> None:
            for sender, until in owed.items():
                inbox.put_back(connection, sender, until)
            inbox.forget_owed(connection, now)

        try:
            await self._store.write(job)
        except Exception as error:  # a help to other nodes, not a need: this one knows it
            log.loop_fault("pipeline", error)

    async def _commit(self, held: _Held, incoming: Incoming, bounced: int | None) -> desk.Outcome | None:
        office, now, claimed = self._around().office, self._clock(), held.claimed
        direct = claimed.arrival is None and not claimed.recheck and self._replies.reserve()

        def job(connection: Connection) -> desk.Outcome | None:
            """Nothing is written once somebody else may be at it: this process may have stood still for long."""
            if held.late(self._clock()):
                raise LostClaim
            if claimed.arrival is not None:
                inbox.hold_arrival(connection, claimed)
            return arrivals.commit(Occasion(connection, claimed, incoming, office, now, bounced, direct))

        outcome = None
        try:
            outcome = await self._store.write_patiently(job)
        finally:
            if direct:
                self._replies.take(outcome.sending if outcome is not None else None)
        return outcome

    async def _park(self, held: _Held, reason: str, error: BaseException | None) -> None:
        claimed = held.claimed
        self._slow.pop(_key(claimed), None)
        metrics.PARKED.inc()
        log.parked(claimed.id, reason, error)
        try:
            await self._store.write(lambda connection: inbox.park(connection, claimed, reason, self._clock()))
        except LostClaim:
            return
        except Exception as fault:  # the database is away: the lease ends and the mail is claimed again
            log.loop_fault("pipeline", fault)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a claim asks for: at this moment, at most so many, no turn later than ``last``."""

    now: datetime
    count: int
    last: int


def _claim_job(
    connection: Connection, wanted: _Wanted, alone: bool, full: list[str]
) -> tuple[list[inbox.Claimed], list[int], bool]:
    """(what is ours now, what was parked, whether nothing else waits)."""
    now, count = wanted.now, wanted.count
    claimed, parked = inbox.claim(connection, now, count, inbox.LEASE_S, alone, full, wanted.last)
    if any(claim.suspect for claim in claimed):
        return claimed, parked, False
    if len(claimed) < count:
        claimed += inbox.claim_arrivals(connection, now, count - len(claimed), inbox.LEASE_S)
    clear = len(claimed) < count and (alone or bool(claimed) or not inbox.anything_due(connection, now))
    return claimed, parked, clear and not full and wanted.last > _ms(now)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _key(claimed: inbox.Claimed) -> tuple[str, int]:
    """A mail, or one of its arrivals."""
    return ("mail", claimed.id) if claimed.arrival is None else ("arrival", claimed.arrival)
