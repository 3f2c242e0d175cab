"""Mail transactions on a connection to the relay that is greeted, encrypted and logged in (RFC 5321 section 3.3).

aiosmtplib does everything up to there; from there on one mail is MAIL, RCPT and DATA in one write where the relay
offers PIPELINING (RFC 2920), which aiosmtplib does not do, and one after the other where it does not. An address beyond
ASCII needs SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

from gateway.model import Outgoing, Sent

_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])([^\r\n]*))?\r?\n")
_PATH = re.compile(r"[!-;=?-~\xa1-\U0010ffff]*")  # RFC 5321: printable, and no bracket that would end the path early
_LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
MAX_REPLY = 16 * 1024
MAX_WORDS, MAX_LINES = 200, 20
#: refusals of MAIL that are about what this mail needs (RFC 1870, 6531, 5321 section 4.2.2), not about the sender
_OF_THE_MAIL = (552, 553, 555)
_LOGIN = (530, 535)  # RFC 4954 section 6


class Reply(NamedTuple):
    """A reply of the relay: its code and its words, on one line."""

    code: int
    words: str

    def __str__(self) -> str:
        return f"{self.code} {self.words}".rstrip()


def words(said: bytes | str) -> str:
    """What a relay said, on one line, as it may be shown to a person."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:MAX_WORDS]


class _Dead(Exception):
    """The connection had ended before the relay said anything to this mail."""


class Closed(Exception):
    """The connection is gone, silent, or says what is no SMTP: ``why``. ``replies``: those that came before."""

    def __init__(self, why: str, replies: list[Reply]) -> None:
        super().__init__(why)
        self.why, self.replies = why, replies


class Connection(asyncio.Protocol):
    """The established connection. ``pipelining``, ``size`` (RFC 1870) and ``smtputf8``: what the relay offers.
    ``timeout``: seconds for each answer."""

    def __init__(
        self, transport: asyncio.Transport, pipelining: bool, size: bool, smtputf8: bool, timeout: float
    ) -> None:
        self._transport, self._pipelining, self._size, self._smtputf8 = transport, pipelining, size, smtputf8
        self._timeout = timeout
        self._buffer = bytearray()
        self._replies: list[Reply] = []
        self._lines: list[bytes] = []  # of a reply whose last line is still to come
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
        while len(self._replies) < self._wanted and (found := _REPLY.match(self._buffer, at)) is not None:
            at = found.end()
            if len(self._lines) < MAX_LINES:
                self._lines.append(found[3] or b"")
            if found[2] != b"-":
                self._replies.append(Reply(int(found[1]), words(b" ".join(self._lines))))
                self._lines.clear()
        del self._buffer[:at]
        if len(self._replies) == self._wanted:
            if self._buffer:
                self._fail("it said more than it was asked")
            self._wake()
        elif b"\n" in self._buffer or len(self._buffer) > MAX_REPLY:
            self._fail("its reply is no SMTP")

    def eof_received(self) -> bool:
        """The relay closes its side: so does the transport."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone: whoever waits for a reply of the relay gets ``Closed``."""
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
        """Closes the connection without QUIT; whoever waits for a reply gets ``Closed``."""
        self._fail("closed")

    async def quit(self) -> None:
        """Closes the connection as the protocol wants it, after QUIT (RFC 5321 section 4.1.1.10)."""
        try:
            await self._ask(b"QUIT\r\n", 1)
        except Closed:
            return
        self.close()

    async def _ask(self, octets: bytes, replies: int) -> list[Reply]:
        """The replies to what is written.

        Raises:
            Closed: not all of them came.
        """
        if not self.usable:
            raise Closed(self._lost or "it closed the connection", [])
        self._replies, self._wanted = [], replies
        self._lines.clear()
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
            came, self._replies, self._wanted, self._waiter = self._replies, [], 0, None
        if len(came) < replies:
            raise Closed(self._lost, came)
        return came

    async def send(self, message: Outgoing) -> Sent | None:
        """One transaction; ``None`` when the connection was dead before the relay said anything to it."""
        paths = message.mail_from + message.rcpt_to
        try:
            wrong = self._unsendable(paths, message.rcpt_to) or await self._begun(message, paths.isascii())
        except _Dead:
            return None
        if wrong is not None:
            return wrong
        if not message.ours():
            self._fail("closed")  # the relay forgets a mail without its final dot
            return Sent(False, False, 0, "it was held up, and somebody else may be sending it")
        try:
            reply = (await self._ask(_dotted(message.raw), 1))[0]
        except Closed as closed:  # whether the relay has the mail is unknown: the retry carries the same Message-ID
            return Sent(False, False, 0, f"the content: {closed.why}")
        if reply.code // 100 == 2:
            return Sent(True, False, reply.code, str(reply))
        return await self._refused("the content", reply, False, reply.code in _LOGIN)

    def _unsendable(self, paths: str, to: str) -> Sent | None:
        """Why no command can be made of these addresses."""
        if not _PATH.fullmatch(paths) or not paths.isprintable() or not to:
            return Sent(False, True, 0, "an address of the envelope cannot be sent")
        if not paths.isascii() and not self._smtputf8:
            return Sent(False, True, 0, "the relay offers no SMTPUTF8, which the recipient's address needs (RFC 6531)")
        return None

    def _commands(self, message: Outgoing, plain: bool) -> list[tuple[str, bytes]]:
        """(stage, octets) of what comes before the content; not ``plain``: with addresses beyond ASCII."""
        parameters = f" SIZE={len(message.raw)}" if self._size else ""
        parameters += "" if plain else " SMTPUTF8"
        return [
            ("MAIL FROM", f"MAIL FROM:<{message.mail_from}>{parameters}\r\n".encode()),
            ("RCPT TO", f"RCPT TO:<{message.rcpt_to}>\r\n".encode()),
            ("DATA", b"DATA\r\n"),
        ]

    async def _begun(self, message: Outgoing, plain: bool) -> Sent | None:
        """Sends all but the content, as pipelined as the relay takes it; what went wrong.

        Raises:
            _Dead: the connection was, before the relay said anything to it.
        """
        commands = self._commands(message, plain)
        for batch in [commands] if self._pipelining else [[command] for command in commands]:
            stages = [stage for stage, _ in batch]
            try:
                replies, why = await self._ask(b"".join(octets for _, octets in batch), len(batch)), ""
            except Closed as closed:
                replies, why = closed.replies, closed.why
            for stage, reply in zip(stages, replies, strict=False):
                if reply.code // 100 != (3 if stage == "DATA" else 2):
                    taking = stage != "DATA" and any(later.code == 354 for later in replies)
                    ours = reply.code in _LOGIN or (stage == "MAIL FROM" and plain and reply.code not in _OF_THE_MAIL)
                    return await self._refused(stage, reply, taking, ours)
            if why and not replies and stages[0] == "MAIL FROM":
                raise _Dead
            if why:
                return Sent(False, False, 0, f"{stages[len(replies)]}: {why}")
        return None

    async def _refused(self, stage: str, reply: Reply, waiting: bool, ours: bool) -> Sent:
        """The outcome of a refusal; the connection is made ready for the next mail, or closed. ``waiting``: the relay
        takes what comes next for the content of a mail without recipient; it gets none. ``ours``: our login or sender
        is refused, as it would be for every mail."""
        if waiting or reply.code == 421:
            self._fail("closed")
        elif self.usable:
            try:
                if (await self._ask(b"RSET\r\n", 1))[0].code // 100 != 2:
                    self._fail("it refuses RSET")
            except Closed:
                pass
        final = reply.code >= 500
        return Sent(False, final and not ours, reply.code, f"{stage}: {reply}", final and ours, ours)


def _dotted(raw: bytes) -> bytes:
    """The content as DATA wants it: CRLF line ends, leading dots doubled, the final dot (RFC 5321 section 4.5.2)."""
    if raw.count(b"\r\n") != raw.count(b"\n") or raw.count(b"\r") != raw.count(b"\n"):
        raw = _LONE.sub(b"\r\n", raw)
    stuffed = (b"." if raw.startswith(b".") else b"") + raw.replace(b"\r\n.", b"\r\n..")
    return stuffed + (b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n")
