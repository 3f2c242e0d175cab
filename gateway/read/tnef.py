"""Outlook's winmail.dat (TNEF, MS-OXTNEF): its words and its files."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gateway.mail.charsets import decode
from gateway.mail.limits import MAX_INSIDE
from gateway.read.formats import rtf_text

MAX_FILES = 200
SIGNATURE = b"\x78\x9f\x3e\x22"
logging.getLogger("tnef-decode").setLevel(logging.CRITICAL + 1)  # it tells of every odd attribute


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a winmail.dat holds: the words, as text or HTML, and (name, content) of each attachment."""

    text: str
    html: str
    attachments: tuple[tuple[str, bytes], ...]


def unpacked(data: bytes) -> Unpacked | None:
    """The content of a winmail.dat; ``None`` when it cannot be read."""
    if not data.startswith(SIGNATURE) or len(data) > MAX_INSIDE:
        return None
    try:
        from tnefparse import TNEF  # here: few mails have any

        found = TNEF(data)
        body, html = found.body, found.htmlbody
        files = tuple(
            (str(one.long_filename() or one.name or ""), bytes(one.data or b""))
            for one in found.attachments[:MAX_FILES]
        )
    except (
        Exception
    ):  # the library raises anything on damaged data, bare Exceptions too: it is a file then, and the mail is read
        return None
    text = decode(body, None)[0] if isinstance(body, bytes) else body or ""
    page = decode(html, None, html=True)[0] if isinstance(html, bytes) else html or ""
    if not text.strip() and not page.strip():
        text = rtf_text(_rtf(found))
    return Unpacked(text, page, files) if text.strip() or page.strip() or files else None


def _rtf(found: object) -> bytes:
    try:
        return bytes(found.rtfbody or b"")  # type: ignore[attr-defined]
    except Exception:  # a library over hostile input: whatever it raises, the mail is read without these words
        return b""
