"""Looks at everything every few seconds, tells staff what lasts, and sets the gauges: the part of the service that
watches it."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from gateway import __version__, log, metrics
from gateway.checks import machine
from gateway.checks.machine import Places
from gateway.checks.standing import Standing
from gateway.database import inbox
from gateway.database.store import Store, Unavailable, head
from gateway.tickets import health, views
from gateway.tickets.health import Check
from gateway.tickets.outgoing import Office

LOOK_S, ANSWER_S = 5.0, 1.5
Wait = Callable[[float], Awaitable[bool]]


#: words of a database's trouble, and what ends it
_REMEDIES = (
    ("was removed or replaced", "put the file back, or gateway restore COPY, then systemctl restart gateway"),
    ("malformed", "systemctl stop gateway; gateway restore COPY; systemctl start gateway"),
    ("not a database", "systemctl stop gateway; gateway restore COPY; systemctl start gateway"),
    ("locked", "fuser -v {path} names who holds it: end that"),
    ("disk", "make room; nothing else is needed"),
    ("readonly", "ls -l {path}*: owner and mode, or the mount (findmnt -T {path})"),
    ("refused", "start PostgreSQL; nothing else is needed"),
)
_ANY = "gateway doctor; the log says what the database said (journalctl -u gateway)"


def remedy(trouble: str, path: str) -> str:
    """What a person does about a database that cannot be used; ``path``: of SQLite's file, or empty."""
    said = trouble.lower()
    found = next((do for words, do in _REMEDIES if words in said and (path or "{path}" not in do)), _ANY)
    return found.format(path=path)


class HealthWatch:
    """``looks``: the checks of the parts of this process; ``places`` and ``office`` as they are now; ``wake``:
    something was written for the outbox."""

    def __init__(
        self, standing: Standing, store: Store, looks: Callable[[], list[Check]], places: Callable[[], Places],
        office: Callable[[], Office], clock: Callable[[], datetime], wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self.standing, self._store, self._looks = standing, store, looks
        self._places, self._office, self._clock, self._wake = places, office, clock, wake
        self._answered_at = clock()
        metrics.BUILD.labels(__version__, head(), platform.python_version()).set(1)
        metrics.STARTED.set(self._answered_at.timestamp())

    # -- looking

    async def look(self) -> list[Check]:
        """Looks at everything; the problems there are now, most of them cheap to find."""
        trouble = await self._store.answers()
        now = self._clock()
        found = [self._database(trouble), *self._looks(), *self._machine(now)]
        if not trouble:
            found = health.merged(found, await self._stored(now))
        return self.standing.found(found, now)

    def _database(self, trouble: str) -> Check:
        return Check("database", trouble, None, remedy(trouble, str(self._store.path or "")), blocks=True)

    def _machine(self, now: datetime) -> list[Check]:
        at = self._places()
        return [
            machine.disk(at.state_dir, at.min_free),
            machine.certificate(at.tls_cert, now),
            machine.sockets(at.listen),
        ]

    async def _stored(self, now: datetime) -> list[Check]:
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._store.read(lambda connection: health.stored(connection, now))
                return found + await self._store.read(partial(health.noted_elsewhere, node=self.standing.node))
        except (Unavailable, TimeoutError):
            return []

    # -- watching

    async def run(self, wait: Wait) -> None:
        """Until ``wait`` says that the service stops."""
        await self._store.read(self.standing.started)
        while await wait(LOOK_S):
            try:
                machine.beat(self._places().state_dir)
                await self.look()
                await self._tell()
                await self._responses()
            except Exception as error:  # the one broad net of this loop: the next look is in a moment
                log.loop_fault("watch", error)

    async def _tell(self) -> None:
        now = self._clock()
        fresh, over = self.standing.to_tell(now)
        if not fresh and not over:
            return
        await self._store.write(lambda connection: self.standing.tell(connection, fresh, over, self._office(), now))
        self.standing.was_told(fresh, over)
        self._wake()

    async def _responses(self) -> None:
        """People answer with a command, or on another node: what they wrote is counted here."""
        since, self._answered_at = self._answered_at, self._clock()
        for seconds in await self._store.read(lambda connection: views.first_responses(connection, since)):
            metrics.FIRST_RESPONSE.observe(seconds)

    # -- the gauges of a scrape

    async def gauges(self) -> None:
        """Sets what is looked up for each scrape."""
        at, now = self._places(), self._clock()
        metrics.DISK_FREE.set(machine.free_octets(at.state_dir))
        ends = machine.expiry(at.tls_cert)
        metrics.CERTIFICATE_EXPIRY.set(ends.timestamp() if ends else 0)
        try:
            found = await self._store.read(views.counts)
            oldest = await self._store.read(inbox.oldest_pending)
        except Unavailable:
            metrics.DATABASE_UP.set(0)
            return
        metrics.DATABASE_UP.set(not await self._store.answers())
        for state, count in found.pop("tickets").items():
            metrics.TICKETS.labels(state).set(count)
        for name, states in found.items():
            for state, count in states.items():
                metrics.QUEUE.labels(name, state).set(count)
        metrics.OLDEST_PENDING.set((now - oldest).total_seconds() if oldest else 0)
