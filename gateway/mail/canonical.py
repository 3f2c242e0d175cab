"""Simple and relaxed: the two forms in which a signature covers a mail (RFC 6376 section 3.4), whoever made it.

Two mails whose relaxed form is the same are one (``gateway/ingest/identity.py``)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

SLICE = 256 * 1024
_RUNS = re.compile(rb" {2,}")
_RELAXED = {b"simple": False, b"relaxed": True}


class UnknownForm(ValueError):
    """A c= that names neither form."""


def forms(written: bytes) -> tuple[bool, bool]:
    """Whether the header, and the body, are relaxed by this ``c=``; a body of which it says nothing is simple (RFC 6376
    section 3.5). UnknownForm for anything else."""
    header, slash, body = written.partition(b"/")
    try:
        return _RELAXED[header], _RELAXED[body if slash else b"simple"]
    except KeyError as error:
        raise UnknownForm("c= names an unknown form") from error


def value(written: bytes) -> bytes:
    """The value of a field in relaxed form, without a line end (RFC 6376 section 3.4.2)."""
    return _runs(written.replace(b"\r\n", b"").replace(b"\n", b"")).strip(b" ")


def field(name: bytes, written: bytes, relaxed: bool) -> bytes:
    """``name:value`` with its line end. ``written``: what follows the colon, with its own line end (RFC 6376 sections
    3.4.1, 3.4.2)."""
    return b"%s:%s\r\n" % (name.lower().rstrip(), value(written)) if relaxed else b"%s:%s" % (name, written)


def body(raw: bytes | bytearray, start: int, relaxed: bool) -> Iterator[bytes]:
    """The body from ``start`` on, slice by slice, with ``\\n`` for line ends and without those at its end (RFC 6376
    sections 3.4.3, 3.4.4): whatever a body of 25 MB holds, no slice takes more than a few milliseconds and nothing is
    held twice. Bare newlines count as line ends."""
    newlines, carry = 0, b""
    for offset in range(start, len(raw), SLICE):
        piece = (carry + bytes(raw[offset : offset + SLICE])).replace(b"\r\n", b"\n")
        if relaxed:
            piece = _runs(piece).replace(b" \n", b"\n")
        kept = _settled(piece, relaxed, offset + SLICE >= len(raw))
        carry = piece[len(kept) :]
        content = kept.rstrip(b"\n")
        if content:
            yield b"\n" * newlines + content if newlines else content
            newlines = 0
        newlines += len(kept) - len(content)


def _settled(piece: bytes, relaxed: bool, last: bool) -> bytes:
    """What no further slice can change: a CR, or a blank before it or at the end, waits for the next. No more than
    these two octets do, or a body of CRs would be copied for each slice."""
    kept = piece if last else piece.removesuffix(b"\r")
    return kept.removesuffix(b" ") if relaxed else kept


def _runs(piece: bytes) -> bytes:
    """Each run of blanks as one (RFC 6376 sections 3.4.2, 3.4.4). Most mail has none."""
    if b"\t" in piece:
        piece = piece.replace(b"\t", b" ")
    return _RUNS.sub(b" ", piece) if b"  " in piece else piece


def body_digest(raw: bytes | bytearray, start: int, relaxed: bool) -> tuple[bytes, int]:
    """(SHA-256, length) of the canonical body, its line ends CRLF: one at its end, where an empty body has one in the
    simple form only."""
    sha, length = hashlib.sha256(), 0
    for piece in body(raw, start, relaxed):
        written = piece.replace(b"\n", b"\r\n")
        sha.update(written)
        length += len(written)
    if length or not relaxed:
        sha.update(b"\r\n")
        length += 2
    return sha.digest(), length
