"""SMTP and LMTP: aiosmtpd's protocol with our own dialogue and our own DATA reader (RFC 5321, 2033, 1870, 2034, 3207).

A message is acknowledged only after it is committed. Only CRLF.CRLF ends data. An internal fault answers 451 with an
incident id, never 5xx and never the words of an exception; a 5xx of ours means that the sender must change something.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiosmtpd.smtp import SMTP, TLSSetupException

from gateway import log, metrics
from gateway.ingest.answers import (
    ACCEPTED,
    BAD_ARGUMENT,
    BAD_RECIPIENT,
    BAD_SENDER,
    BAD_SEQUENCE,
    BAD_SYNTAX,
    BARE_NEWLINE,
    BUSY,
    BYE,
    CANNOT_VERIFY,
    DENIED,
    GO_AHEAD,
    HELP,
    LINES_TOO_LONG,
    LOOP,
    NEEDS_UTF8,
    NO_SPACE,
    NO_SUCH_USER,
    NO_TLS,
    NOT_IMPLEMENTED,
    OK,
    SHUTDOWN,
    TIMEOUT,
    TOO_BIG,
    TOO_LONG,
    TOO_MANY_ERRORS,
    TOO_MANY_RECIPIENTS,
    UNKNOWN_COMMAND,
    UNKNOWN_PARAMETER,
    Reply,
    incident_reply,
    new_incident,
)
from gateway.ingest.client import plain_address, received_client
from gateway.ingest.limits import Limits
from gateway.mailbox import visible, with_a_label
from gateway.model import Accepted, Envelope, RawMessage

LINE_LIMIT = 64 * 1024
COMMAND_LIMIT = 1024
MAX_HOPS = 100
ACCEPT_DEADLINE_S = 120.0
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
_PATH = re.compile(
    rf"<(?:@[^<>:\s]{{1,500}}:)?(?P<a>(?P<local>{_ATEXT}{{1,64}}|\"(?:[^\"\\\r\n]|\\.){{0,62}}\")@(?P<host>\[[0-9A-Fa-f:.IPv]+\]|[A-Za-z0-9_.-]{{1,255}}))>"
)
_ANY = r"[^\x00-\x7f]"
_INTERNATIONAL_PATH = re.compile(  # RFC 6531 section 3.3
    rf"<(?P<a>(?:{_ATEXT}|{_ANY}){{1,64}}@(?:\[[0-9A-Fa-f:.IPv]+\]|(?:[A-Za-z0-9_.-]|{_ANY}){{1,255}}))>"
)
_SIMPLE = re.compile(r"[^\s<>]{3,320}")
_XTEXT = re.compile(r"\+([0-9A-Fa-f]{2})")


class DiskIsFull(Exception):
    """Raised by an acceptor: nothing was stored for want of space."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the dialogue needs to know; replaced as a whole at a reload. Sizes in octets, times in seconds."""

    hostname: str
    max_size: int
    max_recipients: int
    max_errors: int
    idle_timeout: float
    data_timeout: float
    data_deadline: float
    reject_bare_newline: bool
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    accepts_recipient: Callable[[str], bool]
    smtputf8: Callable[[], bool]  #: whether an address beyond ASCII could be answered (RFC 6531)
    tls: ssl.SSLContext | None


@dataclass(slots=True)
class Ingest:
    """What every session shares."""

    policy: Policy
    limits: Limits
    accept: Callable[[RawMessage], Awaitable[Accepted]]
    clock: Callable[[], datetime]
    sessions: set[MailSession] = field(default_factory=set)

    async def drain(self, seconds: float) -> None:
        """Idle sessions hear 421 at once, sessions in DATA have ``seconds`` to finish."""
        for session in list(self.sessions):
            session.shut_down()
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(TimeoutError):
                await stack.enter_async_context(asyncio.timeout(seconds))
                while self.sessions:
                    await asyncio.wait([s.finished for s in list(self.sessions)])
        for session in list(self.sessions):
            session.cut()


class _NoHooks:
    """A handler without members: aiosmtpd looks through every one for hooks, at each connection."""

    def __dir__(self) -> list[str]:
        return []


_NO_HOOKS = _NoHooks()


class MailSession(SMTP):  # type: ignore[misc]
    """One connection. ``lmtp`` chooses LHLO and one reply per recipient after DATA (RFC 2033 section 4.2)."""

    line_length_limit = LINE_LIMIT

    def __init__(self, ingest: Ingest, lmtp: bool, loop: asyncio.AbstractEventLoop) -> None:
        self._ingest, self._lmtp = ingest, lmtp
        self._helo = ""
        self._extended = False
        self._mail_from: str | None = None
        self._sender_known = True
        self._international = False  # this transaction may name addresses beyond ASCII
        self._has_sender = False
        self._recipients: list[str] = []
        self._forwarded: dict[str, str] = {}
        self._override: dict[str, str] = {}
        self._errors = 0
        self._in_data = False
        self._idle = False
        self._stopping = False
        self._counted = False
        self._address: str | None = None
        self._trusted = False
        self._tls = False
        self._last_data = 0.0
        self.finished: asyncio.Future[None] = loop.create_future()
        policy = ingest.policy
        super().__init__(
            _NO_HOOKS, hostname=policy.hostname, ident="ESMTP", data_size_limit=policy.max_size, tls_context=policy.tls,
            timeout=policy.idle_timeout, loop=loop,
        )  # fmt: skip

    def __dir__(self) -> list[str]:
        """Nothing: aiosmtpd looks through every member of a session for commands, and this dialogue is its own."""
        return []

    # -- connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection, or the TLS layer over one: everything said before TLS is forgotten (RFC 3207 section 4.2)."""
        self._tls = self._original_transport is not None
        self._helo, self._extended = "", False
        self._reset()
        if not self._tls:
            peer = transport.get_extra_info("peername")
            self._address = peer[0] if isinstance(peer, tuple) and peer else None
            self._trusted = self._is_trusted(self._address)
        super().connection_made(transport)

    def _is_trusted(self, address: str | None) -> bool:
        if address is None:
            return True  # our own UNIX socket
        if not self._ingest.policy.trusted:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._ingest.policy.trusted if network.version == parsed.version)

    def data_received(self, data: bytes) -> None:
        """Remembers when the peer last sent something: the idle time counts from there."""
        self._last_data = self.loop.time()
        super().data_received(data)

    def eof_received(self) -> bool | None:
        """A half-close is no reason to drop what was sent: the dialogue ends by itself at the end of the input."""
        if self._reader is not None:
            self._reader.feed_eof()
        return not self._tls

    def _timeout_cb(self) -> None:
        """The idle timer: armed anew while data came in the meantime."""
        limit = self._ingest.policy.data_timeout if self._in_data else self._ingest.policy.idle_timeout
        left = self._last_data + limit - self.loop.time()
        if left > 0.001:
            self._reset_timeout(left)
            return
        if self.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write(f"{TIMEOUT}\r\n".encode())
            metrics.REFUSED.labels("421").inc()
            self.transport.close()

    def shut_down(self) -> None:
        """The service drains: an idle session hears 421 now, a busy one after its transaction."""
        self._stopping = True
        if self._idle and self.transport is not None:
            self._writer.write(f"{SHUTDOWN}\r\n".encode())
            self.transport.close()

    def cut(self) -> None:
        """No time is left."""
        if self.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write(f"{SHUTDOWN}\r\n".encode())
            self.transport.close()

    async def say(self, *replies: Reply) -> None:
        """Sends replies; the only place where one leaves."""
        for reply in replies:
            if reply.code >= 400:
                metrics.REFUSED.labels(str(reply.code)).inc()
                log.refused(self._address, reply.code, reply.text)
        self._writer.write("".join(f"{reply}\r\n" for reply in replies).encode("ascii", "replace"))
        await self._writer.drain()

    async def push(self, status: str) -> None:
        """What the base class says (STARTTLS only), with its enhanced code."""
        code, _, text = status.partition(" ")
        await self.say(Reply(int(code), "2.0.0" if code == "220" else f"{code[0]}.5.0", text))

    # -- dialogue

    async def _handle_client(self) -> None:
        self._last_data = self.loop.time()
        self._ingest.sessions.add(self)
        try:
            why = self._ingest.limits.enter(self._address, self._trusted)
            if why:
                await self.say(Reply(421, "4.7.0", why))
                return
            self._counted = True
            await self.say(Reply(220, "", f"{self._ingest.policy.hostname} {'LMTP' if self._lmtp else 'ESMTP'}"))
            while self.transport is not None and not self._stopping:
                if not await self._turn():
                    break
            if self._stopping and self.transport is not None:
                await self.say(SHUTDOWN)
        except (ConnectionError, asyncio.IncompleteReadError, TLSSetupException):
            pass
        finally:
            self._end()

    def _end(self) -> None:
        self._ingest.sessions.discard(self)
        if self._counted:
            self._counted = False
            self._ingest.limits.leave(self._address)
        if self.transport is not None:
            self.transport.close()
        if not self.finished.done():
            self.finished.set_result(None)

    async def _turn(self) -> bool:
        """One command; false ends the session."""
        line = await self._line()
        if line is None:
            return await self._fault(TOO_LONG)
        self._reset_timeout(self._ingest.policy.idle_timeout)
        verb, _, rest = line.rstrip(b"\r\n").partition(b" ")
        try:
            name, argument = verb.decode("ascii").upper(), rest.decode("utf-8").strip()
        except UnicodeDecodeError:
            return await self._fault(BAD_SYNTAX)
        if b"\x00" in line or not name:
            return await self._fault(BAD_SYNTAX)
        handler = self._COMMANDS.get(name)
        if handler is None:
            return await self._fault(
                NOT_IMPLEMENTED if name in ("EXPN", "BDAT", "AUTH", "TURN", "ETRN") else UNKNOWN_COMMAND
            )
        if len(line) > (COMMAND_LIMIT if name in ("MAIL", "RCPT", "XFORWARD", "XCLIENT") else 514):
            return await self._fault(TOO_LONG)
        try:
            reply = await handler(self, argument)
        except (ConnectionError, asyncio.IncompleteReadError, TLSSetupException):
            raise
        except Exception as error:  # nothing of it reaches the peer
            incident = new_incident()
            log.session_fault(incident, error)
            reply = incident_reply(incident)
        if reply is None:
            return True
        if reply.code >= 500:
            return await self._fault(reply)
        await self.say(reply)
        return reply.code not in (221, 421)

    async def _line(self) -> bytes | None:
        """A command line, or ``None`` for one that is too long (it is skipped)."""
        self._idle = True
        try:
            return bytes(await self._reader.readuntil(b"\n"))
        except asyncio.LimitOverrunError as error:
            consumed = error.consumed
        finally:
            self._idle = False
        for _ in range(64):
            await self._reader.read(consumed)
            try:
                await self._reader.readuntil(b"\n")
                return None
            except asyncio.LimitOverrunError as error:
                consumed = error.consumed
        raise ConnectionResetError

    async def _fault(self, reply: Reply) -> bool:
        """An error of the peer's: answered, counted, and after too many of them the end."""
        self._errors += 1
        if self._errors > self._ingest.policy.max_errors:
            await self.say(TOO_MANY_ERRORS)
            return False
        await self.say(reply)
        return True

    def _reset(self) -> None:
        self._mail_from, self._has_sender, self._sender_known, self._international = None, False, True, False
        self._recipients = []
        self._forwarded = {}

    async def _greet(self, argument: str, extended: bool) -> Reply | None:
        if not argument or len(argument) > 255 or not argument.isascii() or not argument.isprintable():
            return BAD_ARGUMENT
        self._reset()
        self._helo, self._extended = argument, extended
        policy = self._ingest.policy
        if not extended:
            return Reply(250, "", policy.hostname)
        lines = [policy.hostname, f"SIZE {policy.max_size}", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES"]
        if policy.smtputf8():
            lines.append("SMTPUTF8")
        if policy.tls is not None and not self._tls:
            lines.append("STARTTLS")
        if self._trusted:
            lines += ["XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", "XCLIENT NAME ADDR PORT PROTO HELO"]
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self._writer.write(text.encode("ascii", "replace"))
        await self._writer.drain()
        return None

    async def _helo_command(self, argument: str) -> Reply | None:
        return UNKNOWN_COMMAND if self._lmtp else await self._greet(argument, False)

    async def _ehlo_command(self, argument: str) -> Reply | None:
        return UNKNOWN_COMMAND if self._lmtp else await self._greet(argument, True)

    async def _lhlo_command(self, argument: str) -> Reply | None:
        return await self._greet(argument, True) if self._lmtp else UNKNOWN_COMMAND

    def _path(self, argument: str, keyword: str) -> tuple[str, list[str]] | None:
        """(address, parameters) of ``FROM:<a> P=1``; the address is empty for ``<>``."""
        if not argument.upper().startswith(keyword):
            return None
        rest = argument[len(keyword) :].lstrip()
        if rest.startswith("<>"):
            return "", rest[2:].split()
        found = _PATH.match(rest)
        if found:
            return found["a"], rest[found.end() :].split()
        if not rest.isascii() and (found := _INTERNATIONAL_PATH.match(rest)) and visible(found["a"]):
            return with_a_label(found["a"]), rest[found.end() :].split()
        if rest.lower().startswith("<postmaster>"):
            return "postmaster", rest[12:].split()
        first, _, parameters = rest.partition(" ")
        if _SIMPLE.fullmatch(first) and _PATH.fullmatch(f"<{first}>"):
            return first, parameters.split()
        return None

    async def _mail_command(self, argument: str) -> Reply | None:
        if not self._helo or self._has_sender:
            return BAD_SEQUENCE
        if not argument.isascii() and not self._ingest.policy.smtputf8():
            return NEEDS_UTF8
        if not argument.upper().startswith("FROM:"):
            return BAD_ARGUMENT
        parsed = self._path(argument, "FROM:")
        if parsed is None:
            return BAD_SENDER
        refusal = self._mail_parameters(parsed[1])
        if refusal is not None:
            return refusal
        if not argument.isascii() and not self._international:
            return NEEDS_UTF8
        self._mail_from, self._has_sender = parsed[0], True
        return Reply(250, "2.1.0", "Sender OK")

    def _mail_parameters(self, parameters: list[str]) -> Reply | None:
        policy, declared = self._ingest.policy, 0
        self._sender_known, self._international = True, False
        for parameter in parameters:
            name, equals, value = parameter.partition("=")
            name = name.upper()
            if not self._extended:
                return UNKNOWN_PARAMETER
            if name == "SIZE":
                if not re.fullmatch(r"\d{1,20}", value):
                    return BAD_ARGUMENT
                declared = int(value)
                if declared > policy.max_size:
                    return TOO_BIG
            elif name == "BODY":
                if value.upper() not in ("7BIT", "8BITMIME"):
                    return BAD_ARGUMENT
            elif name == "X-SENDER" and value.upper() == "UNKNOWN" and self._trusted:
                self._sender_known = False
            elif name == "SMTPUTF8" and not equals and policy.smtputf8():
                self._international = True
            elif name != "AUTH":
                return UNKNOWN_PARAMETER
        if not self._ingest.limits.disk_has_room(declared):
            return NO_SPACE
        return None

    async def _rcpt_command(self, argument: str) -> Reply | None:
        if not self._has_sender:
            return BAD_SEQUENCE
        if not argument.isascii() and not self._international:
            return NEEDS_UTF8
        if not argument.upper().startswith("TO:"):
            return BAD_ARGUMENT
        parsed = self._path(argument, "TO:")
        if parsed is None or not parsed[0]:
            return BAD_RECIPIENT
        if parsed[1]:
            return UNKNOWN_PARAMETER
        if len(self._recipients) >= self._ingest.policy.max_recipients:
            return TOO_MANY_RECIPIENTS
        if not self._ingest.policy.accepts_recipient(parsed[0]):
            return NO_SUCH_USER
        self._recipients.append(parsed[0])
        return Reply(250, "2.1.5", "Recipient OK")

    async def _rset_command(self, argument: str) -> Reply | None:
        if argument:
            return BAD_ARGUMENT
        self._reset()
        return OK

    async def _noop_command(self, argument: str) -> Reply | None:
        return OK

    async def _help_command(self, argument: str) -> Reply | None:
        return HELP

    async def _vrfy_command(self, argument: str) -> Reply | None:
        return CANNOT_VERIFY if argument else BAD_ARGUMENT

    async def _quit_command(self, argument: str) -> Reply | None:
        return BAD_ARGUMENT if argument else BYE

    async def _starttls_command(self, argument: str) -> Reply | None:
        if argument:
            return BAD_ARGUMENT
        if self._tls or not self._extended:
            return BAD_SEQUENCE
        self.tls_context = self._ingest.policy.tls
        if self.tls_context is None:
            return NO_TLS
        await self.smtp_STARTTLS("")
        return None

    def _attributes(self, argument: str) -> dict[str, str] | None:
        found: dict[str, str] = {}
        for item in argument.split():
            name, equals, value = item.partition("=")
            if not equals or len(value) > 300:
                return None
            value = _XTEXT.sub(lambda hexed: chr(int(hexed[1], 16)), value)
            if value.upper() in ("[UNAVAILABLE]", "[TEMPUNAVAIL]") or not value.isprintable():
                value = ""
            found[name.upper()] = value
        return found

    async def _xforward_command(self, argument: str) -> Reply | None:
        if not self._trusted:
            return DENIED
        if not self._helo or self._has_sender:
            return BAD_SEQUENCE
        attributes = self._attributes(argument)
        if attributes is None:
            return BAD_ARGUMENT
        self._forwarded |= attributes
        return OK

    async def _xclient_command(self, argument: str) -> Reply | None:
        if not self._trusted:
            return DENIED
        if self._has_sender:
            return BAD_SEQUENCE
        attributes = self._attributes(argument)
        if attributes is None:
            return BAD_ARGUMENT
        self._override |= attributes
        self._reset()
        self._helo = ""
        return Reply(220, "", f"{self._ingest.policy.hostname} ESMTP")

    # -- data

    async def _data_command(self, argument: str) -> Reply | None:
        if argument:
            return BAD_ARGUMENT
        if not self._has_sender or not self._recipients:
            return Reply(503, "5.5.1", "No valid recipients") if self._has_sender else BAD_SEQUENCE
        await self.say(GO_AHEAD)
        self._in_data = True
        reserved = 0
        try:
            content, reserved, refusal = await self._read_data()
            if refusal is None:
                refusal = self._inspected(content)
            reply = refusal or await self._stored(content)
        finally:
            self._in_data = False
            self._ingest.limits.free(reserved)
        recipients = len(self._recipients)
        self._reset()
        await self.say(*([reply] * recipients if self._lmtp else [reply]))
        if reply.code >= 500:
            self._errors += 1
        return None

    async def _read_data(self) -> tuple[bytearray, int, Reply | None]:
        """(content without dot-stuffing, octets reserved, refusal). Reads to CRLF.CRLF whatever happens."""
        policy, limits = self._ingest.policy, self._ingest.limits
        content = bytearray()
        dots = Unstuffing()
        reserved = 0
        refusal: Reply | None = None
        # The command's CRLF counts as the line end before the first dot; StreamReader has no way to push back.
        self._reader._buffer[:0] = b"\r\n"
        received = 0
        deadline = self.loop.time() + policy.data_deadline
        done = False
        while not done:
            if self.loop.time() > deadline:
                await self.say(TIMEOUT)
                raise ConnectionResetError
            try:
                piece = await self._reader.readuntil(b"\r\n.\r\n")
                done = True
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.readexactly(error.consumed)
            received += len(piece)
            if refusal is None and received - 5 > policy.max_size:
                refusal = TOO_BIG
            if refusal is None and not limits.reserve(len(piece)):
                refusal = BUSY
            if refusal is not None:
                limits.free(reserved)
                reserved, content = 0, bytearray()
                continue
            reserved += len(piece)
            content += dots.fed(piece[:-3]) + dots.rest() if done else dots.fed(piece)
        if refusal is not None:
            return content, reserved, refusal
        del content[:2]
        return content, reserved, None

    def _inspected(self, content: bytearray) -> Reply | None:
        """What the sender must change: a loop, or bare line ends where the configuration forbids them."""
        head = bytes(content[: 256 * 1024]).partition(b"\r\n\r\n")[0]
        if len(re.findall(rb"(?im)^received:", head)) > MAX_HOPS:
            return LOOP
        if self._ingest.policy.reject_bare_newline:
            pairs = content.count(b"\r\n")
            if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
                return BARE_NEWLINE
        if len(content) > LINE_LIMIT and _longest_line(content) > LINE_LIMIT:
            return LINES_TOO_LONG
        return None

    def _client(self, content: bytearray) -> tuple[str | None, str | None, str]:
        """(client address, its HELO name, why the address is unknown)."""
        address: str | None = self._address
        helo: str | None = self._helo
        if self._override:
            address, helo = self._override.get("ADDR") or None, self._override.get("HELO") or helo
            address = plain_address(address)
            return address, helo, "" if address else "the relay's XCLIENT names no client"
        if not self._trusted:
            return address, helo, ""
        if self._forwarded:
            address = plain_address(self._forwarded.get("ADDR"))
            return (
                address,
                self._forwarded.get("HELO") or None,
                "" if address else "the relay's XFORWARD names no client",
            )
        address, helo = received_client(bytes(content[:65536]))
        return address, helo, "" if address else "client unknown"

    async def _stored(self, content: bytearray) -> Reply:
        client, helo, why = self._client(content)
        envelope = Envelope(
            mail_from=(self._mail_from or "") if self._sender_known else None,
            rcpt_tos=tuple(self._recipients),
            client=client,
            helo=helo,
            source="lmtp" if self._lmtp else "smtp",
            received_at=self._ingest.clock(),
            trusted=self._trusted,
            tls=self._tls,
            client_reason=why,
        )
        try:
            async with asyncio.timeout(ACCEPT_DEADLINE_S):
                accepted = await self._ingest.accept(RawMessage(content, envelope))
        except DiskIsFull:
            return NO_SPACE
        except Exception as error:  # every fault of ours: the sender tries again
            incident = new_incident()
            log.accept_failed(incident, error)
            return incident_reply(incident)
        metrics.ACCEPTED.labels(envelope.source, str(accepted.created).lower()).inc()
        log.accepted(accepted.id, accepted.created, envelope.source, len(content), self._mail_from, client)
        return ACCEPTED

    _COMMANDS: dict[str, Callable[[Any, str], Awaitable[Reply | None]]] = {  # noqa: RUF012
        "HELO": _helo_command,
        "EHLO": _ehlo_command,
        "LHLO": _lhlo_command,
        "MAIL": _mail_command,
        "RCPT": _rcpt_command,
        "DATA": _data_command,
        "RSET": _rset_command,
        "NOOP": _noop_command,
        "HELP": _help_command,
        "VRFY": _vrfy_command,
        "QUIT": _quit_command,
        "STARTTLS": _starttls_command,
        "XFORWARD": _xforward_command,
        "XCLIENT": _xclient_command,
    }


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
