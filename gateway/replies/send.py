"""The relay: a few kept connections, made by aiosmtplib. The certificate is checked; TLS never falls back to plaintext."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol, cast

import aiosmtplib
import tenacity

from gateway.model import Outgoing, Sent
from gateway.replies.transaction import Connection

_NETWORK = (OSError, aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError)


class Transport(Protocol):
    """Whatever takes a built message."""

    def send(self, message: Outgoing) -> Awaitable[Sent]:
        """Hands one message over; never raises."""
        ...


class Relay:
    """The configured SMTP server. ``security``: ``tls``, ``starttls`` or ``none``; ``timeout`` in seconds."""

    IDLE_S = 20.0

    def __init__(
        self, host: str, port: int, security: str, username: str | None, password: str | None, hostname: str,
        connections: int, timeout: float, ca_file: Path | None = None,
    ) -> None:  # fmt: skip
        self._host, self._port, self._security = host, port, security
        self._username, self._password, self._hostname = username, password, hostname
        self._timeout = timeout
        self._context = (
            ssl.create_default_context(cafile=str(ca_file) if ca_file else None) if security != "none" else None
        )
        self._slots = asyncio.Semaphore(connections)
        self.smtputf8 = False  #: whether it offered that (RFC 6531) at the last connection
        self._kept: list[tuple[float, Connection]] = []

    async def _connect(self) -> Connection:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._context,
            local_hostname=self._hostname,
            timeout=self._timeout,
        )
        try:
            return await self._ready(client)
        except BaseException:
            client.close()
            raise

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
                await client.connect()
        if self._username:
            await client.login(self._username, self._password or "")
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
        return Connection(transport, offers("pipelining"), offers("size"), self.smtputf8, self._timeout)

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
        async with self._slots:
            for _ in range(2):
                try:
                    connection, kept = await self._connection()
                except aiosmtplib.SMTPAuthenticationError as error:
                    return Sent(False, False, error.code, "the relay refuses our login", auth_failed=True)
                except aiosmtplib.SMTPResponseException as error:
                    return Sent(False, False, error.code, f"connecting: {error.code}")
                except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                    return Sent(False, False, 0, f"connecting: {type(error).__name__}")
                outcome = await connection.send(message)
                if connection.usable:
                    self._kept.append((asyncio.get_running_loop().time(), connection))
                if outcome is not None:
                    return outcome
                if not kept:
                    break
            return Sent(False, False, 0, "the relay closed the connection")

    async def ask(self) -> bool:
        """Connects to learn what the relay offers; whether it answered."""
        async with self._slots:
            try:
                connection = await self._connect()
            except (aiosmtplib.SMTPException, OSError, ValueError):
                return False
            await connection.quit()
            return True

    async def close(self) -> None:
        """Says goodbye on every kept connection."""
        while self._kept:
            _, connection = self._kept.pop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await connection.quit()
            connection.close()
