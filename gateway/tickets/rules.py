"""What policy and the clock are given of the configuration: two sections as they are, and what is made of others.

A value like those of ``model``: nothing is read here. A new key of ``[replies]`` or ``[clock]`` is there for policy as
soon as its section has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.tickets.settings import Clock, Replies

DEFAULT_LANGUAGE = "en"  #: of everyone whose own is not served; ``[gateway] languages`` must have it


@dataclass(frozen=True, slots=True)
class Rules:
    """``languages``: those of ``[gateway]`` whose templates are there. ``own_addresses``: of the desk, of tokens and of
    bounces, lower-case."""

    replies: Replies
    clock: Clock
    languages: tuple[str, ...]
    own_addresses: frozenset[str]

    def owns(self, address: str | None) -> bool:
        """Whether mail to this address comes back to us: one of ``own_addresses``, or a plus-address of one."""
        local, _, domain = (address or "").lower().rpartition("@")
        return f"{local.partition('+')[0]}@{domain.rstrip('.')}" in self.own_addresses

    def language(self, wanted: str | None) -> str:
        """The language of a reply to somebody who would like ``wanted``."""
        return wanted if wanted in self.languages else DEFAULT_LANGUAGE
