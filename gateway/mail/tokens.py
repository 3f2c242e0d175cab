"""Ticket references and reply tokens (docs/glossary.md).

A reference is ``T-`` and seven Crockford base32 characters, the last a check character; a token is a plus-address that
carries it with an HMAC over reference and recipient, so that it is of use to that very recipient only.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.mail import keyed

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ = str.maketrans({"O": "0", "I": "1", "L": "1"})
_IN_TEXT = re.compile(r"(?<!\w)[TТ]-([0-9A-Za-z]{7})(?!\w)", re.IGNORECASE)
_BRACKETED = re.compile(rf"\[?({_IN_TEXT.pattern})\]?", re.IGNORECASE)
_TOKEN = re.compile(r"(?i)^[^@\s+]{1,64}\+([0-9a-z]{7})\.([0-9a-z]{1,6})\.([a-z2-7]{26})@")


def check_character(body: str) -> str:
    """The check character of six characters: the sum of i times the i-th value, modulo 31."""
    return ALPHABET[sum(index * ALPHABET.index(char) for index, char in enumerate(body, 1)) % 31]


def new() -> str:
    """A random reference. Uniqueness is the database's business."""
    number = secrets.randbits(30)
    body = "".join(ALPHABET[number >> shift & 31] for shift in range(0, 30, 5))
    return f"T-{body}{check_character(body)}"


def numbered(number: int) -> str:
    """A number of ours in the form of a reference, for a token of its own kind (below 2^30)."""
    body = "".join(ALPHABET[number >> shift & 31] for shift in range(25, -1, -5))
    return f"T-{body}{check_character(body)}"


def number_of(reference: str) -> int:
    """The number of ``numbered``."""
    number = 0
    for char in reference.removeprefix("T-")[:6]:
        number = number << 5 | ALPHABET.index(char)
    return number


def normal(text: str) -> str | None:
    """The reference in its one spelling, or ``None`` when ``text`` is none: case, O/0, I/L/1 and a Cyrillic Т
    allowed."""
    found = _IN_TEXT.fullmatch(text.strip())
    if not found:
        return None
    body = found[1].upper().translate(_READ)
    if any(char not in ALPHABET for char in body) or check_character(body[:6]) != body[6]:
        return None
    return f"T-{body}"


def find(text: str) -> str | None:
    """The first valid reference in a subject."""
    for found in _IN_TEXT.finditer(text):
        reference = normal(found[0])
        if reference is not None:
            return reference
    return None


def without(text: str) -> str:
    """A subject without the valid references in it, and without the brackets around them."""
    return _BRACKETED.sub(lambda found: found[0] if normal(found[1]) is None else "", text)


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed token; whether it is genuine depends on the key and on whom it was made for."""

    reference: str
    key_id: str
    mac: str


CUSTOMER, STAFF, INCIDENT = (
    "token",
    "staff token",
    "incident token",
)  #: whom a token is for: one is never taken for the other


def _mac(secret: bytes, reference: str, recipient: str, whose: str = CUSTOMER) -> str:
    return keyed.tag(secret, f"{whose}\n{reference}\n{recipient.lower()}", 26)


@dataclass(frozen=True, slots=True)
class Mint:
    """What tokens are made with: the desk's ``address``, the ``domain`` that they are at, the key of now by its id."""

    address: str
    domain: str
    key_id: str
    secret: bytes

    def address_of(self, reference: str, recipient: str, whose: str = CUSTOMER) -> str:
        """The Reply-To of one reply: ``support+<reference>.<key>.<mac>@domain``. ``whose``: the customer's, or
        staff's."""
        local = self.address.partition("@")[0]
        tag = f"{reference.removeprefix('T-')}.{self.key_id}.{_mac(self.secret, reference, recipient, whose)}"
        return f"{local}+{tag.lower()}@{self.domain}"


def tokens(addresses: Iterable[str]) -> list[Token]:
    """Every well-formed token in these addresses, in order, without repetition."""
    found: list[Token] = []
    for address in addresses:
        match = _TOKEN.match(address)
        reference = normal("T-" + match[1]) if match else None
        if match and reference is not None:
            token = Token(reference, match[2].lower(), match[3].lower())
            if token not in found:
                found.append(token)
    return found[:20]


def is_bound(token: Token, recipient: str, keys: Mapping[str, bytes], whose: str = CUSTOMER) -> bool:
    """Whether we made this token for this recipient, as a customer or as staff. Compared in constant time."""
    secret = keys.get(token.key_id)
    return secret is not None and hmac.compare_digest(_mac(secret, token.reference, recipient, whose), token.mac)
