"""The sections of the console: ``[http]`` and ``[oidc]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from gateway.settings import Fault, Section, secret, secret_faults


class Http(Section):
    """``[http]``: metrics, health and the console; empty ``listen`` turns it off. ``url``: the address by which people
    reach the console, where that is not the listener's own (a proxy with TLS); ``hosts``: further names by which
    metrics and health are asked; ``proxies``: peers whose X-Forwarded-For counts, and whose ``user_header`` names who
    has logged in at the proxy."""

    listen: str = "127.0.0.1:8080"
    url: str = ""
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    user_header: str = ""

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
    """``[oidc]``: login to the console by OpenID Connect; off while ``issuer`` is empty. ``create``: the role of users
    that are made at their first login; empty: only users that are there, found by ``[staff] people`` or a name that is
    their address."""

    issuer: str = ""
    client_id: str = ""
    secret_file: Path | None = None
    create: Literal["", "auditor", "agent", "lead", "admin"] = ""

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
