"""The DATA of one mail, to CRLF.CRLF whatever happens (RFC 5321 sections 4.1.1.4 and 4.5.2): piece by piece, each of
which is reserved before it is kept."""

from __future__ import annotations

import asyncio

from gateway.ingest.answers import BARE_NEWLINE, BUSY, LINES_TOO_LONG, LOOP, TOO_BIG, Reply
from gateway.ingest.limits import Hold
from gateway.mail.header import first_lines, named

LINE_LIMIT = 64 * 1024
MAX_HOPS = 100
READ_ON = 10  #: a mail that is refused is read on to its end, up to so many times the largest size


class Endless(Exception):
    """The end of a mail that is refused does not come."""


async def received(reader: asyncio.StreamReader, max_size: int, hold: Hold) -> tuple[bytearray, Reply | None]:
    """(content without dot-stuffing, refusal).

    Raises:
        Endless: see there.
        asyncio.IncompleteReadError: the peer ended the connection before the data.
    """
    # The command's CRLF counts as the line end before the first dot; StreamReader has no way to push back.
    reader._buffer[:0] = b"\r\n"  # type: ignore[attr-defined]
    content = bytearray()
    dots = Unstuffing()
    refusal: Reply | None = None
    octets, done = 0, False
    while not done:
        try:
            piece = await reader.readuntil(b"\r\n.\r\n")
            done = True
        except asyncio.LimitOverrunError as error:
            piece = await reader.readexactly(error.consumed)
        octets += len(piece)
        if refusal is None:
            refusal = TOO_BIG if octets - 5 > max_size else None if hold.take(len(piece)) else BUSY
        if refusal is None:
            content += dots.fed(piece[:-3]) + dots.rest() if done else dots.fed(piece)
            continue
        hold.give_back()
        content = bytearray()
        if not done and octets > READ_ON * max_size + LINE_LIMIT:
            raise Endless
    del content[:2]
    return content, refusal


def inspected(content: bytearray, reject_bare_newline: bool) -> Reply | None:
    """What the sender must change: a loop, bare line ends where the configuration forbids them, a line without end."""
    if sum(1 for _ in named(first_lines(content), b"received")) > MAX_HOPS:
        return LOOP
    if reject_bare_newline:
        pairs = content.count(b"\r\n")
        if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
            return BARE_NEWLINE
    if len(content) > LINE_LIMIT and _longest_line(content) > LINE_LIMIT:
        return LINES_TOO_LONG
    return None


class Unstuffing:
    """The octets of DATA without the dots that the sender put before dots (RFC 5321 section 4.5.2), piece by piece."""

    def __init__(self) -> None:
        self._held = b""  # a line end, or half of one, whose dot may come with the next piece

    def fed(self, piece: bytes) -> bytes:
        """What of this piece and the one before is settled."""
        piece = self._held + piece
        self._held = b"\r\n" if piece.endswith(b"\r\n") else b"\r" if piece.endswith(b"\r") else b""
        return piece[: len(piece) - len(self._held)].replace(b"\r\n.", b"\r\n")

    def rest(self) -> bytes:
        """What was left at the end."""
        return self._held


def _longest_line(content: bytearray) -> int:
    longest, position = 0, 0
    while len(content) - position > longest:
        window = content.rfind(b"\n", position, position + LINE_LIMIT + 2)
        if window < 0:
            stop = content.find(b"\n", position)
            stop = len(content) if stop < 0 else stop
            longest = max(longest, stop - position)
            position = stop + 1
        else:
            position = window + 1
    return longest if longest > LINE_LIMIT else 0
