"""The dialogue of SMTP and LMTP (RFC 5321, 2033, 1870, 2034, 3207) on a connection.

A message is acknowledged only after it is committed. Only CRLF.CRLF ends data. An internal fault answers 451 with an
incident id, never 5xx and never the words of an exception; a 5xx of ours means that the sender must change something.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from gateway import log, metrics
from gateway.ingest.answers import (
    BAD_ARGUMENT,
    BAD_RECIPIENT,
    BAD_SENDER,
    BAD_SEQUENCE,
    BAD_SYNTAX,
    BYE,
    CANNOT_VERIFY,
    DENIED,
    ENDLESS,
    GO_AHEAD,
    HELP,
    NEEDS_UTF8,
    NO_RECIPIENTS,
    NO_SPACE,
    NO_SUCH_USER,
    NO_TLS,
    NO_WEB_SERVER,
    NOT_IMPLEMENTED,
    OK,
    OVERDUE,
    RECIPIENT_OK,
    SENDER_OK,
    SHUTDOWN,
    TOO_BIG,
    TOO_LONG,
    TOO_MANY_ERRORS,
    TOO_MANY_RECIPIENTS,
    UNKNOWN_COMMAND,
    UNKNOWN_PARAMETER,
    Reply,
    accepted_as,
    incident_reply,
    new_incident,
)
from gateway.ingest.arguments import attributes, path
from gateway.ingest.client import NO_CLIENT, plain_address, received_client
from gateway.ingest.clocks import Overdue, Phase
from gateway.ingest.connection import Connection, Ingest, TlsFailed
from gateway.ingest.data import Endless, inspected, received
from gateway.ingest.limits import Hold
from gateway.model import Envelope, RawMessage

COMMAND_LIMIT = 1024
ACCEPT_DEADLINE_S = 120.0
HTTP = frozenset("GET POST PUT HEAD DELETE OPTIONS PATCH TRACE CONNECT HOST:".split())
JUNK = frozenset(("NOOP", "RSET", "HELP", "VRFY", "HELO", "EHLO", "LHLO"))  #: what brings no mail nearer
JUNK_LIMIT = 100  #: of these between two mails; each further one is an error, as with Postfix
STEPS = 20  #: other commands before a mail, besides its recipients, that keep a session from being idle


class DiskIsFull(Exception):
    """Raised by an acceptor: nothing was stored for want of space."""


class MailSession(Connection):
    """One session. ``lmtp`` chooses LHLO and one reply per recipient after DATA (RFC 2033 section 4.2)."""

    def __init__(self, ingest: Ingest, lmtp: bool, loop: asyncio.AbstractEventLoop) -> None:
        self._lmtp = lmtp
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
        self._junk = self._steps = 0  # since the last mail
        super().__init__(ingest, loop)

    # -- dialogue

    async def _dialogue(self) -> None:
        if not self._stopping:
            policy = self._ingest.policy
            await self.say(
                Reply(220, "", f"{policy.hostname} {'LMTP' if self._lmtp else 'ESMTP'} {policy.own}".rstrip())
            )
        while self.transport is not None and not self._stopping:
            if not await self._turn():
                return
        if self.transport is not None:
            await self.say(SHUTDOWN if self._ingest.stopping else OVERDUE[Overdue.SESSION])

    async def _turn(self) -> bool:
        """One command; false ends the session."""
        line = await self._line()
        if line is None:
            return await self._fault(TOO_LONG)
        command = _command(line)
        if command is None:
            return await self._fault(BAD_SYNTAX)
        name, argument = command
        if name in HTTP:  # a browser that was made to post a mail
            await self.say(NO_WEB_SERVER)
            return False
        if name not in self._COMMANDS:
            known = name in ("EXPN", "BDAT", "AUTH", "TURN", "ETRN")
            return await self._fault(NOT_IMPLEMENTED if known else UNKNOWN_COMMAND)
        if len(line) > (COMMAND_LIMIT if name in ("MAIL", "RCPT", "XFORWARD", "XCLIENT") else 514):
            return await self._fault(TOO_LONG)
        if name in JUNK and self._too_much_junk():
            await self.say(TOO_MANY_ERRORS)
            return False
        return await self._answered(name, await self._handled(name, argument))

    def _too_much_junk(self) -> bool:
        """Counts a command that leads to no mail."""
        self._junk += 1
        self._errors += self._junk > JUNK_LIMIT
        return self._errors > self._ingest.policy.smtp.max_errors

    async def _handled(self, name: str, argument: str) -> Reply | None:
        """What a command does; a fault of ours is one reply, and nothing of it reaches the peer."""
        try:
            return await self._COMMANDS[name](self, argument)
        except (ConnectionError, asyncio.IncompleteReadError, TlsFailed):
            raise
        except Exception as error:  # every fault of ours: nothing of it may reach the peer
            incident = new_incident()
            log.session_fault(incident, error)
            return incident_reply(incident)

    async def _answered(self, name: str, reply: Reply | None) -> bool:
        """The reply of a command; ``None``: it was given already. False ends the session."""
        if reply is None:
            return True
        if reply.code >= 500:
            return await self._fault(reply)
        if reply.code < 400 and name not in JUNK:
            self._step()
        await self.say(reply)
        return reply.code not in (221, 421)

    def _step(self) -> None:
        """A mail is nearer than before: the idle time counts from here, but not for ever without a mail."""
        self._steps += 1
        if self._steps <= STEPS + self._ingest.policy.smtp.max_recipients:
            self._clocks.enter(Phase.COMMAND)

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
        if self._errors > self._ingest.policy.smtp.max_errors:
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
        lines = [policy.hostname, f"SIZE {policy.smtp.max_size}", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES"]
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

    async def _mail_command(self, argument: str) -> Reply | None:
        if not self._helo or self._has_sender:
            return BAD_SEQUENCE
        if not argument.isascii() and not self._ingest.policy.smtputf8():
            return NEEDS_UTF8
        if not argument.upper().startswith("FROM:"):
            return BAD_ARGUMENT
        parsed = path(argument, "FROM:")
        if parsed is None:
            return BAD_SENDER
        refusal = self._mail_parameters(parsed[1])
        if refusal is not None:
            return refusal
        if not argument.isascii() and not self._international:
            return NEEDS_UTF8
        self._mail_from, self._has_sender = parsed[0], True
        return SENDER_OK

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
                if declared > policy.smtp.max_size:
                    return TOO_BIG
            elif (refusal := self._mail_parameter(name, value, not equals)) is not None:
                return refusal
        return None if self._ingest.limits.disk_has_room(declared) else NO_SPACE

    def _mail_parameter(self, name: str, value: str, bare: bool) -> Reply | None:
        """A parameter other than SIZE; ``bare``: it has no value."""
        if name == "BODY":
            return None if value.upper() in ("7BIT", "8BITMIME") else BAD_ARGUMENT
        if name == "X-SENDER" and value.upper() == "UNKNOWN" and self._trusted:
            self._sender_known = False
        elif name == "SMTPUTF8" and bare and self._ingest.policy.smtputf8():
            self._international = True
        elif name != "AUTH":
            return UNKNOWN_PARAMETER
        return None

    async def _rcpt_command(self, argument: str) -> Reply | None:
        if not self._has_sender:
            return BAD_SEQUENCE
        if not argument.isascii() and not self._international:
            return NEEDS_UTF8
        if not argument.upper().startswith("TO:"):
            return BAD_ARGUMENT
        parsed = path(argument, "TO:")
        if parsed is None or not parsed[0]:
            return BAD_RECIPIENT
        if parsed[1]:
            return UNKNOWN_PARAMETER
        if len(self._recipients) >= self._ingest.policy.smtp.max_recipients:
            return TOO_MANY_RECIPIENTS
        if not self._ingest.policy.accepts_recipient(parsed[0]):
            return NO_SUCH_USER
        self._recipients.append(parsed[0])
        return RECIPIENT_OK

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
        context = self._ingest.policy.tls
        if context is None:
            return NO_TLS
        await self.say(Reply(220, "2.0.0", "Ready to start TLS"))
        await self._start_tls(context)
        self._helo, self._extended = "", False  # everything said before TLS is forgotten (RFC 3207 section 4.2)
        self._reset()
        return None

    async def _xforward_command(self, argument: str) -> Reply | None:
        if not self._trusted:
            return DENIED
        if not self._helo or self._has_sender:
            return BAD_SEQUENCE
        given = attributes(argument)
        if given is None:
            return BAD_ARGUMENT
        self._forwarded |= given
        return OK

    async def _xclient_command(self, argument: str) -> Reply | None:
        if not self._trusted:
            return DENIED
        if self._has_sender:
            return BAD_SEQUENCE
        given = attributes(argument)
        if given is None:
            return BAD_ARGUMENT
        self._override |= given
        self._reset()
        self._helo = ""
        return Reply(220, "", f"{self._ingest.policy.hostname} ESMTP")

    # -- data

    async def _data_command(self, argument: str) -> Reply | None:
        if argument:
            return BAD_ARGUMENT
        if not self._has_sender or not self._recipients:
            return NO_RECIPIENTS if self._has_sender else BAD_SEQUENCE
        await self.say(GO_AHEAD)
        self._seat.rested()
        self._clocks.enter(Phase.DATA)
        try:
            with self._ingest.limits.receiving(self._seat) as hold:
                reply = await self._mail(hold)
        except Endless:
            return ENDLESS
        finally:
            self._seat.rested()
            self._clocks.enter(Phase.COMMAND)
        self._junk = self._steps = 0
        recipients = len(self._recipients)
        self._reset()
        await self.say(*([reply] * recipients if self._lmtp else [reply]))
        if reply.code >= 500:
            self._errors += 1
        return None

    async def _mail(self, hold: Hold) -> Reply:
        policy = self._ingest.policy
        content, refusal = await received(self._reader, policy.smtp.max_size, hold)
        self._clocks.enter(Phase.STORING)
        return refusal or inspected(content, policy.smtp.bare_newline == "reject") or await self._stored(content, hold)

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
        return address, helo, "" if address else NO_CLIENT

    async def _stored(self, content: bytearray, hold: Hold) -> Reply:
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
            queue_id=self._forwarded.get("IDENT", "")[:100],
        )
        try:
            async with asyncio.timeout(ACCEPT_DEADLINE_S):
                accepted = await asyncio.shield(self._ingest.store(RawMessage(content, envelope), hold))
        except DiskIsFull:
            return NO_SPACE
        except Exception as error:  # every fault of ours: the sender tries again
            incident = new_incident()
            log.accept_failed(incident, error)
            return incident_reply(incident)
        metrics.ACCEPTED.labels(envelope.source, str(accepted.created).lower()).inc()
        receipt = self._ingest.receipt(accepted)
        taken = log.Taken(accepted.id, accepted.created, len(content), receipt, envelope.queue_id)
        log.accepted(taken, envelope.source, self._mail_from, client)
        return accepted_as(receipt)

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


def _command(line: bytes) -> tuple[str, str] | None:
    """(the verb in capitals, its argument) of a line; ``None`` where it is none."""
    verb, _, rest = line.rstrip(b"\r\n").partition(b" ")
    try:
        name, argument = verb.decode("ascii").upper(), rest.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    return (name, argument) if name and b"\x00" not in line else None
