"""The relay: aiosmtplib over a few kept connections. The certificate is checked; TLS never falls back to plaintext."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

import aiosmtplib
import tenacity

from gateway.model import Outgoing, Sent

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
        self._kept: list[tuple[float, aiosmtplib.SMTP]] = []

    async def _connect(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._context,
            local_hostname=self._hostname,
            timeout=self._timeout,
        )
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
        return client

    async def _client(self) -> tuple[aiosmtplib.SMTP, bool]:
        loop = asyncio.get_running_loop()
        while self._kept:
            used_at, client = self._kept.pop()
            if client.is_connected and loop.time() - used_at < self.IDLE_S:
                return client, True
            client.close()
        return await self._connect(), False

    async def send(self, message: Outgoing) -> Sent:
        """See ``Transport``. A kept connection that turns out dead before MAIL FROM is replaced once."""
        async with self._slots:
            for attempt in (1, 2):
                try:
                    client, reused = await self._client()
                except aiosmtplib.SMTPAuthenticationError as error:
                    return Sent(False, False, error.code, "the relay refuses our login", auth_failed=True)
                except aiosmtplib.SMTPResponseException as error:
                    return Sent(False, False, error.code, f"connecting: {error.code}")
                except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                    return Sent(False, False, 0, f"connecting: {type(error).__name__}")
                result, usable = await self._transaction(client, message)
                if usable:
                    self._kept.append((asyncio.get_running_loop().time(), client))
                else:
                    client.close()
                if result is not None:
                    return result
                if not reused or attempt == 2:
                    break
            return Sent(False, False, 0, "the relay closed the connection")

    async def _transaction(self, client: aiosmtplib.SMTP, message: Outgoing) -> tuple[Sent | None, bool]:
        """(outcome, or ``None`` when the connection was dead before anything was said; whether it can be kept)."""
        try:
            await client.mail(message.mail_from, encoding="ascii")
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
            return None, False
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return await self._refusal(client, error, "MAIL FROM")
        try:
            await client.rcpt(message.rcpt_to, encoding="ascii")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return await self._refusal(client, error, "RCPT TO")
        try:
            reply = await client.data(message.raw)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return await self._refusal(client, error, "DATA")
        return Sent(True, False, reply.code, ""), True

    async def _refusal(self, client: aiosmtplib.SMTP, error: Exception, stage: str) -> tuple[Sent, bool]:
        code = getattr(error, "code", 0)
        code = int(code) if isinstance(code, int) else 0
        if code:
            try:
                await client.rset()
                usable = True
            except (aiosmtplib.SMTPException, OSError, ValueError):
                usable = False
            wants_login = code in (530, 535)
            return Sent(False, 500 <= code < 600 and not wants_login, code, f"{stage}: {code}", wants_login), usable
        return Sent(False, False, 0, f"{stage}: {type(error).__name__}"), False

    async def close(self) -> None:
        """Says goodbye on every kept connection."""
        while self._kept:
            _, client = self._kept.pop()
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await client.quit()
            client.close()
