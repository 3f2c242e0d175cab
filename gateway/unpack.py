"""What stands inside parts that are no text: Outlook's winmail.dat (TNEF, MS-OXTNEF), its RTF, and invitations (RFC 5545).

Like everything that reads a mail: never raises on any input, linear, capped.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TNEF = 32 * 1024 * 1024
MAX_RTF = 2 * 1024 * 1024
MAX_INSIDE = 200
MAX_EVENTS = 20
MAX_CALENDAR = 512 * 1024
logging.getLogger("tnef-decode").setLevel(logging.CRITICAL + 1)  # it tells of every odd attribute


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a winmail.dat holds: the words, as text or HTML, and (name, content) of each attachment."""

    text: str
    html: str
    attachments: tuple[tuple[str, bytes], ...]


#: what the decoder may raise on bytes that are no TNEF
_FAULTS = (
    ValueError, struct.error, IndexError, KeyError, TypeError, AttributeError, OverflowError, LookupError, AssertionError, NotImplementedError, RecursionError, EOFError, NameError,
)  # fmt: skip


def tnef(data: bytes) -> Unpacked | None:
    """The content of a winmail.dat; ``None`` when it cannot be read."""
    if not data or len(data) > MAX_TNEF:
        return None
    try:
        from tnefparse import TNEF

        found = TNEF(data)
        body, html = found.body, found.htmlbody
        attachments = [
            (str(one.long_filename() or one.name or ""), bytes(one.data or b""))
            for one in found.attachments[:MAX_INSIDE]
        ]
    except _FAULTS:
        return None
    text = body.decode("cp1252", "replace") if isinstance(body, bytes) else body or ""
    html = html.decode("utf-8", "replace") if isinstance(html, bytes) else html or ""
    if not text.strip() and not html.strip():
        text = rtf_text(_rtf(found))
    return Unpacked(text, html, tuple(attachments))


def _rtf(found: object) -> bytes:
    try:
        data = found.rtfbody  # type: ignore[attr-defined]
    except (*_FAULTS, ImportError):
        return b""
    return bytes(data or b"")[:MAX_RTF]


# --------------------------------------------------------------------------- RTF

_RTF = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})?[ ]?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z0-9])|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n\\]"
)
_SKIPPED = frozenset(
    [
        b"fonttbl",
        b"colortbl",
        b"stylesheet",
        b"info",
        b"pict",
        b"object",
        b"header",
        b"footer",
        b"generator",
        b"listtable",
        b"themedata",
        b"datastore",
        b"xmlnstbl",
    ]
)
_BREAKS = {b"par": "\n", b"line": "\n", b"tab": "\t", b"row": "\n", b"cell": " ", b"emdash": "—", b"endash": "–", b"lquote": "'", b"rquote": "'", b"ldblquote": '"',
           b"rdblquote": '"', b"bullet": "•"}  # fmt: skip


def rtf_text(data: bytes) -> str:
    """The words of an RTF document, without what only formats them."""
    codec, out = "cp1252", []
    stack: list[tuple[bool, int]] = []
    skipping, unicode_skip, pending = False, 1, 0
    for token in _RTF.finditer(data[:MAX_RTF]):
        word, kind = token["word"], token.lastgroup
        if token["brace"] == b"{":
            stack.append((skipping, unicode_skip))
        elif token["brace"] == b"}":
            skipping, unicode_skip = stack.pop() if stack else (False, 1)
        elif token["sign"] is not None:
            if token["sign"] == b"*":
                skipping = True  # a destination that a reader may ignore
            elif not skipping:
                out.append({b"~": " ", b"_": "-", b"-": ""}.get(token["sign"], token["sign"].decode("latin-1")))
        elif word is not None:
            if word in _SKIPPED:
                skipping = True
            elif word == b"ansicpg" and token["number"]:
                codec = _codec(int(token["number"]))
            elif word == b"uc" and token["number"]:
                unicode_skip = min(int(token["number"]), 8)
            elif word == b"u" and token["number"] and not skipping:
                number = int(token["number"])
                out.append(chr(number % 65536) if -32768 <= number <= 65535 else "\ufffd")
                pending = unicode_skip
            elif word in _BREAKS and not skipping:
                out.append(_BREAKS[word])
        elif skipping:
            continue
        elif token["hex"] is not None:
            if pending:
                pending -= 1
            else:
                out.append(bytes.fromhex(token["hex"].decode()).decode(codec, "replace"))
        elif kind == "text":
            piece = token["text"].decode(codec, "replace")
            out.append(piece[pending:])
            pending = max(0, pending - len(piece))
    text = "".join(out).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()


def _codec(page: int) -> str:
    name = f"cp{page}" if page != 65001 else "utf-8"
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name


# --------------------------------------------------------------------------- invitations

_FOLD = re.compile(r"\r?\n[ \t]")
_PROPERTY = re.compile(r"^([A-Za-z-]{1,40})((?:;[^:\n]{0,400})?):(.{0,2000})$", re.MULTILINE)
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(?:\d\d)?(Z?))?")
_TZID = re.compile(r";TZID=\"?([^\";:]{1,60})", re.IGNORECASE)
_KINDS = {
    "REQUEST": "invitation",
    "CANCEL": "cancelled",
    "REPLY": "answer to an invitation",
    "PUBLISH": "event",
    "COUNTER": "other time proposed",
}


def calendar(text: str) -> str:
    """A line for each event of an iCalendar text: what, when, where; empty when there is none."""
    unfolded = _FOLD.sub("", text[:MAX_CALENDAR])
    method = ""
    events: list[dict[str, str]] = []
    inside = False
    for name, parameters, value in _properties(unfolded):
        if name == "METHOD":
            method = value.strip().upper()
        elif name == "BEGIN":
            inside = value.strip().upper() == "VEVENT"
            if inside:
                events.append({})
        elif name == "END":
            inside = False
        elif inside and name in ("SUMMARY", "LOCATION"):
            events[-1][name] = _unescaped(value)
        elif inside and name in ("DTSTART", "DTEND"):
            events[-1][name] = _when(value, parameters)
    kind = _KINDS.get(method, "event")
    return "\n".join(f"[{kind}: {_told(event)}]" for event in events[:MAX_EVENTS])


def _properties(text: str) -> Iterator[tuple[str, str, str]]:
    for match in _PROPERTY.finditer(text.replace("\r", "")):
        yield match[1].upper(), match[2], match[3]


def _unescaped(value: str) -> str:
    plain = value.replace("\\n", " ").replace("\\N", " ").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
    return " ".join(plain.split())[:200]


def _when(value: str, parameters: str) -> str:
    match = _STAMP.search(value)
    if not match:
        return ""
    zone = _TZID.search(parameters)
    day = f"{match[1]}-{match[2]}-{match[3]}"
    if match[4] is None:
        return day
    return f"{day} {match[4]}:{match[5]}" + (" UTC" if match[6] else f" ({zone[1]})" if zone else "")


def _told(event: dict[str, str]) -> str:
    times = " - ".join(event[name] for name in ("DTSTART", "DTEND") if event.get(name))
    return (
        ", ".join(part for part in (event.get("SUMMARY", ""), times, event.get("LOCATION", "")) if part)
        or "without words"
    )
