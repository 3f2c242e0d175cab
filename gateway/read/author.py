"""The author of a mail, by a strict grammar over the raw header bytes (RFC 5322 section 3.6.2).

The only source of the sender for verification, account matching, reply address and display. Not exactly one From field
with exactly one plain addr-spec is ``malformed``; several From fields or addresses, or hidden ones, are ``forged``. A
display name with specials that are not quoted, as many programs write it, is no fault while one address stands in angle
brackets and nothing else in the field could be one.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

from gateway.mail.address import lexed, plain_domain, plain_local
from gateway.mail.header import decode_words, named
from gateway.model import Author, AuthorStatus, mail_start

MAX_FROM = 4096
_HIDDEN = re.compile(rb"\r[ \t\x00]*from[ \t\x00]*:", re.IGNORECASE)
_NUL_NAME = re.compile(rb"(?:\A|\n)[^:\n]{0,10}f[\x00]*r[\x00]*o[\x00]*m[ \t]*\x00[ \t\x00]*:", re.IGNORECASE)
_LEADING = re.compile(rb"(?:[ \t][^\n]*\n|[\r\f\v][ \t\r\f\v]*\n|\n)*?[ \t][ \t\r\f\v]*from", re.IGNORECASE)
_FOLDED_NAME = re.compile(
    rb"\n(?:[\r\f\v][ \t\r\f\v]*)?from[ \t\r\f\v]*\n(?:[ \t][^\n]*\n)*?[ \t][ \t\r\f\v]*:", re.IGNORECASE
)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]{0,2000})\?=")

MAX_NAME = 1000  #: characters of a display name that are read


def forged(reason: str) -> Author:
    """An author that somebody tried to hide or double."""
    return Author(AuthorStatus.FORGED, None, "", reason)


def malformed(reason: str) -> Author:
    """A From header that names nobody."""
    return Author(AuthorStatus.MALFORMED, None, "", reason)


def author_of(header_block: bytes) -> Author:
    """The author from the raw header block (everything before the empty line). Never raises, linear in its input."""
    header_block = header_block[mail_start(header_block) :]
    if trick := _trick(header_block):
        return forged(trick)
    fields = _fields(header_block, b"from")
    if not fields:
        return malformed("no From header field")
    if len(fields) > 1:
        return forged(f"{len(fields)} From header fields")
    value = fields[0]
    if b"\x00" in value:
        return forged("NUL in the From header field")
    if b"\r" in value.replace(b"\r\n", b""):
        return forged("bare CR in the From header field")
    if len(value) > MAX_FROM:
        return malformed("the From header field is too long")
    return _mailbox(re.sub(rb"\r?\n", b"", value).decode("utf-8", "replace"))


def who_is_named(header_block: bytes) -> list[str]:
    """The values of every From field, or of every Sender field where there is none, unfolded: for who looks for
    somebody that is not wanted, where ``author_of`` names nobody."""
    block = header_block[mail_start(header_block) :]
    values = _fields(block, b"from") or _fields(block, b"sender")
    return [re.sub(rb"\r?\n", b"", value).decode("utf-8", "replace") for value in values]


def _fields(block: bytes, name: bytes) -> list[bytes]:
    """The values of every field of that name, each with its line end."""
    return [value + b"\n" for _, value in named(block, name)]


def _trick(block: bytes) -> str:
    """The trick that hides a From field from some programs and shows it to others, or ``""``."""
    if _HIDDEN.search(block.replace(b"\r\n", b"\n")):
        return "a From header field hidden behind a bare CR"
    if _NUL_NAME.search(block):
        return "a NUL in the name of a From header field"
    if _LEADING.match(block):
        return "a From header field hidden behind a leading blank"
    return "a From header field with its name folded" if _FOLDED_NAME.search(b"\n" + block) else ""


def _mailbox(value: str) -> Author:
    strict = _by_grammar(value)
    if strict.status is AuthorStatus.MALFORMED:
        return _unambiguous(value) or strict
    return strict


def _unambiguous(value: str) -> Author | None:
    """The author by the only thing that can be an address: one pair of angle brackets, and no ``@`` but in it.

    Where quotes and comments are balanced, brackets inside them are none.
    """
    if value.count("<") != 1 or value.count(">") != 1 or value.count("@") != 1:
        return None
    tokens = lexed(value.strip())
    if tokens is not None and ("special", "<") not in tokens:
        return None
    name, _, rest = value.partition("<")
    spec, _, behind = rest.partition(">")
    if (
        _may_hold_an_address(f"{name} {behind}")
        or "@" not in spec
        or not spec.strip()
        or any(char in spec.strip() for char in ' \t"(),:;\\[]')
    ):
        return None
    words = " ".join(f"{name} {behind}".replace('"', " ").split()).strip(" ,;:\\")
    found = _author(spec.strip(), words)
    return found if found.status is AuthorStatus.OK else None


def _may_hold_an_address(name: str) -> bool:
    """Whether a display name has an ``@`` that shows when it is displayed: in encoded words (RFC 2047), or in a form
    that looks so."""
    if "@" in unicodedata.normalize("NFKC", name):
        return True
    for charset, encoding, text in _ENCODED_WORD.findall(name):
        try:
            data = binascii.a2b_base64(text + "==") if encoding in "bB" else binascii.a2b_qp(text, header=True)
        except (ValueError, binascii.Error):
            return True
        if not charset.lower().startswith(
            ("utf-8", "iso-", "windows-", "koi8", "us-ascii", "gb", "big5", "shift", "euc", "ks_c")
        ):
            return True  # a charset in which an @ may be written otherwise
        if b"@" in data or "@" in unicodedata.normalize("NFKC", data.decode("utf-8", "replace")):
            return True
    return False


def _by_grammar(value: str) -> Author:
    tokens = lexed(value.strip())
    if tokens is None:
        return malformed("unbalanced quotes or comments in the From header field")
    parts = [token for token in tokens if token[0] != "comment"]
    if not parts:
        return malformed("an empty From header field")
    kinds = [text for kind, text in parts if kind == "special"]
    if "," in kinds or ";" in kinds:
        several = sum("@" in text for kind, text in parts if kind == "word") > 1
        if several:
            return forged("several addresses in the From header field")
        return malformed("a list or group in the From header field")
    if kinds == []:
        if len(parts) != 1 or parts[0][0] != "word":
            return malformed("no single address in the From header field")
        return _author(parts[0][1], "")
    return _in_brackets(parts, kinds)


def _in_brackets(parts: list[tuple[str, str]], kinds: list[str]) -> Author:
    """``name <address>`` and nothing else."""
    if kinds != ["<", ">"] or parts[-1] != ("special", ">"):
        return malformed("the From header field is no plain name <address>")
    opening = parts.index(("special", "<"))
    inside, phrase = parts[opening + 1 : -1], parts[:opening]
    if len(inside) != 1 or inside[0][0] != "word":
        return malformed("no plain address between < and >")
    named = " ".join(text for _, text in phrase)
    for kind, text in phrase:
        if kind == "word" and "@" in text and text.lower() != inside[0][1].lower():
            return malformed("an unquoted @ in the display name is another address")
    return _author(inside[0][1], named)


def _author(spec: str, name: str) -> Author:
    local, at, domain = spec.rpartition("@")
    if not at:
        return malformed("no address in the From header field")
    if not plain_local(local):
        return malformed("the local part of the address is not plain")
    host = plain_domain(domain)
    if host is None:
        return malformed("the domain of the address is no domain name")
    return Author(AuthorStatus.OK, f"{local}@{host}", _shown(name), "")


def _shown(name: str) -> str:
    """A display name as people read it (RFC 2047), one line without controls. Who it is does not depend on it."""
    decoded = decode_words(name[:MAX_NAME]) if "=?" in name or not name.isascii() else name
    return " ".join("".join(char if char.isprintable() else " " for char in decoded).split())
