"""The sections of sending: ``[relay]`` and ``[[dkim]]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.settings import HOST, LOOPBACK, SELECTOR, Fault, Seconds, Section, secret, secret_faults


class Relay(Section):
    """``[relay]``: the SMTP server that sends our replies (docs/install.md)."""

    host: Annotated[str, Field(pattern=HOST)] = "127.0.0.1"
    """A host name or an address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    """Its port."""
    security: Literal["tls", "starttls", "none"] = "none"
    """How the connection is protected; it never falls back. "none" sends no password but to this machine."""
    username: str | None = Field(default=None, examples=["gateway"])
    """The login, where the relay wants one."""
    password_file: Path | None = Field(default=None, examples=["/etc/gateway/relay-password"])
    """A file of mode 600, or the credential relay-password."""
    ca_file: Path | None = Field(default=None, examples=["/etc/gateway/ca.pem"])
    """Default: the system's certificates."""
    max_connections: Annotated[int, Field(ge=1, le=50)] = 4
    """Replies that are sent at the same time."""
    timeout: Seconds = 60.0
    """For each of its answers."""
    retry_for: Seconds = 5 * 86400.0
    """A reply that the relay does not take for so long is given up."""

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Relay:
        if self.username and self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("a password is never sent without TLS: set security to tls or starttls")
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether there is a password for the user name, in a file that we alone can read."""
        if self.password_file is not None:
            yield from secret_faults("password_file", self.password_file)
        elif self.username and secret(None, "relay-password") is None:
            yield "password_file", "relay.username needs a password file or credential"


class Dkim(Section):
    """``[[dkim]]``: a key that signs our replies; none where the relay signs.

    ``openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out gw2026.pem`` makes one (mode 600); its public
    half goes to ``gw2026._domainkey`` of the domain. An RSA and an Ed25519 key may stand side by side.
    """

    selector: Annotated[str, Field(pattern=SELECTOR)] = Field(examples=["gw2026"])
    """Its public half is the TXT record SELECTOR._domainkey.DOMAIN."""
    key_file: Path = Field(examples=["/etc/gateway/dkim/gw2026.pem"])
    """PEM, RSA of 2048 bits or more, or Ed25519; mode 600."""
    domain: str | None = Field(default=None, examples=["introserv.com"])
    """Default: the address's."""

    def file_faults(self) -> Iterator[Fault]:
        """Whether the key can be read, and by us alone."""
        return secret_faults("key_file", self.key_file)
