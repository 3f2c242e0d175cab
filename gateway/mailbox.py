"""Mailbox addresses: plain local parts (RFC 5322 section 3.4.1; beyond ASCII RFC 6532), domains as A-labels (RFC 5890)."""

from __future__ import annotations

import re
import unicodedata

MAX_LOCAL = 64  #: octets, RFC 5321 section 4.5.3.1.1
_DOT_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*"
)


def visible(text: str) -> bool:
    """Whether what is beyond ASCII can be seen and can be written in one way only: letters, marks, digits, signs, in
    normal form C. So no address beyond ASCII looks like nothing, turns the line round, or equals one in ASCII once it is
    normalised (U+212A is K)."""
    return text.isascii() or (
        unicodedata.is_normalized("NFC", text)
        and all(char.isascii() or (unicodedata.category(char)[0] in "LMNPS" and char != "\ufffd") for char in text)
    )


def plain_local(local: str) -> bool:
    """Whether this is a dot-atom, of ASCII or of visible characters beyond it, of at most 64 octets."""
    return _DOT_ATOM.fullmatch(local) is not None and visible(local) and len(local.encode()) <= MAX_LOCAL


def a_label(domain: str) -> str | None:
    """The domain in lower case and ASCII (UTS 46, not transitional); ``None`` where it has no such form."""
    domain = domain.lower()
    if domain.isascii():
        return domain
    import idna  # here: its tables are large, and most domains come in ASCII

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None


def with_a_label(address: str) -> str:
    """The address with its domain as A-label, where it has one."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{a_label(domain) or domain}"
