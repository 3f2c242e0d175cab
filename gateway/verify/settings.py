"""The sections of what is known and believed: ``[dns]``, ``[verify]`` and ``[directory]``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings import Fault, Seconds, Section, secret_faults


class Dns(Section):
    """``[dns]``: resolvers as host:port, default the system's; ``timeout`` is the total for one message."""

    nameservers: tuple[str, ...] = ()
    timeout: Seconds = 10.0

    @field_validator("nameservers")
    @classmethod
    def _host_and_port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for server in value:
            host, _, port = server.rpartition(":")
            try:
                ipaddress.ip_address(host.strip("[]"))
            except ValueError:
                raise ValueError(f"{server!r}: write ADDRESS:PORT, for example 127.0.0.1:53") from None
            if not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"{server!r}: {port!r} is no port")
        return value


class Verify(Section):
    """``[verify]``: what else is believed, and when a check that could not be made is repeated."""

    #: of SpamAssassin (both), rspamd; they count from trusted relays and mailboxes
    spam_headers: tuple[str, ...] = ("X-Spam-Flag: YES", "X-Spam-Status: Yes", "X-Spam: Yes")
    arc_sealers: tuple[str, ...] = ()
    rechecks: tuple[Seconds, ...] = (60.0, 300.0, 600.0, 1800.0)


class Directory(Section):
    """``[directory]``: the accounts."""

    source: Literal["csv", "sql"] = "csv"
    path: Path | None = None
    url_file: Path | None = None
    accounts_query: str = ""
    addresses_query: str = ""
    orders_query: str = ""
    invoices_query: str = ""
    ignore_plus_tags: bool = False
    ignore_dots: tuple[str, ...] = ()
    refresh: Seconds = 30.0
    max_shrink: Annotated[float, Field(ge=0, le=1)] = 0.2
    max_age: Seconds = 86400.0

    @property
    def configured(self) -> bool:
        """Whether there is anything to read."""
        return self.path is not None if self.source == "csv" else True

    @model_validator(mode="after")
    def _complete(self) -> Directory:
        if self.source == "sql":
            for key in ("url_file", "accounts_query", "addresses_query", "orders_query"):
                if not getattr(self, key):
                    raise ValueError(f'source = "sql" needs {key}')
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether the file with the URL can be read, and by us alone."""
        named = self.url_file if self.source == "sql" else None
        return secret_faults("url_file", named) if named is not None else iter(())
