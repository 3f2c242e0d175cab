"""What happens is seen at once: one look at the database twice a second while anybody watches, told to every browser."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from gateway.console.door import Visit
from gateway.console.lent import Service
from gateway.database import users
from gateway.model import Told
from gateway.tickets import presence, word_index, worklist

LOOK_S = 0.5
REST_S = 1.0  #: a browser is told no more often, however much happens
SWEPT = 600  #: looks after which it is forgotten who has left without a word
BEAT_S = 15.0  #: so that proxies keep the connection, and we notice who is gone
LIFE_S = 600.0  #: a browser comes again by itself; so a session that ended is noticed
MAX_STREAMS = 400
MAX_OF_ONE = 12  #: of one user: further pages of his are not live


class Feed:
    """The browsers that watch."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._watching: dict[asyncio.Event, int] = {}  #: whose
        self._task: asyncio.Task[None] | None = None

    async def events(self, visit: Visit) -> Response:
        """``text/event-stream``: an event ``change`` whenever a page may show something else."""
        mine = sum(of == visit.who.id for of in self._watching.values())
        if len(self._watching) >= MAX_STREAMS or mine >= MAX_OF_ONE:
            return Response(status_code=204)  # the browser does not come again
        return StreamingResponse(self._told(visit), media_type="text/event-stream")

    async def _told(self, visit: Visit) -> AsyncIterator[str]:
        changed = asyncio.Event()
        self._watching[changed] = visit.who.id
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        loop = asyncio.get_running_loop()
        ends = loop.time() + LIFE_S
        try:
            yield "retry: 1500\nevent: hello\ndata: \n\n"
            while loop.time() < ends:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), BEAT_S)
                if not await self._may_see(visit):
                    return
                yield "event: change\ndata: \n\n" if changed.is_set() else ": \n\n"
                if changed.is_set():
                    changed.clear()
                    await asyncio.sleep(REST_S)
        finally:
            self._watching.pop(changed, None)

    async def _may_see(self, visit: Visit) -> bool:
        now = self._service.clock()
        try:
            return await self._service.ask(lambda connection: users.lives(connection, visit.who.digest, now))
        except Told:  # the database is away: he hears of it with the next page
            return True

    async def _look(self) -> None:
        before, looks = "", 0
        while self._watching:
            looks += 1
            with contextlib.suppress(Told):
                stamp = await self._service.ask(worklist.stamp)
                if before and stamp != before:
                    for changed in self._watching:
                        changed.set()
                before = stamp
                if looks % SWEPT == 0:
                    now = self._service.clock()
                    await self._service.change(lambda connection: presence.sweep(connection, now))  # noqa: B023 - awaited here
                if await self._service.ask(word_index.behind):
                    await self._service.change(word_index.catch_up)
            await asyncio.sleep(LOOK_S)
