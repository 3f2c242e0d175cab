"""The sections of sending: ``[relay]`` and ``[[dkim]]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.settings import HOST, LOOPBACK, SELECTOR, Fault, Seconds, Section, secret, secret_faults


class Relay(Section):
    """``[relay]``: the SMTP server that sends our replies."""

    host: Annotated[str, Field(pattern=HOST)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    security: Literal["tls", "starttls", "none"] = "none"
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    max_connections: Annotated[int, Field(ge=1, le=50)] = 4
    timeout: Seconds = 60.0
    retry_for: Seconds = 5 * 86400.0

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
    """``[[dkim]]``: a key that signs our replies; none where the relay signs."""

    selector: Annotated[str, Field(pattern=SELECTOR)]
    key_file: Path
    domain: str | None = None

    def file_faults(self) -> Iterator[Fault]:
        """Whether the key can be read, and by us alone."""
        return secret_faults("key_file", self.key_file)
