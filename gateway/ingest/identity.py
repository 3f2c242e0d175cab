"""The identity of a mail: SHA-256 over the first Message-ID, From, Date and Subject and the body in DKIM-relaxed form
(RFC 6376 section 3.4.4), so that the same mail by two ways is one, and the same Message-ID with other words is two.

A mail with neither Message-ID nor Date says nothing of when it was sent: an alarm in the same words hours later is
another one. Its identity begins with ``~`` and holds for one occasion only (``gateway/database/inbox.py``).
"""

from __future__ import annotations

import hashlib
import re

from gateway.mail import canonical
from gateway.mail.header import fields_at
from gateway.model import UNDATED, mail_start

_NAMES = (b"message-id", b"from", b"date", b"subject")
MAX_HEADER = 1024 * 1024  #: octets of it that are looked at
#: fields that come and go on the way, or say how a mail is to be read and not what it says
_ON_THE_WAY = re.compile(
    rb"(?:received|return-|delivered-|envelope-|x-|dkim-|domainkey-|arc-|authentication-|content-|mime-|list-|resent-"
    rb"|thread-).*|"
    rb"to|cc|bcc|reply-to|sender|in-reply-to|references|precedence|auto-submitted|priority|importance|user-agent"
    rb"|errors-to|feedback-id|"
    rb"organization|comments|keywords"
)


def _header(raw: bytes | bytearray) -> tuple[dict[bytes, bytes], int, list[bytes]]:
    """(first value of each identifying field, as written; start of the body; what may be text).

    The body begins after the first empty line, or at the first line that is no field. Where the empty line is missing,
    lines of the text may look like fields: all are taken for text that no program on the way adds.
    """
    found: dict[bytes, bytes] = {}
    others: list[bytes] = []
    fields, body, empty_line = fields_at(raw, mail_start(raw), MAX_HEADER)
    for written, value in fields:
        name = written.strip().lower()
        if name in _NAMES:
            found.setdefault(name, value)
        elif not empty_line and not _ON_THE_WAY.fullmatch(name):
            others.append(name + b":" + value)
    return found, body, others


def _one_line(value: bytes) -> bytes:
    return canonical.value(value.replace(b"\r", b""))


def digest_of(raw: bytes | bytearray) -> str:
    """The identity: 64 hexadecimal digits, or ``~`` and 50 where the mail has neither Message-ID nor Date."""
    fields, start, others = _header(raw)
    sha = hashlib.sha256()
    values = {name: _one_line(fields.get(name, b"")) for name in _NAMES}
    for name, value in values.items():
        sha.update(name + b":" + value + b"\n")
    for text in others:
        sha.update(_one_line(text) + b"\n")
    for piece in canonical.body(raw, start, relaxed=True):
        sha.update(piece)
    undated = not values[b"message-id"] and not values[b"date"]
    return UNDATED + sha.hexdigest()[:50] if undated else sha.hexdigest()
