"""The connections of mail: our listeners as a peer meets them, the relay, the mailboxes."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any, cast

from cryptography.x509 import load_der_x509_certificate
from imapclient.exceptions import IMAPClientError

from gateway import service
from gateway.config import Settings
from gateway.database.store import utc_now
from gateway.doctor.finding import Finding, doubt, ok, skipped, wrong
from gateway.ingest import imap, imap_folders, oauth, sources
from gateway.ingest.halt import Halt
from gateway.replies.transaction import words

TIMEOUT_S = 15.0
SOON_DAYS = 14
START = "systemctl restart gateway; journalctl -u gateway -n 50 says why it does not listen"


def _said(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        return f"{error.smtp_code} {words(text)}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


async def listeners(settings: Settings) -> AsyncIterator[Finding]:
    """Each configured listener: who greets there, whether our address is taken, and the certificate."""
    for url in settings.smtp.listen:
        yield await asyncio.to_thread(_listener, settings, url)
    if settings.smtp.tls_cert is not None:
        port = next((url for url in settings.smtp.listen if url.startswith("smtp://")), None)
        if port is not None:
            yield await asyncio.to_thread(_certificate, settings, port)


def _dial(url: str, hostname: str) -> smtplib.SMTP:
    scheme, _, where = url.partition("://")
    host, _, port = ("", "", "0") if where.startswith("/") else where.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
    if scheme == "lmtp":
        return smtplib.LMTP(host or where, int(port), hostname, timeout=TIMEOUT_S)
    return smtplib.SMTP(host, int(port), hostname, timeout=TIMEOUT_S)


def _listener(settings: Settings, url: str) -> Finding:
    name, hostname = "listener", service.hostname(settings)
    if url.endswith(":0"):
        return skipped(name, f"{url}: any port, which only the log of the start tells")
    try:
        with _dial(url, "doctor.invalid") as client:
            client.ehlo_or_helo_if_needed()
            greeting = (client.ehlo_resp or b"").split(b"\n")[0].split(b" ")[0].decode("ascii", "replace")
            if greeting != hostname:
                what = f"{url} greets as {greeting}, which is not our {hostname}: another service is there"
                return wrong(name, what, "let each listen on a port of its own (smtp.listen, ss -ltnp)")
            code, answer = client.mail("")
            code, answer = client.rcpt(settings.recipients[0]) if code == 250 else (code, answer)
            client.rset()
    except (OSError, smtplib.SMTPException) as error:
        return wrong(name, f"{url}: {_said(error)}", START)
    if code != 250:
        return wrong(name, f"{url} refuses {settings.recipients[0]}: {code} {words(answer)}", "gateway status says why")
    return ok(name, f"{url} takes mail for {settings.recipients[0]}")


def _certificate(settings: Settings, url: str) -> Finding:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is looked at below, whoever signed it
    try:
        with _dial(url, "doctor.invalid") as client:
            client.starttls(context=context)
            raw = cast(ssl.SSLSocket, client.sock).getpeercert(binary_form=True) or b""
    except (OSError, smtplib.SMTPException) as error:
        return wrong("certificate", f"{url} STARTTLS: {_said(error)}", "gateway check looks at the files")
    return _dated("certificate", f"{url}", load_der_x509_certificate(raw).not_valid_after_utc)


def _dated(name: str, where: str, ends: datetime) -> Finding:
    left = (ends - datetime.now(UTC)).total_seconds() / 86400
    if left < 0:
        return wrong(name, f"{where}: it expired on {ends:%Y-%m-%d}", "renew it, then gateway reload")
    if left < SOON_DAYS:
        return doubt(
            name, f"{where}: it expires in {left:.0f} days, on {ends:%Y-%m-%d}", "renew it, then gateway reload"
        )
    return ok(name, f"{where}: valid until {ends:%Y-%m-%d}")


async def relay(settings: Settings) -> Finding:
    """Whether the relay lets us in, as a reply would meet it."""
    try:
        out = service.relay(settings)
    except OSError as error:
        return wrong("relay", f"relay.password_file: {error}", "correct [relay], then gateway reload")
    try:
        async with asyncio.timeout(4 * TIMEOUT_S):
            said = await out.asked()
    except TimeoutError:
        return wrong("relay", f"{out.name}: no answer in time", _relay_help("connecting"))
    finally:
        await out.close()
    if said.ok:
        return ok("relay", f"{out.name} lets us in{' with login' if settings.relay.username else ''}")
    return wrong("relay", said.detail, _relay_help(said.detail))


def _relay_help(detail: str) -> str:
    if " login:" in detail:
        return "correct relay.username and relay.password_file, then gateway reload"
    if " TLS:" in detail or "STARTTLS" in detail:
        return "correct relay.security, relay.ca_file or the relay's certificate, then gateway reload"
    return "start the relay, or correct relay.host and relay.port, then gateway reload"


async def mailboxes(settings: Settings) -> AsyncIterator[Finding]:
    """Whether each mailbox lets us in."""
    for account in settings.imap:
        for finding in await asyncio.to_thread(_all_of_mailbox, account, settings):
            yield finding


def _all_of_mailbox(account: Any, settings: Settings) -> list[Finding]:
    return list(_mailbox(account, settings))


def _mailbox(account: Any, settings: Settings) -> Iterator[Finding]:
    where = f"{account.name} ({account.host}:{account.connects_to})"
    reader = sources.mailbox(account, settings, cast(Any, None), Halt(), utc_now)
    try:
        missing = reader.asked()
    except (imap.Refused, oauth.TokenRefused) as error:
        do = f"correct its username and password ([[imap]] name = {account.name!r}), then gateway reload"
        yield wrong("imap", f"{where} login: {error}", do)
    except (imap_folders.Away, oauth.TokenUnavailable, IMAPClientError, OSError, EOFError) as error:
        yield wrong(
            "imap",
            f"{where}: {str(error) or type(error).__name__}",
            "see whether the server is up, and its certificate",
        )
    else:
        if missing:
            yield wrong("imap", f"{where} has no folder {', '.join(missing)}", "create it, or correct [[imap]] folder")
        else:
            yield ok("imap", f"{where} lets us in as {account.username}")
