"""Sends what the outbox holds: claim, build, hand to the relay, mark. The retry schedule is a pure function of the row."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from gateway import log, metrics
from gateway.model import Enclosure, Sent, Temporary
from gateway.replies.render import Draft, RenderError, Sender, Templates, build
from gateway.replies.send import Transport

MINUTES = (1, 5, 15, 30, 60)
POLL_S = 1.0
AWAY_S = (5, 10, 20, 40, 60)  #: from one try of a relay that cannot be reached to the next
REFUSED_S = (60, 300, 900, 1800, 3600)  #: of one that refuses our login or sender: too many may lock the account
DRAIN_S = 20.0  #: for what is being sent at a stop; the rest is claimed again when its lease has ended
TOO_LARGE = 552  #: RFC 1870: the relay takes no mail of this size
WAITING = 8  #: rows in hand for each connection to the relay
BEFORE = "?"  #: a problem that a service before this one may have noted
OVERDUE = 100  #: rows given up at a time
RENEW_S = 10.0  #: between two renewals of the leases
LATE_S = 2.0  #: of a lease: nothing is begun any more
SEND_S = 540.0  #: for one transaction with the relay, which may drip


class Row(Protocol):
    """An outbox row that is ours."""

    @property
    def id(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def template(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def rfc_id(self) -> str: ...
    @property
    def context(self) -> Mapping[str, Any]: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def tried_from(self) -> datetime: ...
    @property
    def resent(self) -> bool: ...
    @property
    def lease_until(self) -> datetime: ...


class Queue(Protocol):
    """The outbox table; every call is a commit, and raises ``Temporary`` while the database takes none."""

    async def claim(self, now: datetime, count: int, sure: bool) -> list[Any]: ...
    async def confirm(self, claimed: Any, now: datetime) -> bool: ...
    async def renew(self, claims: list[Any], now: datetime) -> tuple[datetime, list[int]]: ...
    async def sent(self, claimed: Any, answer: str, now: datetime) -> None: ...
    async def later(self, claimed: Any, error: str, next_at: datetime) -> None: ...
    async def lighter(self, claimed: Any, error: str, now: datetime) -> None: ...
    async def dead(self, claimed: Any, error: str, now: datetime) -> None: ...
    async def give_back(self, claimed: Any, now: datetime, error: str | None = None) -> None: ...
    async def overdue(self, before: datetime, error: str, now: datetime) -> int: ...
    async def amiss(self, problem: str, now: datetime) -> None: ...
    async def well(self) -> None: ...


@dataclass(slots=True)
class _Owed:
    """An outcome that the database does not know yet. ``sent``: the relay has the mail, it must not go out again."""

    row: Row
    write: Callable[[Row], Awaitable[None]]
    sent: bool
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  #: it is written once, by one of those who would


def next_attempt(
    attempts: int, tried_from: datetime, now: datetime, retry_for: float, jitter: float
) -> datetime | None:
    """When to try again after ``attempts`` tries; ``None`` when ``retry_for`` seconds are over. ``jitter`` in [0, 1)."""
    if (now - tried_from).total_seconds() >= retry_for:
        return None
    minutes = MINUTES[min(attempts, len(MINUTES)) - 1]
    return now + timedelta(seconds=minutes * 60 * (1 + 0.1 * jitter))


def _claim(row: Row) -> tuple[int, int]:
    return row.id, row.attempts


class Outbox:
    """The sending loop. What may change at a reload is read through ``desk``: (sender, templates, relay, retry_for).

    A relay that cannot be reached, or that refuses our login, is no fault of any row: the queue waits, and tries again
    with one row at a time, then two, then four, until it goes at full width again. A new relay (a reload) is tried at once.
    """

    def __init__(
        self,
        queue: Queue,
        desk: Callable[[], tuple[Sender, Templates, Transport, float]],
        clock: Callable[[], datetime],
        concurrency: int,
        files: Callable[[Row], Awaitable[Sequence[Enclosure]]] | None = None,
    ) -> None:
        self._queue, self._desk, self._clock, self._files = queue, desk, clock, files
        self._most, self._slots = concurrency * WAITING, asyncio.Semaphore(concurrency)
        self._width = self._most  # rows in hand at most; few after a pause
        self.wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._held: dict[tuple[int, int], Row] = {}  #: the rows in hand, by id and claim
        self._until: dict[tuple[int, int], datetime] = {}  #: how long each of them is ours
        self._reserved = 0
        self._owed: dict[int, _Owed] = {}  #: what the database must be told before anything else
        self._claiming = 0  # places kept for what is being claimed
        self._clear = False  # no more waits in the table than is being claimed: a reply may be sent as it is written
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

    # -- what the pipeline sees

    def _room(self) -> int:
        return self._width - len(self._running) - self._reserved - self._claiming

    def reserve(self) -> bool:
        """Whether a reply that is being written now can be sent at once; then a place is kept until ``take``."""
        if not self._clear or self._owed or self._room() <= 0 or self._paused():
            return False
        self._reserved += 1
        return True

    def take(self, row: Row | None) -> None:
        """A reply that was claimed as it was written; ``None`` when none was written."""
        self._reserved -= 1
        if row is not None:
            self._begin(row)
        else:
            self.wake.set()

    def _begin(self, row: Row) -> None:
        self._held[_claim(row)], self._until[_claim(row)] = row, row.lease_until
        task = asyncio.create_task(self._one(row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

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
        self._away, self._clear, self._swept = detail, False, False
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

    # -- the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until ``stop``; finishes what it began."""
        renewing = asyncio.create_task(self._renewing())
        while not stop.is_set():
            woken = self.wake.is_set()
            self.wake.clear()
            claimed: list[Row] = []
            try:
                await self._settle()
                claimed = await self._claim(woken)
                if self._tries and not claimed and not self._running and not self._paused():
                    await self._ask(stop)
            except Exception as error:  # the one broad net of this loop: the next turn tries again
                self._clear = False
                log.loop_fault("outbox", error)
                await self._rest(stop, POLL_S)
            for row in claimed:
                self._begin(row)
            if not claimed or self._room() <= 0:
                await self._rest(stop, POLL_S, self._running if self._room() <= 0 else None)
        self._clear = False
        await self._drain()
        renewing.cancel()

    async def _renewing(self) -> None:
        """Keeps what is in hand ours, however long the relay takes."""
        while True:
            await asyncio.sleep(RENEW_S)
            rows = list(self._held.values())
            if not rows:
                continue
            try:
                lease, lost = await self._queue.renew(rows, self._clock())
            except Exception as error:  # the next turn tries again; without it the rows are given up
                log.loop_fault("outbox", error)
                continue
            for row in rows:
                if row.id in lost:
                    self._until.pop(_claim(row), None)
                elif _claim(row) in self._until:
                    self._until[_claim(row)] = lease

    def _ours(self, row: Row) -> bool:
        """Whether nobody else can be sending it: this process may have stood still for long."""
        until = self._until.get(_claim(row))
        return until is not None and self._clock() < until - timedelta(seconds=LATE_S)

    async def _claim(self, woken: bool) -> list[Row]:
        free = self._room()
        if free <= 0 or self._paused():
            return []
        self._claiming = -(-free // 2) if self._clear else free  # half for what is written meanwhile
        try:
            claimed = await self._queue.claim(self._clock(), self._claiming, woken)
            self._clear = len(claimed) < self._claiming and not self._tries
        finally:
            self._claiming = 0
        return claimed

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

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._running or self._reserved:
                    self.wake.clear()
                    waits = [asyncio.create_task(self.wake.wait()), *self._running]
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    waits[0].cancel()
                while self._owed:
                    with contextlib.suppress(Temporary):
                        await self._settle()
                        break
                    await asyncio.sleep(POLL_S / 2)
        if self._owed:
            log.warning("outcomes_lost", outbox=",".join(str(row) for row in self._owed))

    async def _rest(self, stop: asyncio.Event, seconds: float, running: set[asyncio.Task[None]] | None = None) -> None:
        waits = [asyncio.create_task(self.wake.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait([*waits, *(running or ())], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    # -- one row

    async def _one(self, row: Row) -> None:
        try:
            async with self._slots:
                await self._deliver(row)
        except Exception as error:  # what is owed is written by the loop; else the lease ends
            log.loop_fault("outbox", error)
        finally:
            del self._held[_claim(row)]
            self._until.pop(_claim(row), None)

    async def _record(self, row: Row, write: Callable[[Row], Awaitable[None]], sent: bool = False) -> None:
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
            raise
        except Exception as error:  # the database refuses this very row: the others need not wait
            log.loop_fault("outbox", error)
            if owed.sent:
                return
        self._owed.pop(owed.row.id, None)

    async def _return(self, row: Row, error: str | None = None) -> None:
        """Gives the row back, at most once: a second time (after a commit whose answer was lost) it could be taken from
        whoever has it by then. So the database is asked first; if it fails at the very commit, the lease ends it."""
        if not await self._queue.confirm(row, self._clock()):
            return
        try:
            await self._queue.give_back(row, self._clock(), error)
        except Temporary as fault:
            log.loop_fault("outbox", fault)

    async def _deliver(self, row: Row) -> None:
        owed = self._owed.get(row.id)
        if owed is not None and owed.sent:  # its lease ended while the database was away: it is not sent again
            owed.row = row
            await self._pay(owed)
            return
        sender, templates, relay, retry_for = self._desk()
        now = self._clock()
        if not self._ours(row) or self._paused():
            await self._record(row, self._return)
            self.wake.set()
            return
        draft = Draft(
            row.id, row.template, row.language, row.recipient, row.kind, row.rfc_id, row.context, row.created_at
        )
        try:
            message = build(draft, sender, templates, await self._enclosed(row))
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
                outcome = await relay.send(replace(message, ours=lambda: self._ours(row)))
        except TimeoutError:
            outcome = Sent(False, False, 0, "the relay took too long")
        if not outcome.relay and pauses == self._pauses:  # what was begun before a pause says nothing of its end
            self._resume()
        await self._done(row, outcome, retry_for)

    async def _enclosed(self, row: Row) -> Sequence[Enclosure]:
        """The files that a row names; most name none.

        Raises:
            RenderError: one of a person's answer is not there any more.
        """
        if self._files is None or not row.context.get("files"):
            return ()
        try:
            return await self._files(row)
        except Temporary:
            await self._record(row, self._return)
            raise
        except LookupError as error:
            raise RenderError(str(error)) from error

    async def _done(self, row: Row, outcome: Sent, retry_for: float) -> None:
        now = self._clock()
        if outcome.relay:
            self._pause(outcome.detail, outcome.auth_failed)
            metrics.REPLIES.labels(row.template, "postponed").inc()
            await self._record(row, lambda mine: self._return(mine, outcome.detail))
            return
        if not outcome.ok and not self._ours(row):
            log.warning("claim_lost", outbox=row.id)
            await self._record(row, self._return)
            return
        if outcome.ok:
            metrics.REPLIES.labels(row.template, "sent").inc()
            log.sent(row.id, row.template, row.recipient, row.attempts, outcome.detail)
            await self._record(row, lambda mine: self._queue.sent(mine, outcome.detail, now), sent=True)
            return
        if outcome.code == TOO_LARGE and row.kind == "staff" and row.context.get("files"):
            log.postponed(row.id, outcome.code, outcome.detail, now)
            await self._record(row, lambda mine: self._queue.lighter(mine, outcome.detail, now))
            self.wake.set()
            return
        again = next_attempt(row.attempts, row.tried_from, now, retry_for, random.random())
        if outcome.permanent or again is None:
            await self._give_up(row, outcome.detail)
            return
        metrics.REPLIES.labels(row.template, "postponed").inc()
        log.postponed(row.id, outcome.code, outcome.detail, again)
        await self._record(row, lambda mine: self._queue.later(mine, outcome.detail, again))

    async def _give_up(self, row: Row, why: str) -> None:
        now = self._clock()
        metrics.REPLIES.labels(row.template, "dead").inc()
        log.dead(row.id, row.template, why)
        await self._record(row, lambda mine: self._queue.dead(mine, why, now))
