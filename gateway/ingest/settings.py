"""The sections of the ways in: ``[smtp]``, ``[[imap]]`` and ``[[maildir]]``."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gateway.settings import (
    LOOPBACK,
    SOURCE,
    Address,
    Fault,
    Octets,
    RelayNetwork,
    Seconds,
    Section,
    file_fault,
    secret,
    secret_faults,
)


class Smtp(Section):
    """``[smtp]``: the listeners and their limits (docs/install.md)."""

    listen: tuple[str, ...] = ("smtp://127.0.0.1:8025", "lmtp:///run/gateway/lmtp.sock")
    """``smtp://HOST:PORT``, ``lmtp://HOST:PORT`` or ``lmtp:///PATH``; ports below 1024: gateway.socket."""
    max_size: Octets = 25 * 1024**2
    """The largest mail that is taken."""
    min_free: Octets = 64 * 1024**2
    """Free space that stays in ``state_dir``; below it senders hear 452, mailboxes wait."""
    recipients: tuple[Address, ...] = ()
    """The addresses that are the desk's; default: ``address`` of ``[gateway]``. A mail that its author signed for
    another address of the company (sales@, a list) proves them only with SPF: name aliases here."""
    trusted_relays: tuple[RelayNetwork, ...] = ()
    """Addresses or networks of MTAs that speak for others (XFORWARD, XCLIENT, Received)."""
    evaluate_private: bool = False
    """Judge SPF for private and loopback addresses (tests)."""
    authserv_id: str | None = Field(default=None, examples=["mx.introserv.com"])
    """The name in Authentication-Results that a trusted relay writes; only these count."""
    bare_newline: Literal["keep", "reject"] = "keep"
    """What a bare CR or LF in the content gets: it is kept, or with "reject" answered 550."""
    tls_cert: Path | None = Field(default=None, examples=["/etc/gateway/tls/cert.pem"])
    """Certificate for STARTTLS; with ``tls_key``, or neither."""
    tls_key: Path | None = Field(default=None, examples=["/etc/gateway/tls/key.pem"])
    """Its key."""
    max_connections: Annotated[int, Field(ge=1)] = 500
    """Sessions at the same time; half of them at most for programs of this machine (LMTP socket)."""
    max_connections_per_address: Annotated[int, Field(ge=1)] = 20
    """Of one address; trusted relays are exempt."""
    max_connections_per_network: Annotated[int, Field(ge=1)] = 60
    """Of an IPv4 /24 or IPv6 /64 (a /48: twice as many); trusted relays are exempt."""
    reserved: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Part of ``max_connections`` and ``max_in_flight`` for trusted relays and hosts that verified customers' mail came
    from lately; half of it for trusted relays alone."""
    max_recipients: Annotated[int, Field(ge=1)] = 100
    """Recipients of one mail."""
    max_errors: Annotated[int, Field(ge=1)] = 10
    """Refused commands until a session is closed."""
    max_in_flight: Octets = 256 * 1024**2
    """Octets of all mails being received; above it senders hear 452. An address may hold an eighth, a network a
    quarter, each at least one mail of ``max_size``."""
    idle_timeout: Seconds = 300.0
    """Until a command that brings a mail nearer."""
    handshake_timeout: Seconds = 30.0
    """For TLS."""
    data_timeout: Seconds = 180.0
    """Between two blocks of data."""
    data_deadline: Seconds = 3600.0
    """For the data of one mail."""
    session_deadline: Seconds = 7200.0
    """After it a session ends with its transaction."""

    @field_validator("listen")
    @classmethod
    def _known_listeners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not re.fullmatch(r"(smtp|lmtp)://(/\S+|[^\s/]+:\d{1,5})", url):
                raise ValueError(f"{url!r}: write smtp://HOST:PORT, lmtp://HOST:PORT or lmtp:///PATH")
        return value

    @model_validator(mode="after")
    def _both_halves(self) -> Smtp:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together")
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether certificate and key can be used, and whether the key is ours alone."""
        yield from self._tls_faults()
        if self.tls_key is not None and self.tls_key.exists():
            yield from secret_faults("tls_key", self.tls_key)

    def _tls_faults(self) -> Iterator[Fault]:
        for key, file in (("tls_cert", self.tls_cert), ("tls_key", self.tls_key)):
            if file is None:
                continue
            try:
                file.read_bytes()
            except OSError as error:
                yield key, f"{file} cannot be read: {file_fault(file, error)}"
                return
        try:
            tls_context(self)
        except (OSError, ssl.SSLError) as error:
            yield "tls_cert", f"certificate and key cannot be used: {error}"


def _folder(value: str) -> str:
    if not value or any(ord(char) < 32 or ord(char) == 127 for char in value) or len(value) > 255:
        raise ValueError(f"{value!r} is no folder name")
    return value


SourceName = Annotated[str, Field(pattern=SOURCE)]
Folder = Annotated[str, BeforeValidator(_folder)]
_TOKEN_URLS = {
    "google": "https://oauth2.googleapis.com/token",
    "microsoft": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
}
_SCOPES = {"google": "https://mail.google.com/", "microsoft": "https://outlook.office365.com/.default"}


class Oauth2(Section):
    """``[imap.oauth2]``: a table of the mailbox above it: XOAUTH2 with a refresh token, or with client credentials
    where there is none."""

    provider: Literal["google", "microsoft", "other"] = "other"
    """Whose login it is; ``google`` and ``microsoft`` have their token URL and scope."""
    tenant: str = "organizations"
    """For ``microsoft``: the tenant."""
    client_id: str = Field(examples=["..."])
    """Our name there."""
    client_secret_file: Path | None = Field(default=None, examples=["/etc/gateway/oauth2-secret"])
    """A file of mode 600."""
    refresh_token_file: Path | None = Field(default=None, examples=["/etc/gateway/oauth2-refresh"])
    """A file of mode 600; without one, client credentials are used."""
    token_url: str | None = Field(default=None, examples=["https://login.example.com/token"])
    """For ``other``: where tokens come from."""
    scope: str | None = Field(default=None, examples=["mail"])
    """For ``other``: the scope that is asked for."""

    @property
    def url(self) -> str:
        """Where tokens come from."""
        return self.token_url or _TOKEN_URLS[self.provider].format(tenant=self.tenant)

    @property
    def wanted_scope(self) -> str | None:
        """The scope that is asked for, if any."""
        return self.scope or _SCOPES.get(self.provider)

    @model_validator(mode="after")
    def _complete(self) -> Oauth2:
        if self.provider == "other" and self.token_url is None:
            raise ValueError("token_url is needed unless provider is google or microsoft")
        if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", self.url):
            raise ValueError("token_url must begin with https://")
        if self.client_secret_file is None and self.refresh_token_file is None:
            raise ValueError("a refresh_token_file or a client_secret_file is needed")
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether the files with secrets can be read, and by us alone."""
        for key, file in (
            ("client_secret_file", self.client_secret_file), ("refresh_token_file", self.refresh_token_file),
        ):  # fmt: skip
            if file is not None:
                yield from secret_faults(key, file)


class Imap(Section):
    """``[[imap]]``: a mailbox that is read over IMAP; as many as you like (docs/install.md)."""

    name: SourceName = Field(examples=["support"])
    """Its name in status, log and metrics: a-z, 0-9, -."""
    host: str = Field(examples=["imap.example.com"])
    """The server."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(default=None, examples=[993])
    """Default: 993, or 143 without TLS from the start."""
    security: Literal["tls", "starttls", "none"] = "tls"
    """How the connection is protected; "none" for a server of this machine only."""
    ca_file: Path | None = Field(default=None, examples=["/etc/gateway/imap-ca.pem"])
    """Default: the system's certificates."""
    username: str = Field(examples=["support@introserv.com"])
    """Its login."""
    password_file: Path | None = Field(default=None, examples=["/etc/gateway/imap-password"])
    """A file of mode 600, or the credential imap-NAME, or ``oauth2``."""
    oauth2: Oauth2 | None = Field(
        default=None,
        examples=[{"provider": "google", "client_id": "...", "client_secret_file": "...", "refresh_token_file": "..."}],
    )
    """XOAUTH2 instead of a password; its keys are below."""
    folder: Folder = "INBOX"
    """The folder that is read."""
    junk_folder: Folder | None = Field(default=None, examples=["Junk"])
    """Read too: what lies there is quarantined and reported in the digest."""
    done_folder: Folder | None = Field(default=None, examples=["Gateway/Done"])
    """Where a stored mail is moved to; made when it is missing. Without it, mails stay where they are."""
    failed_folder: Folder | None = Field(default=None, examples=["Gateway/Failed"])
    """Where a mail goes that cannot be fetched, or is larger than ``max_size``."""
    start_from: Literal["now", "all"] = "now"
    """With "all", mail that was there before the first start is taken in too."""
    idle: Seconds = 480.0
    """Renewed at least this often; under 9 minutes; 0s turns IDLE off."""
    poll_interval: Seconds = 120.0
    """Checked this often, IDLE or not."""
    silence: Seconds = 600.0
    """Not read for so long: staff are told, /readyz says no."""
    timeout: Seconds = 60.0
    """A server that does not answer for so long is dead."""
    authserv_id: str | None = Field(default=None, examples=["mx.google.com"])
    """Whose Authentication-Results count for SPF; DKIM is always checked here."""

    @property
    def connects_to(self) -> int:
        """The port."""
        return self.port or (993 if self.security == "tls" else 143)

    @model_validator(mode="after")
    def _sound(self) -> Imap:
        if self.password_file is not None and self.oauth2 is not None:
            raise ValueError("password_file and oauth2 exclude each other")
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("a password is never sent without TLS: set security to tls or starttls")
        if self.idle >= 540:
            raise ValueError("idle must stay under 9 minutes: servers and firewalls drop a longer IDLE without a word")
        if self.poll_interval <= 0 or self.timeout <= 0:
            raise ValueError("poll_interval and timeout must be more than 0")
        if self.poll_interval >= self.silence:
            raise ValueError("silence must be longer than poll_interval, or an idle mailbox looks dead")
        folders = [self.folder, self.junk_folder, self.done_folder, self.failed_folder]
        named = [folder.upper() if folder.upper() == "INBOX" else folder for folder in folders if folder is not None]
        if len(set(named)) != len(named):
            raise ValueError("folder, junk_folder, done_folder and failed_folder must differ")
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether there is a way to log in, in files that we alone can read."""
        if self.password_file is not None:
            yield from secret_faults("password_file", self.password_file)
        elif self.oauth2 is not None:
            yield from ((f"oauth2.{key}", words) for key, words in self.oauth2.file_faults())
        elif secret(None, f"imap-{self.name}") is None:
            yield "password_file", f"a password file, oauth2 or the credential imap-{self.name} is needed"


class Maildir(Section):
    """``[[maildir]]``: a Maildir of this machine; what lies in ``new`` is stored, then moved to ``cur``
    (docs/install.md)."""

    name: SourceName = Field(examples=["local"])
    """Its name in status, log and metrics: a-z, 0-9, -."""
    path: Path = Field(examples=["/var/mail/support"])
    """The folder with ``new`` and ``cur``."""
    poll_interval: Seconds = 1.0
    """Checked this often."""
    silence: Seconds = 600.0
    """Not read for so long: staff are told, /readyz says no."""
    authserv_id: str | None = Field(default=None, examples=["mx.introserv.com"])
    """Whose Authentication-Results count for SPF."""

    def file_faults(self) -> Iterator[Fault]:
        """Whether it is a Maildir."""
        if not (self.path / "new").is_dir() or not (self.path / "cur").is_dir():
            yield "path", f"{self.path} is no Maildir (new and cur)"


def tls_context(settings: Smtp) -> ssl.SSLContext | None:
    """The server's TLS context, or ``None`` without certificate files. OSError or ssl.SSLError when they are bad."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context
