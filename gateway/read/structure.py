"""The parts of a mail, found by their delimiter lines in the octets (RFC 2046 section 5.1); iterative and capped.

A boundary that is not found does not end the reading: what a program can have meant by its parameter is tried, then the
body is searched for delimiter lines, then it is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.mail.header import Fields, capped, fields_of, header_end
from gateway.mail.limits import MAX_DEPTH, MAX_FIELD, MAX_HEADER_BLOCK, MAX_INSIDE, MAX_PARTS
from gateway.model import mail_start
from gateway.read import cms, transfer
from gateway.read.parameters import Structured, boundaries, structured

Octets = bytes | bytearray

SEARCHED = 256 * 1024  #: octets that are searched for a delimiter line that nobody announced
MAX_MISSES = 50_000  #: lines of a mail that begin as a delimiter and are none
_DELIMITER = re.compile(
    rb"(?:\A|(?<=\n))--([^\r\n]{1,200})\r?\n(?=(?P<field>(?:content-[a-z-]{2,30}|mime-version|x-[a-z-]{2,30})[ "
    rb"\t]{0,5}:)|[ \t]{0,5}\r?\n|(?P<word>[^\s-]))",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    rb"\s{0,200}(?:this is a (?:multi-?part|mime|cryptographically signed)[^\n]{0,200}\n\s{0,200})?(?=--)",
    re.IGNORECASE,
)
_HTML = re.compile(rb"\s{0,500}(?:<!doctype html|<html|<head|<body|<meta\b|<div\b|<p\b[^>]{0,200}>[^<])", re.IGNORECASE)
_MAJORS = frozenset(("text", "message", "application", "image", "audio", "video", "font", "model", "chemical"))
_LATE_FIELDS = re.compile(rb"(?:content-(?:type|transfer-encoding|disposition)|mime-version)[ \t]{0,5}:", re.IGNORECASE)
PKCS7 = ("application/pkcs7-mime", "application/x-pkcs7-mime")


@dataclass(slots=True)
class Part:
    """A part: its fields, and its body as offsets into ``data``. ``kind`` is its media type, in lower case."""

    fields: Fields
    data: Octets
    start: int
    end: int
    content_type: Structured
    kind: str
    parts: list[Part] = field(default_factory=list)
    around: list[tuple[int, int]] = field(default_factory=list)  #: before the first delimiter, behind the last
    encoding: str = transfer.AS_IS
    index: int = 0  #: the number of a leaf, in order
    declared: Structured = field(
        default_factory=lambda: Structured("", {})
    )  #: its Content-Type, whatever its body turned out to be
    _disposition: Structured | None = None

    def all(self, name: str) -> list[str]:
        """Every value of a field, top first."""
        return [value for key, value in self.fields if key == name]

    def get(self, name: str) -> str:
        """The first value of a field, ``""`` when there is none."""
        return next((value for key, value in self.fields if key == name), "")

    @property
    def disposition(self) -> Structured:
        """Content-Disposition (RFC 2183)."""
        if self._disposition is None:
            self._disposition = structured(self.get("content-disposition"))
        return self._disposition

    def pieces(self) -> Iterator[bytes]:
        """The content, transfer encoding undone, piece by piece."""
        return transfer.decoded(transfer.chunks(self.data, self.start, self.end), self.encoding)

    def content(self, limit: int = MAX_INSIDE) -> bytes:
        """The content of the first ``limit`` octets."""
        end = min(self.end, self.start + limit)
        return b"".join(transfer.decoded(transfer.chunks(self.data, self.start, end), self.encoding))

    def leaves(self) -> Iterator[Part]:
        """The parts without parts of their own, in order."""
        stack = [self]
        while stack:
            part = stack.pop()
            if part.parts:
                stack.extend(reversed(part.parts))
            else:
                yield part


@dataclass(slots=True)
class _Search:
    """What the search for parts has cost so far."""

    parts: int = 1
    misses: int = 0
    inside: int = 0  #: octets that were unpacked to look for parts


def structure(raw: Octets, notes: list[str]) -> Part:
    """The tree of parts of a raw mail."""
    data = raw
    if b"\n" not in raw and b"\r" in raw:
        data = bytes(raw).replace(b"\r", b"\n")
        notes.append("line ends of CR alone")
    start = mail_start(data)
    head_end, body = header_end(data, start)
    if head_end - start > MAX_HEADER_BLOCK:
        notes.append("header cut to the limits")
    block = bytes(data[start : min(head_end, start + MAX_HEADER_BLOCK)])
    root = _part(data, block, body, len(data), "text/plain", notes)
    search = _Search()
    stack = [(root, 0)]
    while stack:
        part, depth = stack.pop()
        if depth >= MAX_DEPTH:
            notes.append("nested too deep")
            _as_text(part)
            continue
        if not part.parts:
            _open(part, search, notes)
        search.parts += len(part.parts)
        if search.parts > MAX_PARTS:
            notes.append("too many parts")
            del part.parts[max(1, MAX_PARTS - search.parts + len(part.parts)) :]
            break
        stack.extend((child, depth + 1) for child in reversed(part.parts))
    for index, leaf in enumerate(root.leaves()):
        leaf.index = index
    return root


def _part(data: Octets, block: bytes, start: int, end: int, default: str, notes: list[str]) -> Part:
    fields = fields_of(capped(block, notes))
    values = [structured(value) for name, value in fields if name == "content-type" and value.strip()]
    chosen = next((one for one in values if "/" in one.value), values[0] if values else Structured(default, {}))
    kind = _kind(chosen.value, default)
    part = Part(fields, data, start, end, chosen, kind)
    several = [one for one in values if one.value.startswith("multipart")]
    if several and not kind.startswith("multipart"):
        part.content_type, part.kind = several[0], several[0].value
    _label(part, notes)
    if len(values) > 1 and part.kind == "text/plain" and _HTML.match(_beginning(part)):
        part.content_type = next((one for one in values if one.value == "text/html"), part.content_type)
        part.kind = "text/html"
    part.declared = part.content_type
    return part


def _kind(written: str, default: str) -> str:
    """The media type that was meant: "text", "html", "plain/text" are none, and their words are words all the same."""
    major, slash, minor = written.partition("/")
    if major == "multipart":
        return f"multipart/{minor or 'mixed'}"
    if slash and (major in _MAJORS or major.startswith("x-")):
        return written
    if "html" in written:
        return "text/html"
    return written if slash and "text" not in written and "plain" not in written else default


def _label(part: Part, notes: list[str]) -> None:
    """Settles the transfer encoding; a multipart has none unless its delimiters are not found."""
    values = part.all("content-transfer-encoding")
    words = part.kind.startswith("text/")
    if not values and not words:
        return
    sample = bytes(part.data[part.start : min(part.end, part.start + transfer.SAMPLE)])
    shown = words and not part.disposition.value.startswith("attach")
    part.encoding, note = transfer.encoding_of(values, sample, shown)
    if note and words:
        notes.append(note)


def _beginning(part: Part) -> bytes:
    return part.content(1000)


def _as_text(part: Part) -> None:
    """What was to be a multipart and has no parts: its words."""
    part.kind = "text/html" if _HTML.match(_beginning(part)) else "text/plain"
    part.content_type = Structured(part.kind, {"charset": part.content_type.parameters.get("charset", "")})


def _open(part: Part, search: _Search, notes: list[str]) -> None:
    """Finds the parts of a part."""
    if part.kind in PKCS7:
        if _may_unpack(part, search):
            _unseal(part, notes)
    elif part.kind == "message/partial":
        if _may_unpack(part, search):
            _fragment(part, notes)
    elif part.kind.startswith("multipart/"):
        _open_multipart(part, search, notes)
    elif (
        part.kind == "text/plain"
        and part.encoding == transfer.AS_IS
        and not part.disposition.value.startswith("attach")
    ):
        if not _late(part, notes):
            _unannounced(part, search, notes)


def _open_multipart(part: Part, search: _Search, notes: list[str]) -> None:
    """Its parts, or its words where there are none."""
    if _multipart(part, search, notes):
        return
    if part.encoding and _may_unpack(part, search):
        _decode(part)
        if _multipart(part, search, notes):
            notes.append("a multipart in a transfer encoding")
            return
    notes.append("multipart without its boundary")
    _as_text(part)


def _late(part: Part, notes: list[str]) -> bool:
    """Whether an empty line came among the fields: what it cut off says what the body is."""
    if part.get("content-type") or not _LATE_FIELDS.match(bytes(part.data[part.start : part.start + 40])):
        return False
    head_end, body = header_end(part.data, part.start, min(MAX_FIELD, part.end - part.start))
    block = bytes(part.data[part.start : min(head_end, part.end)])
    part.parts = [_part(part.data, block, min(body, part.end), part.end, "text/plain", notes)]
    notes.append("an empty line among the header fields")
    return True


def _may_unpack(part: Part, search: _Search) -> bool:
    """Whether there is room for what is inside a part; a mail may nest it many times."""
    search.inside += part.end - part.start
    return search.inside <= MAX_INSIDE


def _decode(part: Part) -> None:
    content = part.content()
    part.data, part.start, part.end, part.encoding = content, 0, len(content), transfer.AS_IS


def _multipart(part: Part, search: _Search, notes: list[str]) -> bool:
    values = [structured(value) for value in part.all("content-type")] or [part.content_type]
    for value in [one for one in values if one.value.startswith("multipart")]:
        for boundary in boundaries(value.parameters):
            if _split(part, boundary.encode("utf-8", "surrogateescape"), search, notes):
                if value is not values[0]:
                    notes.append("several Content-Type fields: the one whose boundary is in the body")
                part.content_type, part.kind = value, value.value if "/" in value.value else "multipart/mixed"
                part.declared = value
                return True
    unannounced = _searched(part, anywhere=True)
    if unannounced is not None and _split(part, unannounced, search, notes):
        notes.append("the boundary was found in the body")
        return True
    return False


def _unannounced(part: Part, search: _Search, notes: list[str]) -> None:
    """A text that is the source of a multipart: whoever lost its Content-Type, its words are in its parts."""
    start = bytes(part.data[part.start : min(part.end, part.start + 600)])
    begins = _PREAMBLE.match(start)
    if begins is None:
        return
    boundary = _searched(part, anywhere=False)
    if boundary is not None and _split(part, boundary, search, notes):
        part.kind, part.content_type = "multipart/mixed", Structured("multipart/mixed", {})
        notes.append("a multipart that nobody announced")


def _searched(part: Part, anywhere: bool) -> bytes | None:
    """The boundary that delimiter lines in the body speak of: followed by fields, or there again further down."""
    head = bytes(part.data[part.start : min(part.end, part.start + SEARCHED)])
    for count, found in enumerate(_DELIMITER.finditer(head)):
        boundary = found[1].rstrip()
        if count > 50 or (not anywhere and count):
            break
        again = head.find(b"\n--" + boundary, found.end()) >= 0
        if found["field"] and (again or anywhere):
            return boundary
        if anywhere and not found["word"] and again and head.find(b"\n--" + boundary + b"--", found.end()) >= 0:
            return boundary
    return None


@dataclass(slots=True)
class _Section:
    start: int
    end: int
    closes: bool  #: a closing delimiter follows it


def _split(part: Part, boundary: bytes, search: _Search, notes: list[str]) -> bool:
    """Divides a part by this boundary; false when no line of its body is this delimiter."""
    sections, before, after = _sections(part.data, part.start, part.end, boundary, search)
    if not sections:
        return False
    part.around = [(part.start, before)] + ([(after, part.end)] if after < part.end else [])
    default = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
    part.parts, number = [], 0
    while number < len(sections):
        section = sections[number]
        number += 1
        child = _child(part.data, section, default, notes)
        part.parts.append(child)
        shares = child.kind.startswith("multipart/") and boundary.decode("utf-8", "surrogateescape") in boundaries(
            child.content_type.parameters
        )
        if shares and not bytes(part.data[child.start : min(child.end, child.start + 1000)]).strip():
            # its parts have the boundary of their parent: they go up to the next closing delimiter
            notes.append("a boundary that is used twice")
            while number < len(sections):
                child.parts.append(_child(part.data, sections[number], "text/plain", notes))
                number += 1
                if sections[number - 1].closes:
                    break
    return True


def _child(data: Octets, section: _Section, default: str, notes: list[str]) -> Part:
    head_end, body = header_end(data, section.start, min(MAX_FIELD, section.end - section.start))
    body = min(body, section.end)
    block = bytes(data[section.start : min(head_end, section.end)])
    return _part(data, block, body, section.end, default, notes)


def _sections(data: Octets, start: int, end: int, boundary: bytes, search: _Search) -> tuple[list[_Section], int, int]:
    """(the sections between delimiter lines, where the first delimiter is, where the text behind the last one
    begins)."""
    marker = b"--" + boundary
    sections: list[_Section] = []
    opened, before, after = -1, start, end
    position = data.find(marker, start, end)
    while position >= 0 and search.misses < MAX_MISSES and len(sections) <= MAX_PARTS:
        line_end = data.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end + 1
        rest = bytes(data[position + len(marker) : min(line_end, position + len(marker) + 100)]).strip()
        if (position == start or data[position - 1 : position] == b"\n") and rest in (b"", b"--"):
            if opened >= 0:
                sections.append(_Section(opened, max(opened, _before_break(data, position)), rest == b"--"))
            elif not sections:
                before = position
            opened, after = (line_end, end) if rest == b"" else (-1, line_end)
        else:
            search.misses += 1
        position = data.find(marker, max(line_end, position + 1), end)
    if opened >= 0:
        sections.append(_Section(opened, end, False))
    return sections, before, after


def _before_break(data: Octets, position: int) -> int:
    """Where the line before this one ends: the line break before a delimiter belongs to it (RFC 2046 section 5.1.1)."""
    return position - (2 if data[position - 2 : position] == b"\r\n" else 1)


def _inside(data: Octets, notes: list[str]) -> Part:
    """A MIME entity that was inside something."""
    head_end, body = header_end(data)
    return _part(data, bytes(data[:head_end]), body, len(data), "text/plain", notes)


def _unseal(part: Part, notes: list[str]) -> None:
    """An opaque S/MIME signature shows its words: they need no key (RFC 8551 section 3.5.2)."""
    data = part.content()
    inside = cms.content(data) or cms.content(b"".join(transfer.decoded((data,), transfer.BASE64)))
    if inside is not None:
        part.parts = [_inside(inside, notes)]


def _fragment(part: Part, notes: list[str]) -> None:
    """The first piece of a mail in several has the fields of the whole (RFC 2046 section 5.2.2)."""
    number, total = part.content_type.text("number") or "?", part.content_type.text("total") or "?"
    notes.append(f"message/partial: piece {number[:5]} of {total[:5]}, the others are mails of their own")
    if number == "1":
        part.parts = [_inside(bytes(part.data[part.start : part.end]), notes)]
    else:
        _as_text(part)
