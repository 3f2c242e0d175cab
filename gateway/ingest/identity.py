"""The identity of a mail: SHA-256 over the first Message-ID, From, Date and Subject and the body in DKIM-relaxed form
(RFC 6376 section 3.4.4), so that the same mail by two ways is one, and the same Message-ID with other words is two."""

from __future__ import annotations

import hashlib
import re

from gateway.model import mail_start, single_blanks

_NAMES = (b"message-id", b"from", b"date", b"subject")
_BLANKS = re.compile(rb"[ \t]+")
SLICE = 256 * 1024


def _header(raw: bytes | bytearray) -> tuple[dict[bytes, bytes], int]:
    """(first value of each identifying field, unfolded and trimmed; start of the body)."""
    found: dict[bytes, bytes] = {}
    position = mail_start(raw)
    name, value = b"", b""
    limit = min(len(raw), position + 1024 * 1024)
    while position < limit:
        stop = raw.find(b"\n", position, limit)
        stop = limit if stop < 0 else stop + 1
        line = bytes(raw[position:stop])
        if line[:1] in (b" ", b"\t") and name:
            value += line
        else:
            if name in _NAMES and name not in found:
                found[name] = value
            if not line.strip(b"\r\n"):
                return found, stop
            name, _, value = line.partition(b":")
            name = name.strip().lower()
        position = stop
    if name in _NAMES and name not in found:
        found[name] = value
    return found, position


def _body(raw: bytes | bytearray, start: int, sha: object) -> None:
    """Feeds the relaxed body to ``sha`` in slices: bounded memory however long the body or its lines are."""
    update = sha.update  # type: ignore[attr-defined]
    newlines, carry = 0, b""
    for offset in range(start, len(raw), SLICE):
        piece = carry + bytes(raw[offset : offset + SLICE])
        piece = piece.replace(b"\r\n", b"\n")
        piece = single_blanks(piece)
        # what may still change with the next slice waits: blanks or a CR at the very end
        kept = piece.rstrip(b" \r")
        carry = piece[len(kept) :]
        content = kept.rstrip(b"\n")
        if content:
            if newlines:
                update(b"\n" * newlines)
            update(content)
            newlines = 0
        newlines += len(kept) - len(content)
    rest = carry.strip(b" ")
    if rest:
        update(b"\n" * newlines + rest)


def digest_of(raw: bytes | bytearray) -> str:
    """The identity as 64 hexadecimal digits."""
    fields, start = _header(raw)
    sha = hashlib.sha256()
    for name in _NAMES:
        value = _BLANKS.sub(b" ", fields.get(name, b"").replace(b"\r", b"").replace(b"\n", b" ")).strip()
        sha.update(name + b":" + value + b"\n")
    _body(raw, start, sha)
    return sha.hexdigest()
