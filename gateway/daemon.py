"""``gateway run``: what a node is made of, and its life, top to bottom. If one task dies, the process dies and systemd
starts it again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway import __version__, health, http, log, metrics, systemd
from gateway.checks import machine
from gateway.config import Settings
from gateway.console import app as console
from gateway.database.store import utc_now
from gateway.listeners import Listeners
from gateway.node import Ahead, Node
from gateway.read.reader import NoReader, ReadFunction
from gateway.starting import InUse as InUse
from gateway.starting import StartError, StateLock
from gateway.verify.dns import Resolver

COLLECTED = (700, 10, 10)  #: how often garbage is looked for from then on: as Python does where nobody says otherwise
DRAIN_S = 30.0  #: for open sessions at a stop


class Daemon:
    """The service. Collaborators that tests replace are arguments."""

    def __init__(
        self, settings: Settings, path: str, *, clock: Callable[[], datetime] = utc_now,
        read: ReadFunction | None = None,
        resolver: Resolver | None = None, ready: Callable[[], None] | None = None, ahead: Ahead | None = None,
    ) -> None:  # fmt: skip
        self._ready = ready
        self._stop = asyncio.Event()
        self._lock = StateLock()
        self._listeners = Listeners(settings)
        self._first = settings
        self.node = Node(settings, path, clock, read, resolver, ahead or Ahead())

    # -- the life of the service

    async def run(self) -> None:
        """Runs until ``stop`` is called or a signal says so; drains and returns.

        Raises:
            StartError, StoreError, ConfigError: it could not start.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_told_by_loop)
        loop.add_signal_handler(
            signal.SIGHUP, self.node.reload.set
        )  # one that comes too early is answered after the start
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._close)
            await self._start()
            undo.pop_all()
        self._started()
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for part in self.node.parts(self._stop, self._wait):
                    group.create_task(part)
                group.create_task(self._drain_when_stopped())
        finally:
            await self._close()
            log.stopped(time.monotonic() - began)

    async def _start(self) -> None:
        """Lock, database, directory, desk; then the first socket, then readers: what is taken meanwhile is stored, and
        read as soon as there is one."""
        self._lock.take(self._first.gateway.state_dir)
        self.node.open(self._lock.seen_at)
        await self.node.begin()
        for name in (signal.SIGTERM, signal.SIGINT):  # from the first connection on, a stop is a drain
            asyncio.get_running_loop().add_signal_handler(name, self.stop)
        await self._listen()
        await self.node.read_mailboxes()
        try:
            await self.node.begin_reading()
        except NoReader as error:
            raise StartError(str(error)) from error

    async def _listen(self) -> None:
        node, roles = self.node, self._first.node.roles
        if "ingest" in roles:
            await self._listeners.mail(node.ingest)
        usage = node.ingest.limits.usage
        answer = health.Health(self._not_ready, node.watch.gauges, usage, ours=lambda: node.desk.settings.http_names)
        pages = console.build(node.lender().lent()) if "http" in roles else None
        await self._listeners.pages(http.either(answer.app, pages, health.PATHS))
        full = health.Health(self._not_ready, node.watch.gauges, usage, node.report)
        self._listeners.also(await health.listen(full, self._first.gateway.state_dir))

    def _started(self) -> None:
        metrics.NODE.labels(self.node.standing.name, " ".join(self._first.node.roles)).set(1)
        log.started(__version__, "sqlite" if self.store.is_sqlite else "postgresql", self.addresses)
        gc.collect()
        gc.set_threshold(*COLLECTED)
        sys.setswitchinterval(0.001)  # seconds; a thread that computes lets the loop in sooner
        gc.freeze()  # what is here now stays: the collector need not look at it again and again
        machine.last_words(self._first.gateway.state_dir, "")
        systemd.notify("READY=1\nSTATUS=taking mail")
        if self._ready is not None:
            self._ready()

    def stop(self) -> None:
        """Begins the drain; a second call cuts the sessions that are still open."""
        if self._stop.is_set():
            for session in list(self.node.ingest.sessions):
                session.cut()
        else:
            log.stopping("signal")
            systemd.notify("STOPPING=1")
            self._stop.set()

    async def _drain_when_stopped(self) -> None:
        await self._stop.wait()
        self._listeners.close()
        await asyncio.gather(self.node.ingest.drain(DRAIN_S), self.node.sources.stop())
        self.node.silence()

    async def _close(self) -> None:
        self._listeners.close()
        await self.node.close()
        self._listeners.remove()
        self._lock.close()

    async def _wait(self, seconds: float) -> bool:
        """Waits unless the service stops; true while it runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return not self._stop.is_set()

    async def _not_ready(self) -> list[str]:
        return ["shutting down"] if self._stop.is_set() else await self.node.blocked()

    # -- what others see of it

    store = property(lambda self: self.node.store)
    desk = property(lambda self: self.node.desk)
    outbox = property(lambda self: self.node.outbox)
    pipeline = property(lambda self: self.node.pipeline)
    addresses = property(lambda self: self._listeners.addresses)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop and drains."""
        return self._stop.is_set()

    async def pause(self, seconds: float) -> None:
        """Waits so long, or until it stops."""
        await self._wait(seconds)


def _told_by_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waits for any more: a line of the log, no traceback."""
    error = context.get("exception")
    if isinstance(error, Exception):
        log.loop_fault("loop", error)
    else:
        log.warning("loop", message=str(context.get("message", "")))
