"""What the cells of the account directory mean: each is read here, without a look at any other row."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator

from gateway.mail.address import one_spelling, plain_domain, plain_local

ROLES = frozenset(("owner", "billing", "support", "abuse"))
STATUSES = frozenset(
    ("unprocessed", "processing", "active", "cancelled", "suspended_violation", "suspended_payment", "processed")
)
_LANGUAGE = re.compile(r"([a-z]{2})(?:[-_][a-z0-9_-]+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NO_WORDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  #: a line end too: it is no part of a number or a word
_NUL = re.compile("\0")
_MAY_HOLD = {"name": _NUL, "ips": _CONTROL}  #: people write names, and addresses one a line
_NARROWEST = {4: 16, 6: 24}  #: of an order's network, in bits
_NOBODYS = ("loopback", "multicast", "link_local", "unspecified", "reserved")
_MAPPED = 96  #: bits before the IPv4 address in an IPv6 one (RFC 4291 section 2.5.5.2)
_BITS = re.compile(r"[0-9]{1,3}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def language_of(text: str) -> str:
    """The two letters of a language (``de``, ``DE``, ``de-DE``, ``de_DE.utf8``); ``""`` where it is none."""
    found = _LANGUAGE.fullmatch(text.lower().partition(".")[0])
    return found[1] if found else ""


def one_line(name: str) -> str:
    """A name without control characters and line ends."""
    return " ".join(_CONTROL.sub(" ", name).split())


def unwritable(columns: tuple[str, ...], row: list[str]) -> str:
    """The first column with a character that nobody can write or show, such as NUL, or with a line end where there is
    one word; ``""`` where there is none."""
    if not _NO_WORDS.search(" ".join(row)):
        return ""
    cells = zip(columns, row, strict=True)
    return next((column for column, cell in cells if _MAY_HOLD.get(column, _NO_WORDS).search(cell)), "")


def address_fault(address: str, ours: frozenset[str]) -> str:
    """What is wrong with an address of an account, or ``""``: one that no author can have would match nobody."""
    local, at, domain = address.rpartition("@")
    composed = unicodedata.normalize("NFC", local)
    if not (at and plain_local(composed) and composed.isascii() == local.isascii()):
        return "is not an email address that a mail can come from"
    if local.startswith("*") or local.endswith("*"):
        return "is a pattern, not an email address"
    host = plain_domain(domain)
    if host is None or "." not in host:
        return "is not an email address: its domain is no domain name"
    name, _, host = one_spelling(address).rpartition("@")
    return "is our own address" if f"{name.partition('+')[0]}@{host}" in ours else ""


def network_of(text: str) -> tuple[Address, int]:
    """(first address, bits) of an address, or of a network as ``address/bits``. An address with the length of the
    network it lies in, as panels show it, is that address alone; an IPv4 address in IPv6 (``::ffff:203.0.113.7``) is
    the IPv4 one.

    Raises:
        ValueError: it is neither.
    """
    base, slash, bits = text.partition("/")
    if "%" in base or (slash and not _BITS.fullmatch(bits)):
        raise ValueError(f"{text!r} is neither an address nor a network as ADDRESS/BITS")
    address: Address = ipaddress.ip_address(base)
    length = int(bits) if slash else address.max_prefixlen
    if length > address.max_prefixlen:
        raise ValueError(f"{text!r}: an address has {address.max_prefixlen} bits")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None and length >= _MAPPED:
        address, length = address.ipv4_mapped, length - _MAPPED
    beyond = int(address) & ((1 << (address.max_prefixlen - length)) - 1)
    return address, address.max_prefixlen if beyond else length


def networks(text: str) -> Iterator[tuple[int, int, bytes]]:
    """(version, bits, octets) of the networks of an order. ValueError: one is none, or nobody's own."""
    for item in text.split():
        first, bits = network_of(item)
        if bits < _NARROWEST[first.version]:
            number = 1 << (first.max_prefixlen - bits)
            raise ValueError(f"{item} is {number} addresses: larger than one order can be")
        kind = next((kind for kind in _NOBODYS if getattr(first, f"is_{kind}")), "")
        if kind or int(first) == 0:
            raise ValueError(f"{item} is no address of a customer ({kind or 'unspecified'})")
        yield first.version, bits, first.packed
