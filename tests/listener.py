"""A listener with an acceptor that remembers, and a raw client: what the tests of the ways in share."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from gateway.ingest.client import accepts
from gateway.ingest.connection import Ingest, Policy
from gateway.ingest.limits import Limits
from gateway.ingest.settings import Smtp
from gateway.ingest.smtp import MailSession
from gateway.mail.guard import is_bounce_address
from gateway.model import Accepted, RawMessage

WHEN = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
SMTP = Smtp(
    max_size=100_000, max_recipients=3, max_errors=5, max_connections=50, max_connections_per_address=10, max_connections_per_network=20,
    max_in_flight=1_000_000, reserved=0.0, min_free=0, idle_timeout=30, handshake_timeout=30, data_timeout=30, data_deadline=60,
    session_deadline=600,
)  # fmt: skip
POLICY = Policy(
    hostname="mx.introserv.example", smtp=SMTP, trusted=(),
    accepts_recipient=accepts(("support@introserv.com",), "reply.introserv.com", lambda a: is_bounce_address(a, "reply.introserv.com")),
    smtputf8=lambda: False, tls=None,
)  # fmt: skip


class Server:
    """A listener whose acceptor remembers, or does what a test says."""

    def __init__(self, folder: Path) -> None:
        self.stored: list[RawMessage] = []
        self.socket = folder / "lmtp.sock"  #: LMTP, beside the port
        self.act: Callable[[RawMessage], Awaitable[None]] | None = None
        self.limits = Limits(SMTP, folder, lambda address: False)
        self.ingest = Ingest(POLICY, self.limits, self.accept, lambda: WHEN)

    async def accept(self, message: RawMessage) -> Accepted:
        if self.act is not None:
            await self.act(message)
        self.stored.append(message)
        return Accepted(len(self.stored), True)

    @property
    def used(self) -> tuple[int, int]:
        """(connections, octets in flight)."""
        usage = self.limits.usage()
        return usage["connections"], usage["octets_in_flight"]

    @contextlib.asynccontextmanager
    async def listening(self, lmtp: bool = False) -> AsyncIterator[int]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: MailSession(self.ingest, lmtp, loop), "127.0.0.1", 0)
        own = await loop.create_unix_server(lambda: MailSession(self.ingest, True, loop), str(self.socket))
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            own.close()
            await self.ingest.drain(0.1)


OPEN: list[asyncio.StreamWriter] = []


class Client:
    """A raw socket: sends octets, reads replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        OPEN.append(writer)

    @classmethod
    async def to(cls, port: int, hello: str = "EHLO client.example", source: str = "127.0.0.1") -> Client:
        client = cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))
        await client.reply()
        if hello:
            await client.say(hello)
        return client

    @classmethod
    async def over(cls, path: Path) -> Client:
        """LMTP over a UNIX socket."""
        client = cls(*await asyncio.open_unix_connection(str(path)))
        await client.reply()
        await client.say("LHLO client.example")
        return client

    async def reply(self) -> str:
        async with asyncio.timeout(30):
            lines = []
            while True:
                line = (await self.reader.readline()).decode()
                lines.append(line.rstrip("\r\n"))
                if len(line) < 4 or line[3] != "-":
                    return "\n".join(lines)

    async def say(self, text: str | bytes) -> str:
        self.writer.write(text if isinstance(text, bytes) else text.encode() + b"\r\n")
        await self.writer.drain()
        return await self.reply()

    async def data(self) -> None:
        """Everything up to 354."""
        await self.say("MAIL FROM:<a@sender.example>")
        await self.say("RCPT TO:<support@introserv.com>")
        assert (await self.say("DATA")).startswith("354")

    async def mail(self, data: bytes, *to: str) -> list[str]:
        await self.say("MAIL FROM:<a@sender.example>")
        for address in to or ("support@introserv.com",):
            await self.say(f"RCPT TO:<{address}>")
        assert (await self.say("DATA")).startswith("354")
        first = await self.say(data + b"\r\n.\r\n")
        return [first]

    async def closed(self) -> bool:
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(30):
                return await self.reader.read() == b""
        return True

    def close(self) -> None:
        self.writer.close()


async def eventually(condition: Callable[[], object]) -> None:
    """Waits until a condition comes true."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def run(folder: Path, story: Callable[[Server, int], Awaitable[Any]], lmtp: bool = False, **policy: Any) -> Server:
    server = Server(folder)
    keys = {name: policy.pop(name) for name in list(policy) if name in Smtp.model_fields}
    server.ingest.policy = replace(POLICY, smtp=SMTP.model_copy(update=keys), **policy)

    async def play() -> None:
        async with server.listening(lmtp) as port:
            try:
                await story(server, port)
            finally:
                for writer in OPEN:
                    writer.close()
                    with contextlib.suppress(OSError, ssl.SSLError):
                        await writer.wait_closed()
                OPEN.clear()

    uvloop.run(play())
    return server
