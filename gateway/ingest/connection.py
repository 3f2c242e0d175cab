"""One connection: its transport, TLS, deadlines and end, on aiosmtpd's protocol. What is said on it is in ``smtp.py``.

Nothing here waits for the peer without a deadline, and the end of a session never depends on the peer: what it held is
free at once, and a peer that does not read its last reply is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiosmtpd.smtp import SMTP

from gateway import log, metrics
from gateway.ingest.answers import OVERDUE, SHUTDOWN, TOO_SLOW, Reply
from gateway.ingest.clocks import Clocks, Overdue, Phase
from gateway.ingest.data import LINE_LIMIT
from gateway.ingest.limits import Full, Hold, Limits
from gateway.ingest.seats import Seat
from gateway.ingest.settings import Smtp
from gateway.model import Accepted, RawMessage
from gateway.networks import peer_address

LINGER_S = 5.0  #: for the last reply to go out


class TlsFailed(Exception):
    """The handshake failed: there is nobody to talk to."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the dialogue needs to know; replaced as a whole at a reload."""

    hostname: str
    smtp: Smtp
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    accepts_recipient: Callable[[str], bool]
    smtputf8: Callable[[], bool]  #: whether an address beyond ASCII could be answered (RFC 6531)
    tls: ssl.SSLContext | None
    own: str = ""  #: a word of our greeting by which our own relay client knows us

    def trusts(self, address: str | None) -> bool:
        """Whether a peer may speak for others; ``None`` is our own UNIX socket."""
        if address is None:
            return True
        if not self.trusted:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted if network.version == parsed.version)


@dataclass(slots=True)
class Ingest:
    """What every session shares."""

    policy: Policy
    limits: Limits
    accept: Callable[[RawMessage], Coroutine[Any, Any, Accepted]]
    clock: Callable[[], datetime]
    receipt: Callable[[Accepted], str] = lambda _: ""  #: the id that the peer hears in our 250
    sessions: set[Connection] = field(default_factory=set)
    stopping: bool = False
    _storing: set[asyncio.Task[Accepted]] = field(default_factory=set)

    def store(self, message: RawMessage, hold: Hold) -> asyncio.Task[Accepted]:
        """Stores a mail, which goes on when its session ends; until it is done its octets are in flight."""
        task = asyncio.create_task(self.accept(message))
        self._storing.add(task)
        task.add_done_callback(hold.keep())
        task.add_done_callback(self._stored)
        return task

    def _stored(self, task: asyncio.Task[Accepted]) -> None:
        self._storing.discard(task)
        if not task.cancelled():
            task.exception()  # the session has it, if there still is one

    async def drain(self, seconds: float) -> None:
        """Idle sessions hear 421 at once; data and storing have ``seconds`` to finish, then the sessions are cut."""
        self.stopping = True
        for session in list(self.sessions):
            session.shut_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while waits := [session.finished for session in self.sessions] + list(self._storing):
                    await asyncio.wait(waits)
        for session in list(self.sessions):
            session.cut()


class _NoHooks:
    """A handler without members: aiosmtpd looks through every one for hooks, at each connection."""

    def __dir__(self) -> list[str]:
        return []


_NO_HOOKS = _NoHooks()


class Connection(SMTP):  # type: ignore[misc]
    """A connection whose ``_dialogue`` is somebody else's."""

    line_length_limit = LINE_LIMIT
    transport: Any
    _seat: Seat

    def __init__(self, ingest: Ingest, loop: asyncio.AbstractEventLoop) -> None:
        self._ingest = ingest
        self._idle = False
        self._stopping = ingest.stopping
        self._address: str | None = None
        self._trusted = False
        self._tls = False
        self._clocks = Clocks(loop, lambda: ingest.policy.smtp, self._expired)
        self.finished: asyncio.Future[None] = loop.create_future()
        super().__init__(_NO_HOOKS, hostname=ingest.policy.hostname, data_size_limit=None, loop=loop)

    def __dir__(self) -> list[str]:
        """Nothing: aiosmtpd looks through every member of a session for commands, and this dialogue is its own."""
        return []

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer. Who it is decides what it may."""
        self._address = peer_address(transport.get_extra_info("peername"))
        self._trusted = self._ingest.policy.trusts(self._address)
        super().connection_made(transport)

    def _reset_timeout(self, duration: float | None = None) -> None:
        """The base class starts its own timer here; ours is in its place."""
        self._clocks.enter(Phase.COMMAND)
        self._timeout_handle = self._clocks

    def data_received(self, data: bytes) -> None:
        """Octets: the silence ends, and in DATA the mail comes nearer."""
        self._clocks.heard()
        if self._clocks.phase is Phase.DATA:
            self._seat.progress(len(data))
        super().data_received(data)

    def eof_received(self) -> bool | None:
        """A half-close is no reason to drop what was sent: the dialogue ends by itself at the end of the input."""
        if self._reader is not None:
            self._reader.feed_eof()
        return not self._tls

    # -- the life of a session

    async def _handle_client(self) -> None:
        self._ingest.sessions.add(self)
        try:
            with self._ingest.limits.seat(self._address, self._trusted, self._give_way) as self._seat:
                await self._dialogue()
        except Full as full:
            self._last_words(Reply(421, "4.7.0", str(full)))
        except (ConnectionError, asyncio.IncompleteReadError, TlsFailed):
            pass
        finally:
            self._end()

    async def _dialogue(self) -> None:
        raise NotImplementedError

    async def say(self, *replies: Reply) -> None:
        """Sends replies, and waits until the peer has read enough of what it was sent before."""
        for reply in replies:
            self._note(reply)
        self._writer.write("".join(f"{reply}\r\n" for reply in replies).encode("ascii", "replace"))
        await self._writer.drain()

    def _note(self, reply: Reply) -> None:
        if reply.code >= 400:
            metrics.REFUSED.labels(str(reply.code)).inc()
            log.refused(self._address, reply.code, reply.text)

    def _last_words(self, reply: Reply) -> None:
        self._note(reply)
        if self._clocks.phase is not Phase.HANDSHAKE:  # in the middle of a handshake there is no way to say it
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write(f"{reply}\r\n".encode())

    def _end(self) -> None:
        self._ingest.sessions.discard(self)
        self._clocks.cancel()
        self._close()
        if not self.finished.done():
            self.finished.set_result(None)

    def _close(self) -> None:
        """Closes; a peer that does not read what is left, or takes no part in the end of TLS, is cut off a little
        later."""
        transport = self.transport
        if transport is None:
            return
        transport.close()
        if self._tls or transport.get_write_buffer_size():
            self.loop.call_later(LINGER_S, transport.abort)

    def _hang_up(self, reply: Reply) -> None:
        """Ends the session now, whatever it waits for."""
        if self.transport is None or self.finished.done():
            return
        self._last_words(reply)
        self._close()
        self._handler_coroutine.cancel()

    # -- reasons to end early

    def _expired(self, what: Overdue) -> None:
        metrics.OVERDUE.labels(what).inc()
        if what is Overdue.SESSION:
            self._wind_up(OVERDUE[what])
        else:
            self._hang_up(OVERDUE[what])

    def _give_way(self) -> None:
        """Ends the session with 421: it is slow, and somebody faster needs its room."""
        metrics.GAVE_WAY.inc()
        self._hang_up(TOO_SLOW)

    def _wind_up(self, reply: Reply) -> None:
        """An idle session ends now, a busy one after its transaction."""
        self._stopping = True
        if self._idle:
            self._hang_up(reply)

    def shut_down(self) -> None:
        """The service drains: an idle session hears 421 now, a busy one after its transaction."""
        self._wind_up(SHUTDOWN)

    def cut(self) -> None:
        """Hears 421 at once and is closed, whatever it is in the middle of: no time is left to drain."""
        self._hang_up(SHUTDOWN)

    # -- TLS

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """The handshake; whatever the peer sent in clear text behind STARTTLS is forgotten (RFC 3207 section 4.2).

        Raises:
            TlsFailed: there is no TLS, and nobody to tell.
        """
        clear = self.transport
        self._reader._buffer.clear()
        self._reader._maybe_resume_transport()  # it may be full of what is forgotten now
        self._clocks.enter(Phase.HANDSHAKE)
        beyond = self._ingest.policy.smtp.handshake_timeout + LINGER_S  # our own clock is first
        try:
            self.transport = await self.loop.start_tls(
                clear, self, context, server_side=True, ssl_handshake_timeout=beyond, ssl_shutdown_timeout=LINGER_S
            )
        except (OSError, ssl.SSLError) as error:
            raise TlsFailed from error
        finally:
            if self.transport is clear:
                clear.abort()
        self._reader._transport = self._writer._transport = self.transport
        self._tls = True
        self._clocks.enter(Phase.COMMAND)
