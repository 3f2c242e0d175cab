"""The section of reading: ``[extract]``."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator

from gateway.settings import Section


class Extract(Section):
    """``[extract]``: what is looked for in mails."""

    topics: Path | None = Field(default=None, examples=["/etc/gateway/topics"])
    """A folder with your own copies of files of gateway/read/topics, which stand in for those of the same name, or one
    file that stands in for all of them: docs/topics.md has more."""
    networks: tuple[str, ...] = ()
    """Your own networks, such as "203.0.113.0/24": their addresses count wherever they stand, and come first."""

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError(f"{network!r} is no network: {error}") from error
        return value
