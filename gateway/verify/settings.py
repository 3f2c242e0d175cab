"""The sections of what is known and believed: ``[dns]``, ``[verify]`` and ``[directory]``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings import Fault, Seconds, Section, secret_faults


class Dns(Section):
    """``[dns]``: the resolvers."""

    nameservers: tuple[str, ...] = ()
    """Such as "127.0.0.1:53"; default: the system's resolvers."""
    timeout: Seconds = 10.0
    """For all look-ups of one mail; the DMARC record of its author has half as much of its own before."""

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
    """``[verify]``: what else is believed (docs/install.md)."""

    spam_headers: tuple[str, ...] = ("X-Spam-Flag: YES", "X-Spam-Status: Yes", "X-Spam: Yes")
    """From trusted relays and mailboxes: quarantine. These are SpamAssassin's and rspamd's; []: none."""
    arc_sealers: tuple[str, ...] = ()
    """Domains whose ARC seal counts: forwarders that you trust to verify, such as "google.com"; a seal that signs no
    To (microsoft.com's) proves nothing, one on SPF alone little."""
    rechecks: tuple[Seconds, ...] = (60.0, 300.0, 600.0, 1800.0)
    """When a check that could not be made is repeated; the last but one answers anyway."""


class Directory(Section):
    """``[directory]``: the accounts (docs/directory.md)."""

    source: Literal["csv", "sql"] = "csv"
    """CSV files, or "sql": queries on the billing database, over a connection that only reads."""
    path: Path | None = Field(default=None, examples=["/etc/gateway/accounts"])
    """Folder with accounts.csv, addresses.csv, orders.csv, invoices.csv."""
    url_file: Path | None = Field(default=None, examples=["/etc/gateway/billing-url"])
    """For sql: a file with the SQLAlchemy URL, mode 600."""
    accounts_query: str = ""
    """For sql: account, name, language, status."""
    addresses_query: str = ""
    """For sql: account, address, role (owner, billing, support, abuse)."""
    orders_query: str = ""
    """For sql: order, account, service, status, ips (separated by spaces, or an array)."""
    invoices_query: str = ""
    """For sql, where there are any: invoice, account."""
    ignore_plus_tags: bool = False
    """With it anna+shop@example.de writes for anna@example.de."""
    ignore_dots: tuple[str, ...] = ()
    """Domains whose mailboxes have no dots, such as "gmail.com" and "googlemail.com"."""
    refresh: Seconds = 30.0
    """csv: checked this often, read when unchanged for 5 s; sql: read this often."""
    max_shrink: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Refuse a set that loses more than this part of the accounts."""
    max_age: Seconds = 86400.0
    """A set that is older is ignored."""

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
