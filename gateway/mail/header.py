"""Where a header ends, its fields as octets, and encoded words (RFC 5322 sections 2.2, 2.2.3; RFC 2047)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from gateway.mail.charsets import decode
from gateway.mail.limits import MAX_FIELD, MAX_FIELDS, MAX_HEADER_BLOCK, MAX_LINES
from gateway.model import mail_start


@dataclass(frozen=True, slots=True)
class RawMail:
    """A mail as octets: all of it, its header block (as far as it is read), and where the body begins in ``raw``."""

    raw: bytes | bytearray
    header: bytes
    body: int

    @classmethod
    def of(cls, raw: bytes | bytearray) -> RawMail:
        """A mail that is all there, its header uncut."""
        start = mail_start(raw)
        end, body = header_end(raw, start)
        return cls(raw, bytes(raw[start:end]), body)


Fields = list[tuple[str, str]]  #: (lower-case name, value unfolded, octets beyond ASCII as surrogates), in order

Written = tuple[bytes, bytes]  #: (name as it came, all that follows the colon with CRLF at each line's end)

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_WRITTEN = re.compile(rb"(?:([!-9;-~]+):([^\n]*(?:\n[ \t][^\n]*)*)|From (?![ \t]*:)[^\n]*)(?:\n|\Z)")
_FROM_LINE = rb">?From [^:\n]*(?::|(?=\n)|\Z)"  #: of an mbox, which no field may begin with
_NEXT = re.compile(rb"([!-9;-~]+[ \t]*:|" + _FROM_LINE + rb")([^\n]*(?:\n[ \t][^\n]*)*\n?)")
_FOLDS = re.compile(rb"(?:[ \t][^\n]*(?:\n|\Z))*")
_EMPTY = re.compile(rb"\r*(?:\n|\Z)")
_IN_ORDER = re.compile(rb"(?:(?:[!-9;-~]{1,200}[ \t]{0,20}:|[ \t])[^\n]*\n)*+(?=(\r?\n))")
_EVERY = re.compile(rb"^([!-9;-~]{1,200})[ \t]{0,20}:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
#: fields that no sentence begins with: what follows a junk line is still the header when one of them does
_KNOWN = re.compile(
    rb"^(?:content-(?:type|transfer-encoding|disposition|id|language)|mime-version|message-id|received|return-path"
    rb"|dkim-signature|"
    rb"references|in-reply-to|x-[a-z0-9-]{2,40}|list-[a-z]{2,20}|authentication-results|arc-[a-z-]{4,30}|delivered-to"
    rb"|user-agent)[ \t]{0,5}:",
    re.IGNORECASE | re.MULTILINE,
)
MAX_JUNK = 20  #: lines among the fields that are none
_ENCODED_WORD = re.compile(r"=\?([^?\s*]{0,60})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?]*)(?:\?=|\Z)")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_NO_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def header_end(raw: bytes | bytearray | memoryview, start: int = 0, limit: int | None = None) -> tuple[int, int]:
    """(end of the header block, start of the body), as offsets into ``raw``.

    The header ends at the first empty line, or at the first line that is no field; junk among the fields does not end
    it while fields that only a header has follow before the empty line.
    """
    data = bytes(raw[start : start + (limit or MAX_HEADER_BLOCK * 4)])
    found = _IN_ORDER.match(data)
    if found is not None:
        return start + found.end(), start + found.end(1)
    position, seen, junk = 0, False, 0
    while position < len(data):
        newline = data.find(b"\n", position)
        stop = len(data) if newline < 0 else newline + 1
        line = data[position:stop]
        if line in (b"\r\n", b"\n", b"\r"):
            return start + position, start + stop
        if line[:1] in (b" ", b"\t"):
            pass
        elif _FIELD.match(line) is None and not line.startswith((b"From ", b">From ")) and line.strip(b"\r\n \t"):
            junk += 1
            if (seen or position == 0) and (junk > MAX_JUNK or not _goes_on(data, stop)):
                return start + position, start + position
        else:
            seen = True
        position = stop
    return start + len(data), start + len(data)


def first_lines(raw: bytes | bytearray, most: int = MAX_HEADER_BLOCK) -> bytes:
    """What stands before the first empty line, without its line end, whether it is fields or not; of ``most`` octets at
    most: for a glance at what is at the door."""
    end = raw.find(b"\n\r\n", 0, most)
    bare = raw.find(b"\n\n", 0, most if end < 0 else end)
    stop = min((place for place in (end, bare) if place >= 0), default=most)
    return bytes(raw[:stop]).removesuffix(b"\r") if stop < most else bytes(raw[:most])


@cache
def _called(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    # the line end in front is what the search looks for: without it each octet would be tried
    return re.compile(rb"\n(?:" + b"|".join(names) + rb")[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


def named(block: bytes, *names: bytes, most: int = MAX_FIELDS) -> Iterator[tuple[int, bytes]]:
    """(where it begins, its value as it was written, folded and without the last ``\\n``) of each field with one of
    these lower-case names, in order, the first ``most``. For a few fields of a header this is quicker than all."""
    return ((found.start(), found[1]) for found in islice(_called(names).finditer(b"\n" + block), most))


def fields_at(raw: bytes | bytearray, start: int, most: int) -> tuple[list[Written], int, bool]:
    """(every field up to the first line that is none, name and value as written, line ends and all; where that line
    begins, or the body behind an empty one; whether it was an empty one). ``most``: octets that are read.

    Stricter than ``header_end``: what this says of a mail is the same on every way it may come.
    """
    stop = min(len(raw), start + most)
    folds = _FOLDS.match(raw, start, stop)  # of no field
    end = folds.end() if folds is not None else start
    found: list[Written] = []
    while end < stop and (field := _NEXT.match(raw, end, stop)) is not None:
        found.append((field[1].removesuffix(b":"), field[2]))
        end = field.end()
    empty = _EMPTY.match(raw, end, stop) if end < stop else None
    return found, empty.end() if empty is not None else end, empty is not None


def _goes_on(data: bytes, position: int) -> bool:
    """Whether the header goes on behind a junk line: fields that only a header has come before the empty line."""
    window = position + 4096
    ends = [
        found for found in (data.find(b"\n\r\n", position, window), data.find(b"\n\n", position, window)) if found >= 0
    ]
    if not ends and window > len(data):
        return False
    return _KNOWN.search(data, position, min([*ends, window]) + 1) is not None


def capped(block: bytes, notes: list[str]) -> bytes:
    """The header block within the caps: whole fields only, long ones cut."""
    if len(block) <= MAX_FIELD and block.count(b"\n") <= MAX_FIELDS:
        return block
    kept: list[bytes] = []
    fields, total, length = 0, 0, 0
    for line in block.split(b"\n"):
        folded = line[:1] in (b" ", b"\t") and bool(kept)
        if folded and length >= MAX_FIELD:
            continue
        fields, length = (fields, length) if folded else (fields + 1, 0)
        line = line[: MAX_FIELD - length] + b"\n"
        length, total = length + len(line), total + len(line)
        if fields > MAX_FIELDS or total > MAX_HEADER_BLOCK:
            break
        kept.append(line)
    cut = b"".join(kept)
    if len(cut) < len(block) - 2:
        notes.append("header cut to the limits")
    return cut


def fields_of(block: bytes, most: int = MAX_FIELDS) -> Fields:
    """Every field of a header block, the first ``most`` of them; what is none is left out."""
    found: Fields = []
    for match in _EVERY.finditer(block):
        value = match[2].replace(b"\r\n", b"\n").strip(b" \t\r\n")
        found.append((match[1].decode("ascii").lower(), value.decode("utf-8", "surrogateescape").replace("\n", "")))
        if len(found) >= most:
            break
    return found


def written_fields(block: bytes) -> list[Written] | None:
    """Every field as it was written, for a signature, which covers its octets. ``None`` where a line is no field, or
    there are more of them than are read: then two programs could see two headers."""
    if len(block) > MAX_HEADER_BLOCK or block.count(b"\n") > MAX_LINES:
        return None
    lines = block.rstrip(b"\r\n").replace(b"\r\n", b"\n")
    found: list[Written] = []
    end = 0
    while end < len(lines):
        match = _WRITTEN.match(lines, end)  # not sought: from each octet of a long line, that would take minutes
        if match is None:
            return None
        end = match.end()
        if match[1] is not None:
            found.append((match[1], match[2].replace(b"\n", b"\r\n") + b"\r\n"))
    return found if len(found) <= MAX_FIELDS else None


def octets(value: str) -> bytes:
    """The octets that a value with surrogates came from."""
    return value.encode("utf-8", "surrogateescape")


def decode_words(value: str, hint: str = "") -> str:
    """RFC 2047 decoding of a header value that may hold raw 8-bit octets as surrogates.

    Neighbouring words of one charset are joined as octets first, because senders split inside a character. ``hint``:
    the charset of the mail, for octets that name none.
    """
    pieces: list[str] = []
    pending: list[bytes] = []
    pending_charset = ""
    end = 0

    def flush() -> None:
        if pending:
            pieces.append(decode(b"".join(pending), pending_charset)[0])
            pending.clear()

    for found in _ENCODED_WORD.finditer(value):
        between = value[end : found.start()]
        if between.strip():
            flush()
            pieces.append(_raw_text(between, hint))
        elif not pending and end == 0:
            pieces.append(_raw_text(between, hint))
        elif not pending and between:
            pieces.append(between)
        charset, encoding, text = found[1].lower(), found[2].lower(), found[3]
        data = unpadded(octets(text)) if encoding == "b" else _HEX.sub(_octet, octets(text).replace(b"_", b" "))
        if pending and charset != pending_charset:
            flush()
        pending_charset = charset
        pending.append(data)
        end = found.end()
    flush()
    pieces.append(_raw_text(value[end:], hint))
    return "".join(pieces)


def _octet(hexed: re.Match[bytes]) -> bytes:
    return bytes((int(hexed[1], 16),))


def _raw_text(value: str, hint: str) -> str:
    return value if value.isascii() and "\x1b" not in value else decode(octets(value), "", hint=hint)[0]


def unpadded(data: bytes) -> bytes:
    """One block of base64 decoded, whatever is missing at its end; octets that are none of its alphabet do not
    count."""
    stripped = data.translate(None, _NO_BASE64)
    stripped = stripped[: len(stripped) - (1 if len(stripped) % 4 == 1 else 0)]
    try:
        return base64.b64decode(stripped + b"=" * (-len(stripped) % 4))
    except binascii.Error:
        return b""
