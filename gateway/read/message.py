"""Octets to ``ParsedMessage``: never raises on any input, bounded in time and memory (RFC 5322, 2045-2047, 2231).

The caps are applied to the octets first: whatever is too long, too deep or too many is cut before any parser sees it,
and ``notes`` says so. mail-parser is shown small mails that are in disorder: it names the kind of defect. The killable
reader around this (``gateway/read/reader.py``) is the last belt.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from gateway.mail.header import Fields, decode_words
from gateway.mail.limits import MAX_FIELD, MAX_REFERENCES, MAX_TEXT
from gateway.model import ParsedMessage, mail_start
from gateway.read import bodies
from gateway.read.attachments import files, measured
from gateway.read.clean import clean, clean_line
from gateway.read.reports import report
from gateway.read.structure import PKCS7, Octets, Part, structure

# mail-parser logs what it cannot handle, subjects included; notes say the same without the words
logging.getLogger("mailparser").setLevel(logging.CRITICAL)

MAX_ADDRESSED = 128 * 1024
MAX_DEFECTIVE = 32 * 1024  #: octets of a mail that mail-parser is shown
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
_BARE_ID = re.compile(r"[^\s<>]{3,250}")
_SEPARATORS = re.compile(r"[\s<>,;:\"()\[\]]+")
_KEEP_ONE = ("subject", "message-id", "date", "from", "content-type", "content-transfer-encoding")
_ADDRESSED = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
#: notes that say that the structure was in disorder
_DISORDER = ("boundary", "nobody announced", "several Content-Type")


def parse(raw: Octets) -> ParsedMessage:
    """A mail as values. Never raises; what could not be read is named in ``notes``."""
    notes: list[str] = []
    root = structure(raw, notes)
    if len(raw) <= MAX_DEFECTIVE and any(sign in note for note in notes for sign in _DISORDER):
        notes += _defects(bytes(raw[mail_start(raw) :]))
    reader = bodies.Reader(notes, hint=bodies.charset_of(root))
    found = reader.bodies(root)
    return _values(root, reader, found, notes)


def _defects(data: bytes) -> list[str]:
    """What mail-parser calls the disorder of a small mail."""
    import mailparser  # here: a mail in order is not shown to it

    try:
        return [f"defect: {category}" for category in sorted(mailparser.parse_from_bytes(data).defects_categories)]
    except Exception as error:  # it raises what its author did not foresee
        return [f"mail-parser gave up: {type(error).__name__}"]


def _headers(fields: Fields, hint: str) -> dict[str, tuple[str, ...]]:
    collected: dict[str, list[str]] = {}
    for name, text in fields:
        decoded = decode_words(text, hint) if ("=?" in text or not text.isascii() or "\x1b" in text) else text
        collected.setdefault(name, []).append(clean_line(decoded, MAX_FIELD))
    return {name: tuple(values[:50]) for name, values in collected.items()}


def _first(headers: dict[str, tuple[str, ...]], name: str) -> str:
    return headers.get(name, ("",))[0]


def addresses(text: str) -> list[str]:
    """What can be an address in a field of addresses; linear."""
    found = (piece for piece in _SEPARATORS.split(text[:MAX_ADDRESSED]) if "@" in piece)
    return [piece for piece in found if 3 <= len(piece) <= 455 and piece[0] != "@" and piece[-1] != "@"]


def _values(root: Part, reader: bodies.Reader, found: bodies.Bodies, notes: list[str]) -> ParsedMessage:
    headers = _headers(root.fields, reader.hint)
    notes += [f"repeated header field: {name}" for name in _KEEP_ONE if len(headers.get(name, ())) > 1]
    attachments = tuple(measured(file) for file in files(root, reader))
    plain = "\n\n".join(text.source for text in reader.sources if text.kind == "plain" and text.said)
    pages = "\n".join(text.source for text in reader.sources if text.kind == "html" and text.said)
    ids = _MESSAGE_ID.findall(_first(headers, "message-id")) or _BARE_ID.findall(_first(headers, "message-id"))[:1]
    addressed = " ".join(" ".join(headers.get(name, ())) for name in _ADDRESSED)
    sealed = _sealed(root, plain)
    hidden = any(text.hidden.strip() for text in (*found.chosen, *(text for _, text in found.beside)))
    marks = tuple(said for said, so in ((bodies.DIFFER, found.differ), (bodies.HIDDEN, hidden)) if so)
    notes += [note for note in (sealed, *marks) if note]
    chosen = [text for text in found.chosen if text.said]
    return ParsedMessage(
        message_id=ids[0] if ids else None,
        subject=clean_line(_first(headers, "subject"), 500),
        in_reply_to=tuple(_MESSAGE_ID.findall(" ".join(headers.get("in-reply-to", ())))[:MAX_REFERENCES]),
        references=tuple(_MESSAGE_ID.findall(" ".join(headers.get("references", ())))[-MAX_REFERENCES:]),
        headers=MappingProxyType(headers),
        recipients=tuple(dict.fromkeys(addresses(addressed))),
        date=_date(_first(headers, "date")),
        plain=plain,
        html=pages,
        attachments=attachments,
        content_type=root.declared.value or root.kind,
        report=report(root, headers, plain, addresses(_first(headers, "x-failed-recipients"))),
        signed_or_encrypted=sealed,
        notes=tuple(dict.fromkeys(clean_line(note, 200) for note in notes)),
        words="\n\n".join(text.words for text in chosen)[:MAX_TEXT],
        whole="\n\n".join(text.whole for text in chosen)[:MAX_TEXT],
        beside=clean(bodies.beside(found)),
        marks=marks,
    )


def _sealed(root: Part, plain: str) -> str:
    """What of the mail is signed or encrypted (RFC 8551, 9580), in words for a person; empty for most."""
    kind, parameters = root.declared.value or root.kind, root.declared.parameters
    if kind in ("text/plain", "text/html") and "-----BEGIN PGP " not in plain:
        return ""
    how = "OpenPGP" if "pgp" in parameters.get("protocol", "").lower() else "S/MIME"
    if kind == "multipart/encrypted":
        return f"encrypted ({how}): its words cannot be read"
    if kind in PKCS7:
        opened = bool(root.parts) or parameters.get("smime-type", "").lower() == "signed-data"
        return (
            "signed (S/MIME), its words inside the signature, which was not checked"
            if opened
            else "encrypted (S/MIME): its words cannot be read"
        )
    if kind == "multipart/signed":
        return f"signed ({how}); the signature was not checked"
    if "-----BEGIN PGP MESSAGE-----" in plain:
        return "encrypted (OpenPGP): its words cannot be read"
    return "signed (OpenPGP); the signature was not checked" if "-----BEGIN PGP SIGNED MESSAGE-----" in plain else ""


def _date(value: str) -> datetime | None:
    """The Date field as UTC, or ``None``; for display only, never for a clock."""
    try:
        parsed = parsedate_to_datetime(value[:100])
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC) if 1970 <= parsed.year <= 2100 else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
