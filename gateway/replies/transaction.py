"""Mail transactions on a connection to the relay that is greeted, encrypted and logged in (RFC 5321 section 3.3).

aiosmtplib does everything up to there; from there on one mail is MAIL, RCPT and DATA in one write where the relay
offers PIPELINING (RFC 2920), which aiosmtplib does not do, and one after the other where it does not. An address beyond
ASCII needs SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

import asyncio
import re

from gateway.model import Outgoing, Sent

_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])[^\r\n]*)?\r?\n")
_PATH = re.compile(r"[!-;=?-~\xa1-\U0010ffff]*")  # RFC 5321: printable, and no bracket that would end the path early
_LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
MAX_REPLY = 16 * 1024


class Closed(Exception):
    """The connection is gone, silent, or says what is no SMTP: ``why``. ``codes``: the replies that came before."""

    def __init__(self, why: str, codes: list[int]) -> None:
        super().__init__(why)
        self.why, self.codes = why, codes


class Connection(asyncio.Protocol):
    """The established connection. ``pipelining``, ``size`` (RFC 1870) and ``smtputf8``: what the relay offers.
    ``timeout``: seconds for each answer."""

    def __init__(
        self, transport: asyncio.Transport, pipelining: bool, size: bool, smtputf8: bool, timeout: float
    ) -> None:
        self._transport, self._pipelining, self._size, self._smtputf8 = transport, pipelining, size, smtputf8
        self._timeout = timeout
        self._buffer = bytearray()
        self._codes: list[int] = []
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = ""
        transport.set_protocol(self)

    # -- what the transport calls

    def data_received(self, data: bytes) -> None:
        """Replies. Anything that nobody asked for ends the connection: it could be taken for the next reply."""
        if self._waiter is None or self._waiter.done():
            self._fail("it spoke without being asked")
            return
        self._buffer += data
        at = 0
        while len(self._codes) < self._wanted and (found := _REPLY.match(self._buffer, at)) is not None:
            at = found.end()
            if found[2] != b"-":
                self._codes.append(int(found[1]))
        del self._buffer[:at]
        if len(self._codes) == self._wanted:
            if self._buffer:
                self._fail("it said more than it was asked")
            self._wake()
        elif b"\n" in self._buffer or len(self._buffer) > MAX_REPLY:
            self._fail("its reply is no SMTP")

    def eof_received(self) -> bool:
        """The relay closes."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._fail("it closed the connection")

    def _fail(self, why: str) -> None:
        self._lost = self._lost or why
        self._transport.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- what the relay's client calls

    @property
    def usable(self) -> bool:
        """Whether another transaction may be begun."""
        return not self._lost and not self._transport.is_closing()

    def close(self) -> None:
        """Closes without a word."""
        self._fail("closed")

    async def quit(self) -> None:
        """Says goodbye and closes."""
        try:
            await self._ask(b"QUIT\r\n", 1)
        except Closed:
            return
        self.close()

    async def _ask(self, octets: bytes, replies: int) -> list[int]:
        """The codes of the replies to what is written.

        Raises:
            Closed: not all of them came.
        """
        if not self.usable:
            raise Closed(self._lost or "it closed the connection", [])
        self._codes, self._wanted = [], replies
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(octets)
        try:
            async with asyncio.timeout(self._timeout):
                await self._waiter
        except TimeoutError:
            self._fail("no reply in time")
        except asyncio.CancelledError:
            self._fail("abandoned")  # what it answers now belongs to nobody
            raise
        finally:
            codes, self._codes, self._wanted, self._waiter = self._codes, [], 0, None
        if len(codes) < replies:
            raise Closed(self._lost, codes)
        return codes

    async def send(self, message: Outgoing) -> Sent | None:
        """One transaction; ``None`` when the connection was dead before the relay said anything to it."""
        paths = message.mail_from + message.rcpt_to
        if not _PATH.fullmatch(paths) or not paths.isprintable() or not message.rcpt_to:
            return Sent(False, True, 0, "an address of the envelope cannot be sent")
        if not paths.isascii() and not self._smtputf8:
            return Sent(False, True, 0, "the relay offers no SMTPUTF8, which the recipient's address needs (RFC 6531)")
        parameters = f" SIZE={len(message.raw)}" if self._size else ""
        if not paths.isascii():
            parameters += " SMTPUTF8"
        commands = [
            ("MAIL FROM", f"MAIL FROM:<{message.mail_from}>{parameters}\r\n".encode()),
            ("RCPT TO", f"RCPT TO:<{message.rcpt_to}>\r\n".encode()),
            ("DATA", b"DATA\r\n"),
        ]
        for batch in [commands] if self._pipelining else [[command] for command in commands]:
            stages = [stage for stage, _ in batch]
            try:
                codes, why = await self._ask(b"".join(octets for _, octets in batch), len(batch)), ""
            except Closed as closed:
                codes, why = closed.codes, closed.why
            for stage, code in zip(stages, codes, strict=False):
                if code // 100 != (3 if stage == "DATA" else 2):
                    return await self._refused(stage, code, waiting=stage != "DATA" and 354 in codes)
            if why and not codes and stages[0] == "MAIL FROM":
                return None
            if why:
                return Sent(False, False, 0, f"{stages[len(codes)]}: {why}")
        try:
            code = (await self._ask(_dotted(message.raw), 1))[0]
        except Closed as closed:  # whether the relay has the mail is unknown: the retry carries the same Message-ID
            return Sent(False, False, 0, f"the content: {closed.why}")
        return Sent(True, False, code, "") if code // 100 == 2 else await self._refused("DATA", code, waiting=False)

    async def _refused(self, stage: str, code: int, waiting: bool) -> Sent:
        """The outcome of a refusal; the connection is made ready for the next mail, or closed. ``waiting``: the relay
        takes what comes next for the content of a mail without recipient; it gets none."""
        if waiting or code == 421:
            self._fail("closed")
        elif self.usable:
            try:
                if (await self._ask(b"RSET\r\n", 1))[0] // 100 != 2:
                    self._fail("it refuses RSET")
            except Closed:
                pass
        login = code in (530, 535)
        return Sent(False, code >= 500 and not login, code, f"{stage}: {code}", login)


def _dotted(raw: bytes) -> bytes:
    """The content as DATA wants it: CRLF line ends, leading dots doubled, the final dot (RFC 5321 section 4.5.2)."""
    if raw.count(b"\r\n") != raw.count(b"\n") or raw.count(b"\r") != raw.count(b"\n"):
        raw = _LONE.sub(b"\r\n", raw)
    stuffed = (b"." if raw.startswith(b".") else b"") + raw.replace(b"\r\n.", b"\r\n..")
    return stuffed + (b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n")
