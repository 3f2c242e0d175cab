"""A TCP proxy with moods, between the gateway and the relay: it passes, cuts connections, holds everything back, or is away."""

from __future__ import annotations

import asyncio
import contextlib
import threading

MOODS = ("passes", "cuts", "holds", "away")


class Tap:
    """Listens on ``port`` for as long as it lives; ``mood`` counts for every octet from now on."""

    def __init__(self, target: int) -> None:
        self._target, self.mood = target, "passes"
        self.delay = 0.0  #: seconds that every piece is late
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    async def _open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mood == "away":
            writer.transport.abort()
            return
        try:
            with contextlib.suppress(OSError):
                await self._pass(reader, writer)
        finally:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [asyncio.create_task(self._pump(*way)) for way in ((reader, back), (there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            back.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(4096):
                await asyncio.sleep(self.delay)
                while self.mood == "holds":
                    await asyncio.sleep(0.1)
                if self.mood in ("cuts", "away"):
                    return
                drain.write(data)
                await drain.drain()

    def close(self) -> None:
        """Ends it, with every connection."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # for the transports, which were told to end
        await asyncio.sleep(0)
