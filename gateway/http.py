"""The ``[http]`` listener: HTTP/1.1 (RFC 9112, by h11) for the health pages and the console.

Whoever is slow costs nobody else: a request's head, its body and every piece of an answer have a deadline, all of them
a size, and when there are too many connections the one that has kept us waiting for the longest goes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import h11

from gateway import log

Message = MutableMapping[str, Any]
Asgi = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

MAX_HEAD = 32 * 1024
MAX_BODY = 30 * 1024**2
READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections at once, and seconds: for a request's head from the connection on, between two requests, for a whole
    body, for the rest of one that nobody wanted to hear, for a piece of an answer to be taken."""

    connections: int = 512
    head: float = 10.0
    idle: float = 30.0
    body: float = 60.0
    linger: float = 2.0
    send: float = 20.0


class _Refused(Exception):
    """A request that is answered without being heard; the arguments are the status and the text."""


class Connection:
    """One connection: request after request until either side ends it."""

    def __init__(
        self, app: Asgi, limits: Limits, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:  # fmt: skip
        self._app, self._limits, self._reader, self._writer = app, limits, reader, writer
        self._body_until = 0.0
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self.silent_since = asyncio.get_running_loop().time()
        self.waiting = True  #: for the peer: for a request, its body, or that it takes an answer
        self._taken = 0  #: octets of the body
        self._is_head = False  #: the request wants no body
        self._fault: _Refused | None = None  #: what was wrong with the body
        self.peer = (writer.get_extra_info("peername") or ("",))[0]

    async def serve(self) -> None:
        """Serves until the end; never raises but for a cancellation."""
        patience = self._limits.head
        try:
            while (request := await self._next(patience)) is not None:
                self.waiting, self.silent_since = False, asyncio.get_running_loop().time()
                await self._answered(request)
                await self._rest()
                if self._wire.our_state is not h11.DONE or self._wire.their_state is not h11.DONE:
                    return
                self._wire.start_next_cycle()
                self.waiting, self.silent_since = True, asyncio.get_running_loop().time()
                patience = self._limits.idle
        except (ConnectionError, h11.RemoteProtocolError):
            await self._refuse(400, "bad request")
        except TimeoutError:
            if self._wire.trailing_data[0]:  # else nothing was asked
                await self._refuse(408, "too slow")
        except Exception as error:  # one connection's fault ends that connection
            log.loop_fault("http", error)
            await self._refuse(500, "internal server error")
        finally:
            self._writer.close()

    async def _next(self, patience: float) -> h11.Request | None:
        async with asyncio.timeout(patience):
            while True:
                event = self._wire.next_event()
                if event is h11.NEED_DATA:
                    await self._more()
                elif isinstance(event, h11.Request):
                    return event
                elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    return None

    async def _more(self) -> None:
        self._wire.receive_data(await self._reader.read(READ))

    async def _answered(self, request: h11.Request) -> None:
        self._is_head, self._fault = request.method == b"HEAD", None
        try:
            await self._app(self._scope(request), self._receive, self._send)
        except _Refused as refused:
            await self._refuse(*refused.args)

    async def _rest(self) -> None:
        """What of the body the app did not want to hear, where it is little: the connection goes on."""
        async with asyncio.timeout(self._limits.linger):
            left = MAX_HEAD
            while self._wire.their_state is h11.SEND_BODY and left > 0:
                event = self._wire.next_event()
                if event is h11.NEED_DATA:
                    await self._more()
                left -= len(event.data) if isinstance(event, h11.Data) else 0

    def _scope(self, request: h11.Request) -> Message:
        path, _, query = request.target.partition(b"?")
        headers = [(bytes(name), bytes(value)) for name, value in request.headers]
        lengths = [int(value) for name, value in headers if name == b"content-length"]
        if lengths and any(name == b"transfer-encoding" for name, _ in headers):
            raise _Refused(400, "bad request")  # two lengths: smuggling (RFC 9112 section 6.1)
        if any(length > MAX_BODY for length in lengths):
            raise _Refused(413, "too large")
        self._taken, self._body_until = 0, asyncio.get_running_loop().time() + self._limits.body
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http",
            "method": request.method.decode("ascii"), "path": _plain(path), "raw_path": path, "query_string": query,
            "root_path": "", "headers": headers, "client": self._writer.get_extra_info("peername") or None,
            "server": self._writer.get_extra_info("sockname") or None, "state": {},
        }  # fmt: skip

    async def _receive(self) -> Message:
        """The next piece of the body; after it, the end of the connection. What is wrong with it is answered by us,
        whatever the app makes of it."""
        try:
            return await self._received()
        except h11.RemoteProtocolError:
            self._fault = _Refused(400, "bad request")
        except _Refused as refused:
            self._fault = refused
        raise self._fault

    async def _received(self) -> Message:
        async with asyncio.timeout_at(self._body_until if self._wire.their_state is h11.SEND_BODY else None):
            if self._wire.they_are_waiting_for_100_continue:
                await self._write(self._wire.send(h11.InformationalResponse(status_code=100, headers=[])))
            while True:
                if self._wire.their_state is not h11.SEND_BODY and self._wire.their_state is not h11.DONE:
                    return {"type": "http.disconnect"}
                event = self._wire.next_event()
                if isinstance(event, h11.Data):
                    return self._piece(bytes(event.data))
                if isinstance(event, h11.EndOfMessage):
                    return {"type": "http.request", "body": b"", "more_body": False}
                if isinstance(event, h11.ConnectionClosed) or await self._gone():
                    return {"type": "http.disconnect"}

    def _piece(self, data: bytes) -> Message:
        self._taken += len(data)
        if self._taken > MAX_BODY:
            raise _Refused(413, "too large")
        return {"type": "http.request", "body": data, "more_body": True}

    async def _gone(self) -> bool:
        """Waits for more of the client; whether there is none."""
        self.waiting = self._wire.their_state is h11.SEND_BODY
        data = await self._reader.read(READ)
        self.waiting = False
        if not data:
            with contextlib.suppress(h11.RemoteProtocolError):
                self._wire.receive_data(b"")
            return True
        self._wire.receive_data(data)
        ahead = self._wire.their_state is not h11.SEND_BODY  # requests that come before the answer to this one
        return ahead and len(self._wire.trailing_data[0]) > MAX_HEAD

    async def _send(self, message: Message) -> None:
        if self._fault is not None:
            raise self._fault
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message.get("headers", [])]
            await self._write(self._wire.send(h11.Response(status_code=message["status"], headers=headers)))
            return
        body = message.get("body", b"")
        if body and not self._is_head and self._wire.our_state is h11.SEND_BODY:
            await self._write(self._wire.send(h11.Data(data=body)))
        if not message.get("more_body", False):
            await self._write(self._wire.send(h11.EndOfMessage()))

    async def _write(self, data: bytes | None) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        if data:
            self._writer.write(data)
            self.waiting = True
            async with asyncio.timeout(self._limits.send):
                await self._writer.drain()
            self.waiting = False

    async def _refuse(self, status: int, text: str) -> None:
        """A last word, where one can still be said."""
        if self._wire.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = text.encode() + b"\n"
        headers = [("content-type", "text/plain"), ("content-length", str(len(body))), ("connection", "close")]
        with contextlib.suppress(h11.LocalProtocolError, ConnectionError, TimeoutError):
            await self._write(self._wire.send(h11.Response(status_code=status, headers=headers)))
            await self._write(self._wire.send(h11.Data(data=body)))
            await self._write(self._wire.send(h11.EndOfMessage()))

    def cut(self) -> None:
        """Ends the connection now, whatever was still to be written."""
        self._writer.transport.abort()


def _plain(path: bytes) -> str:
    """The path that is asked for, decoded once. What is no path is one that nobody has."""
    from urllib.parse import unquote_to_bytes

    decoded = unquote_to_bytes(path).decode("utf-8", "replace")
    return decoded if decoded.startswith("/") and "\x00" not in decoded else "/-"


class Listener:
    """Serves connections with one app; ``close`` ends those that are open."""

    def __init__(self, app: Asgi, limits: Limits = Limits()) -> None:
        self._app, self._limits = app, limits
        self._open: dict[Connection, asyncio.Task[Any]] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as ``asyncio.start_server`` calls it."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= self._limits.connections and not self._make_room():
            writer.transport.abort()
            return
        connection = Connection(self._app, self._limits, reader, writer)
        self._open[connection] = task
        try:
            await connection.serve()
        except asyncio.CancelledError:
            writer.close()
        finally:
            self._open.pop(connection, None)

    def _make_room(self) -> bool:
        """Ends the one that has kept us waiting for the longest, of the address that has most connections."""
        idle = [connection for connection in self._open if connection.waiting]
        if not idle:
            return False
        of = Counter(connection.peer for connection in self._open)
        oldest = min(idle, key=lambda connection: (-of[connection.peer], connection.silent_since))
        oldest.cut()
        self._open.pop(oldest, None)
        return True

    def close(self) -> None:
        """Ends every connection: those that wait at once, the others in the middle of what they do."""
        for connection, task in list(self._open.items()):
            connection.cut()
            task.cancel()


def either(health: Asgi, console: Asgi | None, paths: frozenset[str]) -> Asgi:
    """The health pages at their ``paths``, the console everywhere else."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        chosen = health if console is None or scope["path"] in paths else console
        await chosen(scope, receive, send)

    return app
