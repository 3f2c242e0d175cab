"""Floods of connections: DATA that is cut off, STARTTLS and then silence, slow senders from many addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.floods import Target, flood, forever
from tests.certificates import self_signed

MB = 1024 * 1024
LINES = (b"x" * 998 + b"\r\n") * 64
ADDRESSES, EACH = 25, 20  #: as many as fill the 500 connections of the default configuration
LARGE = 12  #: connections that fill the default 256 MB with 25 MB each


def address(number: int) -> str:
    """A loopback address, the next one in another /24."""
    return f"127.{1 + number // 200}.{1 + number % 200}.7"


class Peer:
    """A client from an address of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counter[str]) -> None:
        self.reader, self.writer, self._counts = reader, writer, counts

    async def answer(self) -> str:
        """The last line of a reply. EOFError when there is none."""
        while True:
            line = await self.reader.readline()
            if not line:
                self._counts["closed by the service"] += 1
                raise EOFError
            if line[3:4] != b"-":
                if line[:1] in b"45":
                    self._counts[f"heard {line[:3].decode('ascii', 'replace')}"] += 1
                return line.decode("ascii", "replace")

    async def say(self, line: bytes) -> str:
        """The reply to a command. EOFError when the service ended the session."""
        self.writer.write(line + b"\r\n")
        await self.writer.drain()
        heard = await self.answer()
        if heard.startswith("421"):
            raise EOFError
        return heard

    async def data(self) -> None:
        """Everything up to 354."""
        for command in (
            b"EHLO slow.example",
            b"MAIL FROM:<x@slow.example>",
            b"RCPT TO:<support@introserv.com>",
            b"DATA",
        ):
            heard = await self.say(command)
            if heard[:1] in "45":
                raise EOFError

    def reset(self) -> None:
        """Ends the connection with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(target: Target, source: str, counts: Counter[str]) -> AsyncIterator[Peer]:
    """A session from an address, greeted. EOFError when it is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, local_addr=(source, 0))
    try:
        counts["connections"] += 1
        peer = Peer(reader, writer, counts)
        if not (await peer.answer()).startswith("220"):
            raise EOFError
        yield peer
    finally:
        writer.close()


async def _sent(peer: Peer, octets: int) -> None:
    for _ in range(max(1, octets // len(LINES))):
        peer.writer.write(LINES)
        await peer.writer.drain()


@flood("aborted", "DATA cut off: reset, closed, half-closed, without its end")
async def aborted(target: Target, counts: Counter[str]) -> None:
    """First 12 of 24 MB, which is all that the service would hold; then smaller ones of every shape."""

    def shape() -> Iterator[str]:
        while True:
            yield from ("reset", "close", "half", "dot", "quit")

    shapes = shape()

    async def one(number: int) -> None:
        kind = next(shapes)
        async with connected(target, address(number), counts) as peer:
            await peer.data()
            counts["cut off"] += 1
            await _sent(peer, 24 * MB if counts["cut off"] <= 2 * LARGE else MB)
            if kind == "reset":
                peer.reset()
            elif kind == "half":
                peer.writer.write_eof()
                await peer.reader.read()
            elif kind == "dot":
                peer.writer.write(b"\r\n.\r")
                await peer.writer.drain()
            elif kind == "quit":
                peer.writer.write(b"\r\nQUIT\r\n")
                await peer.writer.drain()

    await forever(LARGE, one, 0.5)


def _certificate(folder: Path) -> Mapping[str, dict[str, Any]]:
    cert, key = self_signed(folder)
    return {"smtp": {"tls_cert": str(cert), "tls_key": str(key)}}


@flood("starttls", "STARTTLS and then silence, 25 addresses x 20", sections=_certificate)
async def starttls(target: Target, counts: Counter[str]) -> None:
    """Each waits until it is thrown out, then begins again."""

    async def one(number: int) -> None:
        async with connected(target, address(number % ADDRESSES), counts) as peer:
            await peer.say(b"EHLO silent.example")
            await peer.say(b"STARTTLS")
            counts["silent"] += 1
            await peer.reader.read()

    await forever(ADDRESSES * EACH, one, 0.2)


@flood("slow", "12 with 24 MB each and 488 with a mail, then an octet a second")
async def slow(target: Target, counts: Counter[str]) -> None:
    """Large ones first; all of them trickle on for ever."""

    async def one(number: int) -> None:
        async with connected(target, address(number if number < LARGE else number % ADDRESSES), counts) as peer:
            await peer.data()
            await _sent(peer, 24 * MB if number < LARGE else 1)
            counts["trickling"] += 1
            while True:
                peer.writer.write(b"x")
                await peer.writer.drain()
                if peer.reader.at_eof():
                    raise EOFError
                await asyncio.sleep(1.0)

    await forever(ADDRESSES * EACH, one, 0.2)


@flood("idle", "NOOP now and then, 250 addresses x 2")
async def idle(target: Target, counts: Counter[str]) -> None:
    """One after the other says that it is still there, from ten times as many networks."""

    async def one(number: int) -> None:
        async with connected(target, address(number % (ADDRESSES * 10)), counts) as peer:
            await peer.say(b"EHLO idle.example")
            counts["idle"] += 1
            while (await peer.say(b"NOOP")).startswith("250"):
                await asyncio.sleep(1.0)

    await forever(ADDRESSES * EACH, one, 0.2)
