"""Whose client a mail came from, when a relay speaks for it, and which recipients are ours."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

_RECEIVED_FROM = re.compile(rb"(?is)\Afrom\s(.*?)(?:\sby\s|\Z)")
_BRACKETED = re.compile(rb"\[(?:IPv6:)?([0-9A-Fa-f:.]{3,45})\]")


def plain_address(text: str | None) -> str | None:
    """An IP address as XFORWARD writes it (``IPV6:`` prefix allowed), or ``None``."""
    try:
        return str(ipaddress.ip_address(re.sub(r"(?i)^ipv6:", "", text or "")))
    except ValueError:
        return None


def received_client(head: bytes) -> tuple[str | None, str | None]:
    """(address, HELO name) of the client in the topmost Received field."""
    found = re.search(rb"(?im)^received:((?:[^\n]|\n[ \t])*)", head.partition(b"\r\n\r\n")[0])
    if not found:
        return None, None
    start = _RECEIVED_FROM.match(b" ".join(found[1].split()))
    if not start:
        return None, None
    address = _BRACKETED.search(start[1])
    helo = start[1].split()[0].decode("ascii", "replace") if start[1].split() else None
    return (plain_address(address[1].decode("ascii")) if address else None), helo


_RETURN_PATH = re.compile(rb"(?im)^return-path[ \t]*:[ \t]*<?([^<>\s]*)>?[ \t]*\r?$")
_DELIVERED_TO = re.compile(
    rb"(?im)^(?:delivered-to|x-original-to|envelope-to)[ \t]*:[ \t]*<?([^<>\s,;]{3,320})>?[ \t]*\r?$"
)


def _head(raw: bytes | bytearray) -> bytes:
    """The header of a mail, at most 256 KB of it."""
    head = bytes(raw[: 256 * 1024])
    return re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]


def return_path(raw: bytes | bytearray) -> str | None:
    """The address of the Return-Path field, ``""`` for the null sender, ``None`` without the field."""
    found = _RETURN_PATH.search(_head(raw))
    return found[1].decode("ascii", "replace") if found else None


def delivered_to(raw: bytes | bytearray) -> tuple[str, ...]:
    """The envelope recipients that the mailbox's host wrote down (Delivered-To, X-Original-To, Envelope-To)."""
    found = _DELIVERED_TO.findall(_head(raw))
    return tuple(dict.fromkeys(address.decode("ascii", "replace") for address in found))[:20]


def accepts(recipients: tuple[str, ...], reply_domain: str, is_bounce: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether RCPT is ours: a configured address, any plus-address of one, a bounce address, or postmaster."""
    known = {address.lower() for address in recipients}
    domains = {address.rpartition("@")[2] for address in known} | {reply_domain.lower()}
    locals_ = {address.rpartition("@")[0] for address in known}

    def accept(address: str) -> bool:
        local, at, domain = address.lower().rpartition("@")
        if not at:
            return domain == "postmaster"
        if domain not in domains:
            return False
        if local == "postmaster" or is_bounce(address) or f"{local}@{domain}" in known:
            return True
        base, plus, _ = local.partition("+")
        return bool(plus) and (f"{base}@{domain}" in known or (domain == reply_domain.lower() and base in locals_))

    return accept
