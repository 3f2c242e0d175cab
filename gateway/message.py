"""Bytes to ``ParsedMessage``: never raises on any input, bounded in time and memory (RFC 5322, 2045-2047, 2231).

mail-parser runs over the stdlib's compat32 message; the message beneath is read for what mail-parser gets wrong (raw
8-bit headers, repeated Subject, charsets, parts without a boundary). Caps are applied to the bytes first: whatever is
too long, too deep or too many is cut before any parser sees it, and ``notes`` says so. The killable reader around this
module (``gateway/reader.py``) is the last belt.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import email
import hashlib
import logging
import mimetypes
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.utils import parsedate_to_datetime
from html import escape
from types import MappingProxyType

import mailparser

from gateway import unpack
from gateway.model import Attachment, DeliveryReport, ParsedMessage, mail_start

# mail-parser logs what it cannot handle, subjects included; notes say the same without the words
logging.getLogger("mailparser").setLevel(logging.CRITICAL)

MAX_HEADER_BLOCK = 256 * 1024
MAX_FIELD = 32 * 1024
MAX_FIELDS = 1000
MAX_PARTS = 1000
MAX_DEPTH = 50
MAX_TEXT = 256 * 1024
MAX_REFERENCES = 50
WHOLE = 512 * 1024  #: mails up to this size, if not odd, are parsed as they are

_CHARSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso-8859-8",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "windows-874": "cp874",
    "utf8": "utf-8",
    "utf-7": "utf-7",
    "unicode-1-1-utf-7": "utf-7",
}
_PLAIN_CODECS = frozenset(
    [
        "utf-8",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-7",
        "big5",
        "big5hkscs",
        "cp932",
        "cp949",
        "euc-jp",
        "gb18030",
        "hz",
        "iso-2022-jp",
        "iso-2022-jp-1",
        "iso-2022-jp-2",
        "iso-2022-kr",
        "koi8-r",
        "koi8-u",
        "koi8-t",
        "mac-roman",
        "macintosh",
        "mac-cyrillic",
        "tis-620",
        "ptcp154",
        "kz1048",
        "cp437",
        "cp850",
        "cp852",
        "cp855",
        "cp862",
        "cp866",
        "cp874",
        "cp1250",
        "cp1251",
        "cp1252",
        "cp1253",
        "cp1254",
        "cp1255",
        "cp1256",
        "cp1257",
        "cp1258",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1253",
        "windows-1254",
        "windows-1255",
        "windows-1256",
        "windows-1257",
        "windows-1258",
        "iso-8859-2",
        "iso-8859-3",
        "iso-8859-4",
        "iso-8859-5",
        "iso-8859-6",
        "iso-8859-7",
        "iso-8859-8",
        "iso-8859-10",
        "iso-8859-11",
        "iso-8859-13",
        "iso-8859-14",
        "iso-8859-15",
        "iso-8859-16",
    ]
)
_ENCODED_WORD = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufff9-\ufffb]")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c]")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]]{1,200}@[^\s<>,;:\"()\[\]]{1,255}")
_KEEP_ONE = ("subject", "message-id", "date", "from")


def clean(text: str) -> str:
    """Text without NUL, control characters, surrogates and direction overrides; line ends become ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _DIRECTION.sub("", _CONTROLS.sub("", text))


def clean_line(text: str, limit: int = 1000) -> str:
    """One line of at most ``limit`` characters, blanks collapsed."""
    return " ".join(clean(text[: limit * 4]).split())[:limit]


def decode_bytes(data: bytes, charset: str | None) -> tuple[str, bool]:
    """Text from octets; the second value is true when the declared charset was not the one that worked."""
    name = (charset or "").strip().strip("\"'").lower()
    codec = _CHARSETS.get(name, name)
    if codec == "cp1252" or codec not in _PLAIN_CODECS:
        # nothing usable was declared, or the label most often put on anything: real UTF-8 shows itself
        try:
            return data.decode("utf-8"), codec not in ("utf-8", "cp1252")
        except UnicodeDecodeError:
            return data.decode("cp1252", "replace"), codec != "cp1252"
    try:
        return data.decode(codec), False
    except (UnicodeError, LookupError):
        pass
    try:
        return data.decode("utf-8"), True
    except UnicodeDecodeError:
        return data.decode(codec, "replace"), True


def _octets(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def decode_words(value: str) -> str:
    """RFC 2047 decoding of a header value that may hold raw 8-bit octets as surrogates.

    Neighbouring words of one charset are joined as octets first, because senders split inside a character.
    """
    pieces: list[str] = []
    pending: list[bytes] = []
    pending_charset = ""
    end = 0

    def flush() -> None:
        if pending:
            pieces.append(decode_bytes(b"".join(pending), pending_charset)[0])
            pending.clear()

    for found in _ENCODED_WORD.finditer(value):
        between = value[end : found.start()]
        if between.strip():
            flush()
            pieces.append(_raw_text(between))
        elif not pending and end == 0:
            pieces.append(_raw_text(between))
        elif not pending and between:
            pieces.append(between)
        charset, encoding, text = found[1].lower(), found[2].lower(), found[3]
        if encoding == "b":
            data = _base64(_octets(text))
        else:
            data = re.sub(
                rb"=([0-9A-Fa-f]{2})", lambda hexed: bytes([int(hexed[1], 16)]), _octets(text).replace(b"_", b" ")
            )
        if pending and charset != pending_charset:
            flush()
        pending_charset = charset
        pending.append(data)
        end = found.end()
    flush()
    pieces.append(_raw_text(value[end:]))
    return "".join(pieces)


def _raw_text(value: str) -> str:
    if value.isascii():
        return value
    return decode_bytes(_octets(value), None)[0]


def _base64(data: bytes) -> bytes:
    stripped = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    stripped = stripped[: len(stripped) - (1 if len(stripped) % 4 == 1 else 0)]
    try:
        return base64.b64decode(stripped + b"=" * (-len(stripped) % 4))
    except binascii.Error:
        return b""


# --------------------------------------------------------------------------- layer 0: bytes


def header_end(raw: bytes | bytearray | memoryview, start: int = 0, limit: int | None = None) -> tuple[int, int]:
    """(end of the header block, start of the body): the first empty line, or the first line that is no field."""
    data = bytes(raw[start : start + (limit or MAX_HEADER_BLOCK * 4)])
    position, seen = 0, False
    while position < len(data):
        newline = data.find(b"\n", position)
        stop = len(data) if newline < 0 else newline + 1
        line = data[position:stop]
        if line in (b"\r\n", b"\n", b"\r"):
            return start + position, start + stop
        if line[:1] in (b" ", b"\t"):
            pass
        elif _FIELD.match(line) is None and not line.startswith((b"From ", b">From ")) and line.strip(b"\r\n \t"):
            if seen or position == 0:
                return start + position, start + position
        else:
            seen = True
        position = stop
    return start + len(data), start + len(data)


def _capped_header(block: bytes, notes: list[str]) -> bytes:
    """The header block within the caps: whole fields only, long ones cut."""
    if len(block) <= MAX_FIELD and block.count(b"\n") <= MAX_FIELDS:
        return block
    fields: list[bytes] = []
    current = bytearray()
    total = 0
    for line in block.split(b"\n"):
        if line[:1] in (b" ", b"\t") and fields:
            if len(fields[-1]) < MAX_FIELD:
                current += line + b"\n"
                fields[-1] = bytes(current[:MAX_FIELD]) if len(current) > MAX_FIELD else bytes(current)
            continue
        total += len(fields[-1]) if fields else 0
        if len(fields) >= MAX_FIELDS or total > MAX_HEADER_BLOCK:
            break
        current = bytearray(line[:MAX_FIELD] + b"\n")
        fields.append(bytes(current))
    capped = b"".join(part if part.endswith(b"\n") else part + b"\r\n" for part in fields)
    if len(capped) < len(block) - 2:
        notes.append("header cut to the limits")
    return capped


@dataclass(slots=True)
class _Leaf:
    """A part without sub-parts, as offsets into the raw mail."""

    header: bytes
    start: int
    end: int


def _content_header(block: bytes) -> Message:
    return email.message_from_bytes(block)


def _leaves(raw: bytes | bytearray, body: int, top: bytes, notes: list[str]) -> list[_Leaf]:
    """The leaf parts of an oversized or odd mail, found by boundary lines alone; iterative and capped."""
    found: list[_Leaf] = []
    stack: list[tuple[bytes, int, int, int]] = [(top, body, len(raw), 0)]
    while stack:
        header, start, end, depth = stack.pop()
        message = _content_header(header)
        boundary = (message.get_boundary() or "") if message.get_content_maintype() == "multipart" else ""
        if not boundary or depth >= MAX_DEPTH:
            if depth >= MAX_DEPTH:
                notes.append("nested too deep")
            found.append(_Leaf(header, start, end))
        else:
            sections = _sections(raw, start, end, boundary.encode("utf-8", "surrogateescape"))
            if not sections:
                notes.append("multipart without its boundary")
                found.append(_Leaf(b"Content-Type: text/plain\r\n\r\n", start, end))
            for first, last in reversed(sections):
                head_end, body_start = header_end(raw, first, min(MAX_FIELD, last - first))
                body_start = min(body_start, last)
                stack.append((bytes(raw[first : min(head_end, last)]) + b"\r\n", body_start, last, depth + 1))
        if len(found) + len(stack) > MAX_PARTS:
            notes.append("too many parts")
            break
    return found[:MAX_PARTS]


def _sections(raw: bytes | bytearray, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    marker = b"--" + boundary
    sections: list[tuple[int, int]] = []
    opened = -1
    position = raw.find(marker, start, end)
    while position >= 0:
        line_end = raw.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end + 1
        if position == start or raw[position - 1 : position] == b"\n":
            rest = bytes(raw[position + len(marker) : min(line_end, position + len(marker) + 100)]).strip()
            if rest in (b"", b"--"):
                if opened >= 0:
                    sections.append((opened, max(opened, _before_break(raw, position))))
                opened = line_end if rest == b"" else -1
                if rest == b"--" or len(sections) > MAX_PARTS:
                    break
        position = raw.find(marker, max(line_end, position + 1), end)
    if opened >= 0:
        sections.append((opened, end))
    return sections


def _before_break(raw: bytes | bytearray, position: int) -> int:
    """Where the line before this one ends: the line break before a delimiter belongs to it (RFC 2046 section 5.1.1)."""
    return position - (2 if raw[position - 2 : position] == b"\r\n" else 1)


def _decoded(raw: bytes | bytearray, leaf: _Leaf, encoding: str) -> Iterator[bytes]:
    """The decoded content of a leaf, piece by piece."""
    carry = b""
    for offset in range(leaf.start, leaf.end, MAX_TEXT):
        piece = bytes(raw[offset : min(offset + MAX_TEXT, leaf.end)])
        if encoding == "base64":
            piece = carry + re.sub(rb"[^A-Za-z0-9+/]", b"", piece)
            usable = len(piece) - len(piece) % 4
            yield _base64(piece[:usable])
            carry = piece[usable:]
        elif encoding == "quoted-printable":
            piece = carry + piece
            usable = piece.rfind(b"\n") + 1
            yield binascii.a2b_qp(piece[:usable])
            carry = piece[usable:]
        else:
            yield piece
    yield _base64(carry) if encoding == "base64" else binascii.a2b_qp(carry)


def _digest(raw: bytes | bytearray, leaf: _Leaf, encoding: str) -> tuple[int, str]:
    """Decoded size and SHA-256 of a long leaf."""
    sha, size = hashlib.sha256(), 0
    for piece in _decoded(raw, leaf, encoding):
        sha.update(piece)
        size += len(piece)
    return size, sha.hexdigest()


def _encoding(message: Message) -> str:
    return str(message.get("content-transfer-encoding", "")).strip().lower()


def _slim(
    raw: bytes | bytearray, block: bytes, body: int, notes: list[str]
) -> tuple[bytes, dict[int, tuple[int, str]]]:
    """A small mail with the same parts in the same order, and (size, SHA-256) of each part that was cut."""
    leaves = _leaves(raw, body, block, notes)
    cut: dict[int, tuple[int, str]] = {}
    parts: list[bytes] = []
    text_left = MAX_TEXT
    for index, leaf in enumerate(leaves):
        message = _content_header(leaf.header)
        kind = message.get_content_type()
        encoding = _encoding(message)
        length = leaf.end - leaf.start
        is_text = kind in ("text/plain", "text/html") or kind.startswith("message/delivery")
        allowed = min(length, text_left if is_text else 4096)
        content = bytes(raw[leaf.start : leaf.start + allowed])
        if is_text:
            text_left -= allowed
        if allowed < length:
            cut[index] = _digest(raw, leaf, encoding)
            if is_text:
                notes.append("text cut to the limit")
        header = leaf.header
        if message.get_content_maintype() in ("multipart", "message") and not is_text:
            header = b"Content-Type: application/octet-stream\r\n" + _without_type(header)
        if len(leaves) == 1:
            return header.rstrip(b"\r\n") + b"\r\n\r\n" + content, cut
        parts.append(header.rstrip(b"\r\n") + b"\r\n\r\n" + content)
    boundary = b"=_slim_" + hashlib.sha256(block).hexdigest()[:32].encode()
    whole = [_without_type(block).rstrip(b"\r\n"), b'\r\nContent-Type: multipart/mixed; boundary="', boundary, b'"\r\n']
    for part in parts:
        whole += [b"\r\n--", boundary, b"\r\n", part]
    return b"".join([*whole, b"\r\n--", boundary, b"--\r\n"]), cut


def _without_type(block: bytes) -> bytes:
    return re.sub(rb"(?im)^content-type[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", b"", block)


# --------------------------------------------------------------------------- parsing


def parse(raw: bytes | bytearray) -> ParsedMessage:
    """A mail as values. Never raises; what could not be read is named in ``notes``."""
    notes: list[str] = []
    start = mail_start(raw)
    head_end, body = header_end(raw, start)
    block = bytes(raw[start:head_end])
    if len(block) > MAX_HEADER_BLOCK:
        block, notes = block[:MAX_HEADER_BLOCK], ["header cut to the limits"]
    block = _capped_header(block, notes)
    sample = bytes(raw[body : body + WHOLE])
    small = (block + sample).lower()
    nested = small.count(b"multipart/") + small.count(b"message/rfc822")
    odd = (
        len(raw) > WHOLE
        or "header cut to the limits" in notes
        or nested > MAX_DEPTH
        or sample.count(b"\n--") > MAX_PARTS
    )
    cut: dict[int, tuple[int, str]] = {}
    if odd:
        data, cut = _slim(raw, block, body, notes)
    else:
        data = block + (b"" if block.endswith(b"\n") or not block else b"\r\n") + b"\r\n" + bytes(raw[body:])
    message = _message(data, notes, headers_only=not nested and not odd and b"message/" not in small)
    return _values(message, raw, body, cut, notes)


def _message(data: bytes, notes: list[str], headers_only: bool) -> Message:
    """The compat32 message. Where its parser found a defect, mail-parser says what kind it is; it costs eight times
    as much, so a mail in order is not shown to it. ``headers_only``: it has no parts, so nothing is looked for below."""
    try:
        message = BytesParser().parsebytes(data, headersonly=headers_only)
    except Exception as error:  # the header alone always parses
        notes.append(f"structure not readable: {type(error).__name__}")
        return email.message_from_bytes(data[: header_end(data)[0]])
    if any(part.defects for part in message.walk()):
        try:
            for category in sorted(mailparser.parse_from_bytes(data).defects_categories):
                notes.append(f"defect: {category}")
        except Exception as error:  # mail-parser raises what its author did not foresee
            notes.append(f"mail-parser gave up: {type(error).__name__}")
    return message


def _headers(message: Message) -> dict[str, tuple[str, ...]]:
    collected: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        text = str(value)
        decoded = decode_words(text) if ("=?" in text or not text.isascii()) else text
        collected.setdefault(name.lower(), []).append(clean_line(decoded, MAX_FIELD))
    return {name: tuple(values[:50]) for name, values in collected.items()}


def _first(headers: dict[str, tuple[str, ...]], name: str) -> str:
    return headers.get(name, ("",))[0]


def _values(
    message: Message, raw: bytes | bytearray, body: int, cut: dict[int, tuple[int, str]], notes: list[str]
) -> ParsedMessage:
    headers = _headers(message)
    for name in _KEEP_ONE:
        if len(headers.get(name, ())) > 1:
            notes.append(f"repeated header field: {name}")
    plain, html, attachments = _bodies(message, cut, notes)
    ids = (
        _MESSAGE_ID.findall(_first(headers, "message-id"))
        or re.findall(r"[^\s<>]{3,250}", _first(headers, "message-id"))[:1]
    )
    addressed = " ".join(
        " ".join(headers.get(name, ())) for name in ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
    )
    kind = message.get_content_type()
    sealed = _sealed(message, kind, plain)
    if sealed:
        notes.append(sealed)
    return ParsedMessage(
        message_id=ids[0] if ids else None,
        subject=clean_line(_first(headers, "subject"), 500),
        in_reply_to=tuple(_MESSAGE_ID.findall(" ".join(headers.get("in-reply-to", ())))[:MAX_REFERENCES]),
        references=tuple(_MESSAGE_ID.findall(" ".join(headers.get("references", ())))[-MAX_REFERENCES:]),
        headers=MappingProxyType(headers),
        recipients=tuple(dict.fromkeys(_ADDRESS.findall(addressed[: MAX_FIELD * 4]))),
        date=_date(_first(headers, "date")),
        plain=plain,
        html=html,
        attachments=tuple(attachments),
        content_type=kind,
        report=_report(message, headers, plain),
        signed_or_encrypted=sealed,
        bare_newlines=_bare_newlines(raw),
        notes=tuple(dict.fromkeys(notes)),
    )


def _sealed(message: Message, kind: str, plain: str) -> str:
    """What of the mail is signed or encrypted (RFC 8551, 9580), in words for a person; empty for most."""
    if kind in ("text/plain", "text/html") and "-----BEGIN PGP " not in plain:
        return ""
    protocol = str(message.get_param("protocol", "") or "").lower()
    how = "OpenPGP" if "pgp" in protocol else "S/MIME"
    if kind == "multipart/encrypted":
        return f"encrypted ({how}): its words cannot be read"
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        opaque = str(message.get_param("smime-type", "") or "").lower() == "signed-data"
        return (
            "signed (S/MIME), its words inside the signature"
            if opaque
            else "encrypted (S/MIME): its words cannot be read"
        )
    if kind == "multipart/signed":
        return f"signed ({how}); the signature was not checked"
    if "-----BEGIN PGP MESSAGE-----" in plain:
        return "encrypted (OpenPGP): its words cannot be read"
    return "signed (OpenPGP); the signature was not checked" if "-----BEGIN PGP SIGNED MESSAGE-----" in plain else ""


def _bare_newlines(raw: bytes | bytearray) -> bool:
    pairs = raw.count(b"\r\n")
    return raw.count(b"\n") != pairs or raw.count(b"\r") != pairs


def _date(value: str) -> datetime | None:
    """The Date field as UTC, or ``None``; for display only, never for a clock."""
    try:
        parsed = parsedate_to_datetime(value[:100])
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC) if 1970 <= parsed.year <= 2100 else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _leaf_parts(message: Message) -> list[Message]:
    """Leaf parts in order, iterative; attached messages count as one leaf."""
    leaves: list[Message] = []
    stack: list[Message] = [message]
    while stack and len(leaves) < MAX_PARTS:
        part = stack.pop()
        # get_payload() of a leaf decodes by its charset, and raises for some: only containers are asked
        if not part.is_multipart() or part.get_content_maintype() == "message":
            leaves.append(part)
        else:
            stack.extend(reversed([item for item in part.get_payload() if isinstance(item, Message)]))
    return leaves


_MAILS = ("message/rfc822", "message/global")
_HEADERS = ("text/rfc822-headers", "message/global-headers")
_STATUS = ("message/delivery-status", "message/global-delivery-status")
#: parts for machines: no words of the author's, and no attachments
_TOLD = (*_HEADERS, *_STATUS, "message/disposition-notification", "message/global-disposition-notification")
_ENCODED: dict[str, Callable[[bytes], bytes]] = {"base64": binascii.a2b_base64, "quoted-printable": binascii.a2b_qp}


def _payload(part: Message) -> bytes:
    if part.is_multipart():
        whole = b"\r\n".join(_bytes(item) for item in part.get_payload() if isinstance(item, Message))
        decode = _ENCODED.get(_encoding(part))
        encoded = decode is binascii.a2b_qp or b":" not in whole  # some say base64 and are none
        if decode is not None and encoded and part.get_content_type() in (*_MAILS, *_TOLD):
            with contextlib.suppress(binascii.Error):  # RFC 6532 section 3.7 allows it
                return decode(whole)
        return whole
    try:
        payload = part.get_payload(decode=True)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError):
        payload = None
    return payload if isinstance(payload, bytes) else b""


class _AsItCame(Compat32):
    """Writes a message out with its fields as they were read: folding them anew costs most of the reading of a bounce, and
    breaks the signatures of a mail that was attached."""

    verify_generated_headers = False

    def fold_binary(self, name: str, value: str) -> bytes:
        """The field, its line ends where they were."""
        return f"{name}: {value}{self.linesep}".encode("ascii", "surrogateescape")


_AS_IT_CAME = _AsItCame(linesep="\r\n")


def _bytes(message: Message) -> bytes:
    try:
        return message.as_bytes(policy=_AS_IT_CAME)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return b""


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, UnicodeError, ValueError, TypeError, MessageError):
        return None


def _filename(part: Message) -> str:
    if "content-disposition" not in part and "name" not in str(part.get("content-type", "")).lower():
        return ""
    try:
        name = part.get_filename() or ""
    except (LookupError, UnicodeError, ValueError, TypeError, MessageError):
        name = ""
    return _named(decode_words(str(name)))


def _named(name: str) -> str:
    """A file name without path and without what nobody sees."""
    text = unicodedata.normalize("NFKC", clean_line(name, 1000))
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc", "Cs", "Co", "Cn"))
    return text.replace("\\", "/").rpartition("/")[2].strip(" .")[:200]


def _bodies(message: Message, cut: dict[int, tuple[int, str]], notes: list[str]) -> tuple[str, str, list[Attachment]]:
    plain: list[str] = []
    html: list[str] = []
    attachments: list[Attachment] = []
    words: list[tuple[str, str]] = []  # of winmail.dat: they count where the mail has no others
    invitations: list[str] = []
    room = MAX_TEXT
    for index, part in enumerate(_leaf_parts(message)):
        kind = part.get_content_type()
        try:
            disposition = part.get_content_disposition()
        except (LookupError, UnicodeError, ValueError, TypeError, MessageError):
            disposition = None
        name = _filename(part)
        is_body = kind in ("text/plain", "text/html") and disposition != "attachment"
        if is_body and (not name or disposition == "inline" or not (plain or html)):
            data = _payload(part)[:room]
            text, repaired = decode_bytes(data, _charset(part))
            if repaired:
                notes.append("charset repaired")
            room -= len(data)
            (html if kind == "text/html" else plain).append(clean(text))
            if not name:
                continue
        if kind.startswith("multipart/"):
            # a multipart whose boundary never came: its payload is the text
            text, _ = decode_bytes(_payload(part)[:room], None)
            plain.append(clean(text))
            notes.append("multipart without its boundary")
            continue
        if kind in _TOLD:
            continue
        if kind in _TNEF and index not in cut:
            inside = unpack.tnef(_payload(part))
            if inside is not None:
                words.append((clean(inside.text), clean(inside.html)))
                for number, (inner, content) in enumerate(inside.attachments, 1):
                    size, sha = _measured(content)
                    attachments.append(
                        Attachment(_named(inner) or f"unnamed-{number}", guessed(inner), size, sha, index)
                    )
                notes.append("winmail.dat unpacked")
                continue
            notes.append("winmail.dat cannot be read")
        if kind == "text/calendar" and index not in cut:
            invitations.append(clean(unpack.calendar(decode_bytes(_payload(part)[:room], _charset(part))[0])))
        size, sha = cut.get(index) or _measured(_payload(part))
        attachments.append(Attachment(name or _default_name(part, kind), kind, size, sha, index))
    if not any(map(str.strip, (*plain, *html))):
        plain += [text for text, _ in words]
        html += [text for _, text in words]
    if invitations and not any(map(str.strip, plain)) and html:
        html += [f"<p>{escape(line)}</p>" for line in invitations]
    else:
        plain += invitations
    return "\n\n".join(filter(str.strip, plain)), "\n".join(filter(str.strip, html)), attachments


_TYPES = mimetypes.MimeTypes()  # its own list, not the machine's
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")


def guessed(name: str) -> str:
    """The media type that a file name speaks of."""
    return _TYPES.guess_type(name)[0] or "application/octet-stream"


def _measured(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def _default_name(part: Message, kind: str) -> str:
    if kind in _MAILS:
        inner = part.get_payload() if part.is_multipart() else None
        subject = inner[0].get("subject", "") if isinstance(inner, list) and isinstance(inner[0], Message) else ""
        return (clean_line(decode_words(str(subject)), 80) or "message") + ".eml"
    return "unnamed"


# --------------------------------------------------------------------------- delivery reports (RFC 3464, RFC 6533)


def _report(message: Message, headers: dict[str, tuple[str, ...]], plain: str) -> DeliveryReport | None:
    status = action = ""
    recipients: list[str] = []
    original: str | None = None
    seen = False
    for part in _leaf_parts(message):
        kind = part.get_content_type()
        if kind in _STATUS:
            seen = True
            text = decode_bytes(_payload(part)[:65536], None)[0]
            recipients += re.findall(r"(?im)^(?:final|original)-recipient:[^;\n]{0,40};\s*<?([^\s<>]{3,300})", text)
            action = action or "".join(re.findall(r"(?im)^action:\s*(\w+)", text)[:1]).lower()
            status = status or "".join(re.findall(r"(?im)^status:\s*(\d\.\d{1,3}\.\d{1,3})", text)[:1])
        elif kind in (*_MAILS, *_HEADERS) and original is None:
            text = decode_bytes(_payload(part)[:65536], None)[0]
            ids = re.findall(r"(?im)^message-id:\s*<([^<>\s]{1,250})>", text)
            original = ids[0] if ids else None
    if headers.get("x-failed-recipients"):
        seen = True
        recipients += _ADDRESS.findall(headers["x-failed-recipients"][0])
    if original is None and "essage-id:" in plain.lower():
        ids = re.findall(r"(?im)^[ \t>]{0,20}message-id:\s*<([^<>\s]{1,250})>", plain[:65536])
        original = ids[0] if ids else None
    if not seen and message.get_param("report-type") != "delivery-status":
        return None if original is None else DeliveryReport(original, (), "", "")
    return DeliveryReport(original, tuple(dict.fromkeys(recipients))[:50], action, status)


# --------------------------------------------------------------------------- attachments, on demand


def attachment(raw: bytes | bytearray, sha256: str) -> bytes | None:
    """The decoded content of the attachment with this hash, or ``None``."""
    start = mail_start(raw)
    head_end, body = header_end(raw, start)
    for leaf in _leaves(raw, body, bytes(raw[start:head_end]), []):
        head = leaf.header.rstrip(b"\r\n") + b"\r\n\r\n"
        message = email.message_from_bytes(head + bytes(raw[leaf.start : leaf.end]))
        found = _with_hash(message, sha256)
        if found is not None:
            return found
        encoding = _encoding(message)
        # a part that was too long for the parser was measured by itself
        if _digest(raw, leaf, encoding)[1] == sha256:
            return b"".join(_decoded(raw, leaf, encoding))
    # a mail within a mail, in disorder, may be read otherwise alone than within the whole
    return _with_hash(email.message_from_bytes(bytes(raw[start:])), sha256) if len(raw) <= WHOLE else None


def _with_hash(message: Message, sha256: str) -> bytes | None:
    """The content of the leaf part with this hash, or of what a winmail.dat among them has."""
    for part in _leaf_parts(message):
        data = _payload(part)
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        inside = unpack.tnef(data) if part.get_content_type() in _TNEF else None
        for _, content in inside.attachments if inside else ():
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
    return None
