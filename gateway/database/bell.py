"""News between the nodes on one PostgreSQL: LISTEN and NOTIFY (its manual, "Asynchronous Notification").

A node that stores what nobody there has a free hand for rings; the others look at once. Nothing depends on it: whoever
hears nothing looks into the tables now and then. A ring is a transaction of its own after the one that it is about, so
no mail waits for the lock that PostgreSQL takes for a NOTIFY, and many within ``QUIET_S`` are one.
The connection that listens also says who is there (``nodes.py``), and vanishes with its node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import psycopg
from sqlalchemy import make_url

from gateway import log, metrics
from gateway.claims import Bell
from gateway.database import faults
from gateway.database.rings import MAILS, REPLIES, ring
from gateway.database.store import Store, libpq_patience

QUIET_S = 0.05  #: between two rings of a node
POLL_S = 2.0  #: between two looks of a node that hears the others
ASKED_S = 10.0  #: a connection that has been silent for so long is asked whether it is there
AGAIN_S = (0.5, 1.0, 2.0, 5.0)  #: from one try to listen to the next


class PostgresBell(Bell):
    """Rings, and listens for as long as ``run`` runs.

    Args:
        store: the open database; rings go through it.
        label: what the server shows of this node (``nodes.label``).
        heard: what to do when one of ``MAILS`` and ``REPLIES`` was rung elsewhere.
    """

    def __init__(self, store: Store, label: str, heard: Mapping[str, Callable[[], None]]) -> None:
        self._store, self._label, self._heard = store, label, heard
        self._due: set[str] = set()
        self._rung = asyncio.Event()
        self.up = False  #: whether the others are heard

    def mails(self) -> None:
        """See ``Bell``."""
        self._ring(MAILS)

    def replies(self) -> None:
        """See ``Bell``."""
        self._ring(REPLIES)

    def poll(self, seconds: float) -> float:
        """See ``Bell``."""
        return max(seconds, POLL_S) if self.up else seconds

    async def run(self) -> None:
        """Rings and listens on connections of its own until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ringing())
            group.create_task(self._listening())

    # -- ringing

    def _ring(self, channel: str) -> None:
        self._due.add(channel)
        self._rung.set()

    async def _ringing(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            due, self._due = sorted(self._due), set()
            try:
                await self._store.read(partial(ring, channels=due, who=self._label))
            except Exception as error:  # the others look for themselves in a moment
                log.loop_fault("bell", error)
            await asyncio.sleep(QUIET_S)

    # -- listening

    async def _listening(self) -> None:
        tries = 0
        while True:
            try:
                async with await self._connected() as connection:
                    tries = 0
                    await self._listen(connection)
            except (psycopg.Error, OSError) as error:
                if tries == 0:
                    log.deaf(faults.words(error))
            except Exception as error:  # nobody expected it: news are a help, not a need
                log.loop_fault("bell", error)
            finally:
                self._hears(False)
            await asyncio.sleep(AGAIN_S[min(tries, len(AGAIN_S) - 1)])
            tries += 1

    async def _connected(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        url = make_url(self._store.url).set(drivername="postgresql").render_as_string(hide_password=False)
        more = libpq_patience(self._store.url)
        return await psycopg.AsyncConnection.connect(url, autocommit=True, application_name=self._label, **more)

    async def _listen(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        for channel in (MAILS, REPLIES):
            await connection.execute(f"listen {channel}")
        self._hears(True)
        for channel in (MAILS, REPLIES):  # what was rung while nobody listened
            self._heard[channel]()
        while True:
            async for news in connection.notifies(timeout=ASKED_S):
                if news.payload != self._label:
                    metrics.HEARD.labels(news.channel).inc()
                    self._heard[news.channel]()
            await connection.execute("select 1")

    def _hears(self, up: bool) -> None:
        self.up = up
        metrics.LISTENING.set(up)
