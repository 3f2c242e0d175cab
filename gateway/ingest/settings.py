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
    """``[smtp]``: the listeners and their limits."""

    listen: tuple[str, ...] = ("smtp://127.0.0.1:8025", "lmtp:///run/gateway/lmtp.sock")
    max_size: Octets = 25 * 1024**2
    min_free: Octets = 64 * 1024**2
    recipients: tuple[Address, ...] = ()
    trusted_relays: tuple[RelayNetwork, ...] = ()
    evaluate_private: bool = False
    authserv_id: str | None = None
    bare_newline: Literal["keep", "reject"] = "keep"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_connections: Annotated[int, Field(ge=1)] = 500
    max_connections_per_address: Annotated[int, Field(ge=1)] = 20
    max_connections_per_network: Annotated[int, Field(ge=1)] = 60
    reserved: Annotated[float, Field(ge=0, lt=1)] = 0.25
    max_recipients: Annotated[int, Field(ge=1)] = 100
    max_errors: Annotated[int, Field(ge=1)] = 10
    max_in_flight: Octets = 256 * 1024**2
    idle_timeout: Seconds = 300.0
    handshake_timeout: Seconds = 30.0
    data_timeout: Seconds = 180.0
    data_deadline: Seconds = 3600.0
    session_deadline: Seconds = 7200.0

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
    """``[imap.oauth2]``: XOAUTH2 instead of a password; a refresh token, or client credentials where there is none."""

    provider: Literal["google", "microsoft", "other"] = "other"
    tenant: str = "organizations"
    client_id: str
    client_secret_file: Path | None = None
    refresh_token_file: Path | None = None
    token_url: str | None = None
    scope: str | None = None

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
    """``[[imap]]``: a mailbox that is read."""

    name: SourceName
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    security: Literal["tls", "starttls", "none"] = "tls"
    ca_file: Path | None = None
    username: str
    password_file: Path | None = None
    oauth2: Oauth2 | None = None
    folder: Folder = "INBOX"
    junk_folder: Folder | None = None
    done_folder: Folder | None = None
    failed_folder: Folder | None = None
    start_from: Literal["now", "all"] = "now"
    idle: Seconds = 480.0
    poll_interval: Seconds = 120.0
    silence: Seconds = 600.0
    timeout: Seconds = 60.0
    authserv_id: str | None = None

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
    """``[[maildir]]``: a Maildir of this machine that is read."""

    name: SourceName
    path: Path
    poll_interval: Seconds = 1.0
    silence: Seconds = 600.0
    authserv_id: str | None = None

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
