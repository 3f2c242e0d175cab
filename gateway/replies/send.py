"""The relay: a few kept connections, made by aiosmtplib. The certificate is checked; TLS never falls back to
plaintext."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol, cast

import aiosmtplib
import tenacity

from gateway.model import Outgoing, Sent
from gateway.replies import settings as sections
from gateway.replies.transaction import Connection, words

_WHERE = re.compile(r"^Error connecting to \S+ on port \d+: |\[Errno -?\d+\] ")
_NETWORK = (OSError, aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError)


class Transport(Protocol):
    """Takes a built message to the relay; the tests have their own."""

    def send(self, message: Outgoing) -> Awaitable[Sent]:
        """Hands one message over; never raises."""
        ...

    def asked(self) -> Awaitable[Sent]:
        """Connects and logs in without a mail: whether it was let in; never raises."""
        ...


def not_connected(error: Exception) -> Sent:
    """What becomes of a mail when no connection was to be had: the stage and the relay's own words."""
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
    said = error.message if isinstance(error, aiosmtplib.SMTPException) else str(error)
    tls = _tls_fault(error)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError | NoLogin):
        stage = "login"
    elif isinstance(error, OurOwn):
        stage = "greeting"
    elif tls is not None:
        stage, said = "TLS", getattr(tls, "verify_message", "") or tls.reason or str(tls)
    elif isinstance(error, aiosmtplib.SMTPHeloError):
        stage = "EHLO"
    elif "STARTTLS" in said:
        stage = "STARTTLS"
    else:
        stage = "greeting" if code or "ready message" in said or "Unexpected EOF" in said else "connecting"
    if (plain := _refused_by_system(error)) and not code and stage == "connecting":
        said = plain
    told = words(_WHERE.sub("", f"{code or ''} {said}".strip())) or type(error).__name__
    refused = isinstance(error, NoLogin | OurOwn) or (stage == "login" and code >= 500)
    return Sent(False, False, code, f"{stage}: {told}", refused, relay=True)


def _refused_by_system(error: BaseException | None) -> str:
    """The system's own words (Connection refused), whichever event loop met them."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
            return os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return ""


def _tls_fault(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


class OurOwn(aiosmtplib.SMTPException):
    """The relay is this gateway, or another node of it: by whatever way, replies would come back."""


class NoLogin(aiosmtplib.SMTPException):
    """The relay offers no way to log in that we know."""


class Relay:
    """The configured SMTP server. ``hostname``: by what name we greet it."""

    IDLE_S = 20.0

    def __init__(self, settings: sections.Relay, password: str | None, hostname: str) -> None:
        self._settings, self._password, self._hostname = settings, password, hostname
        host, port = settings.host, settings.port
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        cafile = str(settings.ca_file) if settings.ca_file else None
        self._context = ssl.create_default_context(cafile=cafile) if settings.security != "none" else None
        self._slots = asyncio.Semaphore(settings.max_connections)
        self.own = ""  #: the word in our own greeting, by which we know ourselves
        self.smtputf8 = False  #: whether it offered that (RFC 6531) at the last connection
        self._kept: list[tuple[float, Connection]] = []

    async def _connect(self) -> Connection:
        chosen = self._settings
        client = aiosmtplib.SMTP(
            hostname=chosen.host,
            port=chosen.port,
            use_tls=chosen.security == "tls",
            start_tls=chosen.security == "starttls",
            tls_context=self._context,
            local_hostname=self._hostname,
            timeout=chosen.timeout,
        )
        with contextlib.ExitStack() as undo:
            undo.callback(client.close)
            ready = await self._ready(client)
            undo.pop_all()
            return ready

    async def _ready(self, client: aiosmtplib.SMTP) -> Connection:
        """Greeted, encrypted, logged in."""
        retries = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=1.0),
            retry=tenacity.retry_if_exception_type(_NETWORK),
            reraise=True,
        )
        async for attempt in retries:
            with attempt:
                greeting = await client.connect()
        if self.own and self.own in greeting.message.split():
            raise OurOwn("it is our own listener; replies would come back")
        if self._settings.username:
            try:
                await client.login(self._settings.username, self._password or "")
            except aiosmtplib.SMTPResponseException:
                raise
            except aiosmtplib.SMTPException as error:
                if isinstance(error, _NETWORK):
                    raise
                raise NoLogin(error.message) from error
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                await client.helo()
        if client.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("closed")
        transport = cast(asyncio.Transport, client.transport)
        offers = client.supports_extension
        self.smtputf8 = offers("smtputf8")
        return Connection(transport, offers("pipelining"), offers("size"), self.smtputf8, self._settings.timeout)

    async def _connection(self) -> tuple[Connection, bool]:
        """(a connection, whether it was a kept one)."""
        loop = asyncio.get_running_loop()
        while self._kept:
            used_at, kept = self._kept.pop()
            if kept.usable and loop.time() - used_at < self.IDLE_S:
                return kept, True
            kept.close()
        return await self._connect(), False

    async def send(self, message: Outgoing) -> Sent:
        """See ``Transport``. A kept connection that turns out dead before MAIL FROM is replaced once."""
        outcome = await self._send(message)
        return outcome if outcome.ok else replace(outcome, detail=f"{self.name} {outcome.detail}")

    async def _send(self, message: Outgoing) -> Sent:
        async with self._slots:
            for _ in range(2):
                try:
                    connection, kept = await self._connection()
                except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                    return not_connected(error)
                outcome = await connection.send(message)
                if connection.usable:
                    self._kept.append((asyncio.get_running_loop().time(), connection))
                if outcome is not None:
                    return outcome
                if not kept:
                    break
            return Sent(False, False, 0, "MAIL FROM: it closed the connection")

    async def asked(self) -> Sent:
        """See ``Transport``; learns what the relay offers."""
        async with self._slots:
            try:
                connection = await self._connect()
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                refused = not_connected(error)
                return replace(refused, detail=f"{self.name} {refused.detail}")
            await connection.quit()
            return Sent(True, False, 250, "")

    async def ask(self) -> bool:
        """Whether the relay answers and lets us in now."""
        return (await self.asked()).ok

    async def close(self) -> None:
        """Says goodbye on every kept connection."""
        while self._kept:
            _, connection = self._kept.pop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await connection.quit()
            connection.close()
