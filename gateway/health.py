"""The ``[http]`` listener: metrics, ``/healthz`` (the process works), ``/readyz`` (mail is taken and processed) and
``/usage`` (connections and octets in flight, as JSON). The same answers on a socket in the state directory, for
commands."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import Gauge

from gateway import log, metrics
from gateway.networks import host_named
from gateway.usage import SOCKET

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


PATHS = frozenset(("/metrics", "/healthz", "/readyz", "/usage"))
_NOBODYS = (".internal", ".local", ".localhost")  #: domains that nobody can register (RFC 6761, 6762; ICANN 2024)


def names_us(named: str, ours: frozenset[str]) -> bool:
    """Whether a Host field (RFC 9110 section 7.2) can be meant for us: an address, a name without a dot, one that
    nobody can register, or one of ``ours``. A stranger's page in a browser has a name of his, whatever address he gives
    it (DNS rebinding)."""
    host = host_named(named)
    if host is None:
        return False
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return "." not in host or host.endswith(_NOBODYS) or host in ours


class Health:
    """Answers GET; ``ready`` gives the problems for which no mail is taken, ``refresh`` updates the gauges before a
    scrape, ``usage`` what is taken of what there is (``name`` and ``name_limit``), ``report`` more for commands of this
    machine: the words of a check may name an address, so it is answered where nobody else listens. ``ours``: the names
    by which we are asked."""

    def __init__(
        self, ready: Callable[[], Awaitable[list[str]]], refresh: Callable[[], Awaitable[None]],
        usage: Callable[[], Mapping[str, int | str]], report: Callable[[], Awaitable[Mapping[str, Any]]] | None = None,
        ours: Callable[[], frozenset[str]] = frozenset,
    ) -> None:  # fmt: skip
        self._ready, self._refresh, self._usage, self._report, self._ours = ready, refresh, usage, report, ours

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request within 10 s, then closes the connection."""
        try:
            async with asyncio.timeout(10):
                request = await reader.readuntil(b"\r\n\r\n")
                code, kind, body = await self._answer(request.split(b" ", 2))
                head = (
                    f"HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: "
                    "close\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass
        except Exception as error:  # whoever watches must not see a connection that is cut, nor the log a traceback
            log.loop_fault("http", error)
            writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The same as an ASGI application."""
        request = [scope["method"].encode(), scope["raw_path"], b""]
        named = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("ascii", "replace")
        if names_us(named, self._ours()):
            code, kind, body = await self._answer(request)
        else:
            code, kind, body = (
                "421 Misdirected Request",
                "text/plain",
                b"not a name of ours; [http] hosts may have more\n",
            )
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": int(code[:3]), "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

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
            problems = await self._ready()
            lines = [*(problems or ["ready"]), *self._used()]
            return (
                "503 Service Unavailable" if problems else "200 OK",
                "text/plain",
                "".join(f"{line}\n" for line in lines).encode(),
            )
        if path == b"/usage":
            more = await self._report() if self._report is not None else {}
            return "200 OK", "application/json", json.dumps({**self._usage(), **more}).encode() + b"\n"
        return "404 Not Found", "text/plain", b"/metrics /healthz /readyz /usage\n"

    def _used(self) -> list[str]:
        usage = self._usage()
        return [f"{name} {usage[name]} of {usage[f'{name}_limit']}" for name in usage if f"{name}_limit" in usage]


async def listen(answer: Health, state_dir: Path) -> list[asyncio.Server]:
    """The socket in the state directory. Without it, as where its path is too long, the service still works."""
    path = state_dir / SOCKET
    try:
        path.unlink(missing_ok=True)
        return [await asyncio.start_unix_server(answer, str(path))]
    except OSError as error:
        log.warning("no_health_socket", path=str(path), why=str(error))
        return []
