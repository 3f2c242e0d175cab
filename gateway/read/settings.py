"""The section of reading: ``[extract]``."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import field_validator

from gateway.settings import Section


class Extract(Section):
    """``[extract]``: how mails are read."""

    topics: Path | None = None
    networks: tuple[str, ...] = ()

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError(f"{network!r} is no network: {error}") from error
        return value
