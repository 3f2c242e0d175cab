"""Work that waits in a table, and is done by whoever claims it: the one loop that brings in the inbox and the outbox.

A claim is a lease that is renewed while work goes on. Who stood still for too long is late and does nothing any more:
by then somebody else may be at it. A hand that is free may be kept for what is being written at this moment (``keep``),
so that it need not be looked for afterwards. What is claimed, in which order and how much of it at a time is decided by
the ``Desk``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from gateway import log

LATE_S = 2.0  #: of a lease: nothing is begun or committed any more

C = TypeVar("C")


class Hand(Generic[C]):
    """A claim in work, and until when it is ours (``None``: not any more)."""

    def __init__(self, claimed: C, until: datetime | None) -> None:
        self.claimed, self.until = claimed, until
        self.apart = False  #: it waits for somebody else, and takes no place meanwhile

    def late(self, now: datetime) -> bool:
        """Whether somebody else may be at it by now: this process may have stood still for long."""
        return self.until is None or now >= self.until - timedelta(seconds=LATE_S)


H = TypeVar("H", bound=Hand)  # type: ignore[type-arg]


class Desk(Protocol[H]):
    """One of the two queues, as ``ClaimLoop`` sees it: how it is claimed, worked on and renewed."""

    def places(self) -> int:
        """How many may be in work at a time, now."""
        ...

    def rests(self) -> bool:
        """Whether a whole pause is made now, whatever comes."""
        ...

    async def claim(self) -> list[H]:
        """What is ours from now on, within ``ClaimLoop.room``; whatever it raises is logged, and tried again."""
        ...

    async def work(self, hand: H) -> None:
        """Brings one claim to its end."""
        ...

    async def renew(self, hands: Sequence[H]) -> tuple[datetime, Collection[H]] | None:
        """(until when they are ours from now on, those that are not any more); ``None`` when nothing was renewed."""
        ...

    async def settle(self) -> None:
        """What has to be done before a stop, once nothing is in work any more."""
        ...

    async def leave(self, left: dict[asyncio.Task[None], H]) -> None:
        """The time for a stop is over and this is still in work."""
        ...


class Bell:
    """Tells other nodes that something waits, and says how long may pass between two looks. This one: there are no
    others."""

    def mails(self) -> None:
        """Tells other nodes that a mail waits in the inbox."""

    def replies(self) -> None:
        """Tells other nodes that a reply waits in the outbox."""

    def poll(self, seconds: float) -> float:
        """The seconds between two looks, where ``seconds`` are right for a node that hears nothing."""
        return seconds


SILENT = Bell()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two looks into the table when nobody said that there is something (the safety net), between two
    renewals, and for what is in work at a stop."""

    poll: Callable[[], float]
    renew: float
    drain: float


class ClaimLoop(Generic[H]):
    """Claims, begins, renews and drains for one ``Desk``.

    Args:
        name: of the loop, in the log.
        pace: see ``Pace``.
        ring: tells other nodes that something waits in the table.
    """

    def __init__(self, name: str, desk: Desk[H], pace: Pace, ring: Callable[[], None] = lambda: None) -> None:
        self._name, self._desk, self._pace, self._ring = name, desk, pace, ring
        self.wake = asyncio.Event()  #: somebody knows of something to claim
        self._stirred = asyncio.Event()  # a place became free and more may wait
        self.stopping = asyncio.Event()
        self._sure = False
        self.held: dict[asyncio.Task[None], H] = {}
        self.reserved = 0
        self._claiming = 0  # places kept for what is being claimed
        self.clear = (
            False  #: no more waits in the table than is being claimed: what is written now may be taken at once
        )
        self.beat = 0.0

    # -- what others see

    def tell(self) -> None:
        """Something was written that nobody has claimed: here and on other nodes."""
        self.wake.set()
        self._ring()

    def free(self, beyond: int = 0) -> bool:
        """Whether a place could be kept for what is being written now: nothing else waits, and more than ``beyond`` are
        free."""
        return self.clear and self.room() > beyond

    def keep(self) -> None:
        """Keeps a place until ``take`` or ``release``."""
        self.reserved += 1

    def release(self) -> None:
        """Gives back a place from ``reserve``: nothing was written, or somebody else took it."""
        self.reserved -= 1
        self._stirred.set()

    def take(self, hand: H) -> None:
        """What was written is ours already."""
        self.reserved -= 1
        self.begin(hand)

    # -- what the desk sees

    def busy(self) -> int:
        """How many places are taken by work."""
        return sum(not hand.apart for hand in self.held.values())

    def room(self) -> int:
        """How many more may be claimed."""
        return self._desk.places() - self.busy() - self.reserved - self._claiming

    def sure(self) -> bool:
        """Whether somebody said that there is something to claim since this was asked the last time."""
        found, self._sure = self._sure, False
        return found

    def stay_sure(self) -> None:
        """There is something that was not claimed for want of a place."""
        self._sure = True

    @contextlib.contextmanager
    def claiming(self, count: int) -> Iterator[None]:
        """While so many are being claimed their places are kept."""
        self._claiming = count
        try:
            yield
        finally:
            self._claiming = 0

    def stir(self) -> None:
        """Looks for more to claim at once, where more may wait: a place became free."""
        if self._sure or not self.clear:
            self._stirred.set()

    def begin(self, hand: H) -> None:
        """Works on a claim in a task of its own; ``held`` has it until it ends."""
        task = asyncio.create_task(self._desk.work(hand))
        self.held[task] = hand
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self.held.pop(task, None)
        self.stir()

    # -- the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; what is begun is finished or left as the desk wants it."""
        self.stopping = stop
        renewing = asyncio.create_task(self._renewing())
        while not stop.is_set():
            self.beat = asyncio.get_running_loop().time()
            self._sure = self._sure or self.wake.is_set()
            self.wake.clear()
            self._stirred.clear()
            claimed = await self._claimed()
            for hand in claimed:
                self.begin(hand)
            if self._desk.rests():
                await self._rest()
            elif not claimed:
                await self._rest(self.wake, self._stirred)
        self.clear = False
        await self._drain()
        renewing.cancel()

    async def _claimed(self) -> list[H]:
        try:
            return await self._desk.claim()
        except Exception as error:  # the one broad net of this loop: the database may be back next turn
            self.clear = False
            log.loop_fault(self._name, error)
            return []

    async def _rest(self, *events: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self.stopping, *events)]
        await asyncio.wait(waits, timeout=self._pace.poll(), return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _renewing(self) -> None:
        """Keeps what is in work ours, however long it takes. The first time, nothing is: the desk learns what it has
        to."""
        hands: list[H] = []
        while True:
            try:
                await self._renew(hands)
            except Exception as error:  # the next turn tries again; without it the claims are given up
                log.loop_fault(self._name, error)
            await asyncio.sleep(self._pace.renew)
            hands = list(self.held.values())

    async def _renew(self, hands: list[H]) -> None:
        renewed = await self._desk.renew(hands)
        if renewed is not None:
            lease, lost = renewed
            for hand in hands:
                hand.until = None if hand in lost else lease

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pace.drain):
                while self.held or self.reserved:
                    self._stirred.clear()
                    await self._stirred.wait()
                await self._desk.settle()
        await self._desk.leave(dict(self.held))
