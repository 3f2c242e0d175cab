"""What happens is seen at once: one look at the database twice a second while anybody watches. Every browser is told
which tickets it was about, so that the page of another ticket asks for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

from starlette.responses import Response, StreamingResponse

from gateway.console.door import Visit
from gateway.console.lent import Service
from gateway.database import users
from gateway.model import Told
from gateway.tickets import presence, word_index, worklist

LOOK_S = 0.5
REST_S = 1.4  #: a browser is told no more often, however much happens
INDEXED = 20  #: looks after which words are indexed though mail goes on coming in; else in its pauses
COUNTED = 4  #: looks after which the numbers in the bar are counted anew, where anything has happened
SWEPT = 600  #: looks after which it is forgotten who has left without a word
BEAT_S = 15.0  #: so that proxies keep the connection, and we notice who is gone
LIFE_S = 600.0  #: a browser comes again by itself; so a session that ended is noticed
MAX_STREAMS = 400
MAX_OF_ONE = 12  #: of one user: further pages of his are not live


@dataclass(eq=False, slots=True)
class _Watcher:
    """A browser. ``news``: tickets of which it was not told yet; ``None``: of all."""

    user_id: int
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    news: set[str] | None = field(default_factory=set)
    happened: bool = False
    counts: str = ""  #: the event about the numbers in the bar, not told yet

    def tell(self, touched: set[str] | None) -> None:
        self.news = None if touched is None or self.news is None else self.news | touched
        self.happened = True
        self.changed.set()

    def tell_counts(self, counts: str) -> None:
        self.counts = counts
        self.changed.set()

    def told(self) -> str:
        """The events; without a name of a ticket the first is about everything."""
        counts, self.counts = self.counts, ""
        self.changed.clear()
        return (self._change() if self.happened else "") + counts

    def _change(self) -> str:
        news, self.news, self.happened = self.news, set(), False
        return f"event: change\ndata: {' '.join(sorted(news)) if news and len(news) < 200 else ''}\n\n"


class Feed:
    """The browsers that watch for changes, each over one connection that stays open."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._watching: set[_Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._counts = ""  #: the event about what needs a person besides tickets
        self._stale = False

    async def events(self, visit: Visit) -> Response:
        """``text/event-stream``: an event ``change`` whenever a page may show something else."""
        mine = sum(one.user_id == visit.who.id for one in self._watching)
        if len(self._watching) >= MAX_STREAMS or mine >= MAX_OF_ONE:
            return Response(status_code=204)  # the browser does not come again
        return StreamingResponse(self._told(visit), media_type="text/event-stream")

    async def _told(self, visit: Visit) -> AsyncIterator[str]:
        me = _Watcher(visit.who.id)
        self._watching.add(me)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        loop = asyncio.get_running_loop()
        ends = loop.time() + LIFE_S
        try:
            yield "retry: 1500\nevent: hello\ndata: \n\n"
            yield await self._counted()
            while loop.time() < ends:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(me.changed.wait(), BEAT_S)
                if not await self._may_see(visit):
                    return
                if me.changed.is_set():
                    yield me.told()
                    await asyncio.sleep(REST_S)
                else:
                    yield ": \n\n"
        finally:
            self._watching.discard(me)

    async def _may_see(self, visit: Visit) -> bool:
        now = self._service.clock()
        try:
            return await self._service.ask(lambda connection: users.lives(connection, visit.who.digest, now))
        except Told:  # the database is away: he hears of it with the next page
            return True

    async def _look(self) -> None:
        before: worklist.Marks | None = None
        looks = 0
        while self._watching:
            looks += 1
            with contextlib.suppress(Told):
                before = await self._seen(before, looks)
                if looks % SWEPT == 0:
                    now = self._service.clock()
                    await self._service.change(partial(presence.sweep, now=now))
            await asyncio.sleep(LOOK_S)

    async def _seen(self, before: worklist.Marks | None, looks: int) -> worklist.Marks:
        """One look; how far everything is."""
        marks = await self._service.ask(worklist.marks)
        quiet = before is None or marks == before
        if before is not None and not quiet:
            self._stale = True
            touched = await self._service.ask(lambda connection: worklist.touched(connection, before, marks))
            for one in self._watching:
                one.tell(touched)
        if self._stale and looks % COUNTED == 0:
            await self._recounted()
        if (quiet or looks % INDEXED == 0) and await self._service.ask(word_index.behind):
            await self._service.change(word_index.catch_up)
        return marks

    async def _recounted(self) -> None:
        self._stale, counts = False, await self._counted()
        if counts != self._counts:
            self._counts = counts
            for one in self._watching:
                one.tell_counts(counts)

    async def _counted(self) -> str:
        """The numbers beside the names in the bar, as an event."""
        try:
            found = await self._service.ask(worklist.trouble)
        except Told:
            return ""
        return f"event: counts\ndata: {json.dumps(found)}\n\n"
