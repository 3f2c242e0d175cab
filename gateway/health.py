"""The ``[http]`` listener: metrics, ``/healthz`` (the process works) and ``/readyz`` (mail is taken and processed)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable

from prometheus_client import Gauge

from gateway import log, metrics

THREADS = Gauge("gateway_thread_cpu_seconds", "CPU seconds by thread", ["thread"], registry=metrics.REGISTRY)


def sample_threads() -> None:
    """Sets the CPU time of every live thread, by its name without a number."""
    spent: dict[str, float] = {}
    for thread in threading.enumerate():
        if thread.ident is None:
            continue
        with contextlib.suppress(OSError, ValueError):
            clock = time.pthread_getcpuclockid(thread.ident)
            name = thread.name.rstrip("0123456789_-") or thread.name
            spent[name] = spent.get(name, 0.0) + time.clock_gettime(clock)
    for name, seconds in spent.items():
        THREADS.labels(name).set(seconds)


class Health:
    """Answers GET; ``ready`` gives the problem or an empty string, ``refresh`` updates the gauges before a scrape."""

    def __init__(self, ready: Callable[[], Awaitable[str]], refresh: Callable[[], Awaitable[None]]) -> None:
        self._ready, self._refresh = ready, refresh

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        try:
            async with asyncio.timeout(10):
                request = await reader.readuntil(b"\r\n\r\n")
                code, kind, body = await self._answer(request.split(b" ", 2))
                head = f"HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass
        except Exception as error:  # whoever watches must not see a connection that is cut, nor the log a traceback
            log.loop_fault("http", error)
            writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()

    async def _answer(self, request: list[bytes]) -> tuple[str, str, bytes]:
        if len(request) < 3 or request[0] not in (b"GET", b"HEAD"):
            return "405 Method Not Allowed", "text/plain", b"GET only\n"
        path = request[1].split(b"?")[0]
        if path == b"/metrics":
            sample_threads()
            await self._refresh()
            return "200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()
        if path == b"/healthz":
            return "200 OK", "text/plain", b"ok\n"
        if path == b"/readyz":
            problem = await self._ready()
            return (
                ("503 Service Unavailable" if problem else "200 OK"),
                "text/plain",
                f"{problem or 'ready'}\n".encode(),
            )
        return "404 Not Found", "text/plain", b"/metrics /healthz /readyz\n"
