"""The canary: a probe mail every few minutes, an alarm when it does not come back; and an alarm when far less mail
comes than usual at this hour of the week."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from statistics import median

from sqlalchemy import Connection, func, select

from gateway import log, metrics
from gateway.checks import probe
from gateway.checks import settings as sections
from gateway.checks.standing import Standing
from gateway.database.store import Store
from gateway.database.tables import messages
from gateway.model import Outgoing, Sent
from gateway.tickets.outgoing import Office

LOOK_S, WEEKS, USUAL_S = 1.0, 4, 300.0
DO = "gateway doctor tries each part of the way; gateway trace {id} tells how far it came"
QUIET_DO = "gateway doctor; look at the queue of the server in front (mailq), and for mail that somebody redirected"


class Canary:
    """``desk``: its section, the office and how to send, as they are now."""

    def __init__(
        self, standing: Standing, store: Store, clock: Callable[[], datetime],
        desk: Callable[[], tuple[sections.Canary, Office, Callable[[Outgoing], Awaitable[Sent]]]],
    ) -> None:  # fmt: skip
        self._standing, self._store, self._clock, self._desk = standing, store, clock, desk
        self._out: tuple[str, datetime] | None = None  # the probe that is on its way
        self._missed: list[str] = []  # probes that may still come, to be forgotten then
        self._next, self._looked = clock(), clock() - timedelta(seconds=USUAL_S)

    async def run(self, wait: Callable[[float], Awaitable[bool]]) -> None:
        """Until ``wait`` says that the service stops."""
        while await wait(LOOK_S):
            try:
                await self._turn()
            except Exception as error:  # the one broad net of this loop: the next look is in a moment
                log.loop_fault("canary", error)

    async def _turn(self) -> None:
        chosen, now = self._desk()[0], self._clock()
        if not chosen.every:
            self._out = None
            self._standing.clear("canary")
        elif self._out is not None:
            await self._look(now)
        elif now >= self._next:
            await self._send(now)
        if (now - self._looked).total_seconds() >= USUAL_S:
            self._looked = now
            await self._usual(chosen, now)

    async def _send(self, now: datetime) -> None:
        chosen, office, send = self._desk()
        self._next = now + timedelta(seconds=chosen.every)
        message_id = office.new_message_id()
        async with asyncio.timeout(chosen.within):
            sent = await send(probe.mail(office, message_id, now))
        if not sent.ok:
            self._standing.note("canary", f"the probe mail could not be sent: {sent.detail}", "gateway doctor")
            return
        metrics.CANARY_SENT.set(now.timestamp())
        self._out = message_id, now

    async def _look(self, now: datetime) -> None:
        assert self._out is not None
        message_id, sent_at = self._out
        came = await self._store.read(partial(probe.arrived, message_id=message_id))
        if came is not None:
            metrics.CANARY_BACK.set(now.timestamp())
            metrics.CANARY_TOOK.set((now - sent_at).total_seconds())
            self._standing.clear("canary")
            await self._store.write(partial(probe.forget, message_ids=[message_id, *self._missed]))
            self._out, self._missed = None, []
        elif (now - sent_at).total_seconds() > self._desk()[0].within:
            what = f"the probe mail of {sent_at.isoformat(timespec='seconds')} has not come back"
            self._standing.note("canary", what, DO.format(id=message_id))
            self._out, self._missed = None, [*self._missed[-50:], message_id]  # the next one is sent when it is time

    async def _usual(self, chosen: sections.Canary, now: datetime) -> None:
        came, usual = await self._store.read(partial(traffic, now=now))
        metrics.USUAL.labels("came").set(came)
        metrics.USUAL.labels("usual").set(usual)
        if usual >= chosen.usual_least and came < usual * chosen.usual_share:
            what = f"{came} mails came in the last hour, {usual:.0f} are usual at this hour of the week"
            self._standing.note("traffic", what, QUIET_DO)
        else:
            self._standing.clear("traffic")


def traffic(connection: Connection, now: datetime) -> tuple[int, float]:
    """(mails of the last hour, the median of the same hour of the last weeks; 0 before two weeks are known)."""
    counts = [_between(connection, now - timedelta(weeks=week)) for week in range(WEEKS + 1)]
    first = connection.execute(select(func.min(messages.c.received_at))).scalar()
    known = [
        count for week, count in enumerate(counts) if week and first and first <= now - timedelta(weeks=week, hours=1)
    ]
    return counts[0], float(median(known)) if len(known) >= 2 else 0.0


def _between(connection: Connection, end: datetime) -> int:
    m = messages.c
    hour = (m.received_at > end - timedelta(hours=1), m.received_at <= end)
    return int(connection.execute(select(func.count()).select_from(messages).where(*hour)).scalar_one())
