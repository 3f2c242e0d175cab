"""The sections of the console: ``[http]`` and ``[oidc]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings import Fault, Section, secret, secret_faults


class Http(Section):
    """``[http]``: metrics, health and the console (docs/console.md).

    Behind a proxy with TLS, ``url`` is the address that people type: without it a session is given out on loopback
    only.
    """

    listen: str = "127.0.0.1:8080"
    """Where the console, /metrics, /healthz and /readyz are served; "" turns them off."""
    url: str = ""
    """How people reach the console, such as "https://desk.example.com"; default: the listener."""
    hosts: tuple[str, ...] = ()
    """Further names by which /metrics and /readyz are asked, such as "gateway.example.com"."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Peers whose X-Forwarded-For counts."""
    user_header: str = ""
    """Header in which these name the user who logged in there (single sign-on), such as "X-Remote-User"."""

    @field_validator("user_header")
    @classmethod
    def _header_name(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value):
            raise ValueError(f"{value!r}: write the name of a header, like X-Remote-User")
        return value

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+/?", value):
            raise ValueError(f"{value!r}: write https://HOST or https://HOST:PORT")
        return value.rstrip("/")

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value and not re.fullmatch(r"\S+:\d{1,5}", value):
            raise ValueError(f"{value!r}: write HOST:PORT")
        return value


class Oidc(Section):
    """``[oidc]``: log in to the console by OpenID Connect (docs/console.md).

    Needs the extra package: ``pip install 'introserv-mail-gateway[oidc]'``.
    """

    issuer: str = ""
    """Such as "https://login.example.com/realms/staff"; "" turns it off."""
    client_id: str = ""
    """Our name there; its redirect URI is ``url`` of ``[http]``, then /login/oidc/back."""
    secret_file: Path | None = Field(default=None, examples=["/etc/gateway/oidc-secret"])
    """A file of mode 600, or the credential oidc-secret; none: a public client."""
    create: Literal["", "auditor", "agent", "lead", "admin"] = ""
    """Role of a user made at the first login; "": only users that are there, found by ``people`` of ``[staff]`` or a
    name that is their address."""

    @field_validator("issuer")
    @classmethod
    def _by_tls(cls, value: str) -> str:
        if value and not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", value):
            raise ValueError(f"{value!r}: write https://HOST/PATH")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> Oidc:
        if self.issuer and not self.client_id:
            raise ValueError("issuer needs a client_id")
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether the secret can be read, and by us alone."""
        return secret_faults("secret_file", self.secret_file) if self.secret_file is not None else iter(())

    @property
    def secret(self) -> str:
        """The client's secret, or an empty string for a public client. OSError when its file cannot be read."""
        return secret(self.secret_file, "oidc-secret") or ""
