"""Sends what the outbox holds: claim, build, hand to the relay, mark. The retry schedule is a pure function of the row."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from gateway import log, metrics
from gateway.model import Sent
from gateway.replies.render import Draft, RenderError, Sender, Templates, build
from gateway.replies.send import Transport

MINUTES = (1, 5, 15, 30, 60)
POLL_S = 1.0
PAUSE_S = 60.0
WAITING = 8  #: rows in hand for each connection to the relay
MARK_S = 60.0  #: of a lease, kept to tell the database what the relay said
FRESH_S = 300.0  #: a row whose lease is shorter than this is claimed anew before it is sent


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
    def resent(self) -> bool: ...
    @property
    def lease_until(self) -> datetime: ...


class Queue(Protocol):
    """The outbox table; every call is a commit."""

    async def claim(self, now: datetime, count: int, sure: bool) -> list[Any]: ...
    async def sent(self, claimed: Any, now: datetime) -> None: ...
    async def later(self, claimed: Any, error: str, next_at: datetime) -> None: ...
    async def dead(self, claimed: Any, error: str, now: datetime) -> None: ...
    async def give_back(self, claimed: Any, now: datetime) -> None: ...


def next_attempt(
    attempts: int, created_at: datetime, now: datetime, retry_for: float, jitter: float
) -> datetime | None:
    """When to try again after ``attempts`` tries; ``None`` when ``retry_for`` seconds are over. ``jitter`` in [0, 1)."""
    if (now - created_at).total_seconds() >= retry_for:
        return None
    minutes = MINUTES[min(attempts, len(MINUTES)) - 1]
    return now + timedelta(seconds=minutes * 60 * (1 + 0.1 * jitter))


class Outbox:
    """The sending loop. What may change at a reload is read through ``desk``: (sender, templates, relay, retry_for)."""

    def __init__(
        self,
        queue: Queue,
        desk: Callable[[], tuple[Sender, Templates, Transport, float]],
        clock: Callable[[], datetime],
        concurrency: int,
    ) -> None:
        self._queue, self._desk, self._clock = queue, desk, clock
        self._most, self._slots = concurrency * WAITING, asyncio.Semaphore(concurrency)
        self.wake = asyncio.Event()
        self._paused_until = 0.0
        self.problem = ""
        self._running: set[asyncio.Task[None]] = set()
        self._reserved = 0
        self._unmarked: dict[int, datetime] = {}  #: what the relay took and the database does not know yet, and when
        self._claiming = 0  # places kept for what is being claimed
        self._clear = False  # no more waits in the table than is being claimed: a reply may be sent as it is written

    # -- what the pipeline sees

    def _room(self) -> int:
        return self._most - len(self._running) - self._reserved - self._claiming

    def reserve(self) -> bool:
        """Whether a reply that is being written now can be sent at once; then a place is kept until ``take``."""
        if not self._clear or self._room() <= 0 or asyncio.get_running_loop().time() < self._paused_until:
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
        task = asyncio.create_task(self._one(row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # -- the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until ``stop``; finishes what it began."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            woken = self.wake.is_set()
            self.wake.clear()
            free = self._room()
            claimed: list[Row] = []
            if free > 0 and loop.time() >= self._paused_until:
                self._claiming = -(-free // 2) if self._clear else free  # half for what is written meanwhile
                try:
                    claimed = await self._queue.claim(self._clock(), self._claiming, woken)
                    self._clear = len(claimed) < self._claiming
                except Exception as error:  # the one broad net of this loop: the next turn tries again
                    self._clear = False
                    log.loop_fault("outbox", error)
                    await self._rest(stop, POLL_S)
                finally:
                    self._claiming = 0
            for row in claimed:
                self._begin(row)
            if not claimed or self._room() <= 0:
                await self._rest(stop, POLL_S, self._running if self._room() <= 0 else None)
        self._clear = False
        await self._drain()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while self._running or self._reserved:
                    self.wake.clear()
                    waits = [asyncio.create_task(self.wake.wait()), *self._running]
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    waits[0].cancel()

    async def _rest(self, stop: asyncio.Event, seconds: float, running: set[asyncio.Task[None]] | None = None) -> None:
        waits = [asyncio.create_task(self.wake.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait([*waits, *(running or ())], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _one(self, row: Row) -> None:
        try:
            async with self._slots:
                await self._deliver(row)
        except Exception as error:  # the lease ends and the row is tried again
            log.loop_fault("outbox", error)

    async def _mark(self, row: Row, sent_at: datetime) -> None:
        self._unmarked[row.id] = sent_at
        await self._queue.sent(row, sent_at)
        del self._unmarked[row.id]

    async def _deliver(self, row: Row) -> None:
        if row.id in self._unmarked:  # its lease ended while the database was away: it is not sent again
            await self._mark(row, self._unmarked[row.id])
            return
        sender, templates, relay, retry_for = self._desk()
        now = self._clock()
        left = (row.lease_until - now).total_seconds() - MARK_S
        if left < FRESH_S or asyncio.get_running_loop().time() < self._paused_until:
            await self._queue.give_back(row, now)
            self.wake.set()
            return
        draft = Draft(
            row.id, row.template, row.language, row.recipient, row.kind, row.rfc_id, row.context, row.created_at
        )
        try:
            message = build(draft, sender, templates)
        except RenderError as error:
            metrics.REPLIES.labels(row.template, "dead").inc()
            log.dead(row.id, row.template, str(error))
            await self._queue.dead(row, str(error), self._clock())
            return
        if row.resent:
            metrics.DUPLICATE_SENDS.inc()
        try:
            async with asyncio.timeout(left):  # after the lease somebody else may send it
                outcome = await relay.send(message)
        except TimeoutError:
            outcome = Sent(False, False, 0, "the relay took too long")
        now = self._clock()
        if outcome.ok:
            self.problem = ""
            metrics.REPLIES.labels(row.template, "sent").inc()
            log.sent(row.id, row.template, row.recipient, row.attempts)
            await self._mark(row, now)
            return
        if outcome.auth_failed:
            self.problem = outcome.detail
            self._paused_until = asyncio.get_running_loop().time() + PAUSE_S
        again = next_attempt(row.attempts, row.created_at, now, retry_for, random.random())
        if outcome.permanent or again is None:
            metrics.REPLIES.labels(row.template, "dead").inc()
            log.dead(row.id, row.template, outcome.detail)
            await self._queue.dead(row, outcome.detail, now)
        else:
            metrics.REPLIES.labels(row.template, "postponed").inc()
            log.postponed(row.id, outcome.code, outcome.detail, again)
            await self._queue.later(row, outcome.detail, again)
