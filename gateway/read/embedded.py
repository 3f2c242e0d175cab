"""Files that are written into the words: uuencode (POSIX) and yEnc. They become files, and their lines are no words."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

MAX_FILES = 50
_BEGIN = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,200})\r?$", re.MULTILINE)
_YBEGIN = re.compile(rb"^=ybegin [^\r\n]{0,200}?name=([^\r\n]{1,200})\r?$", re.MULTILINE)
_YEND = re.compile(rb"^=yend[^\n]{0,200}(?:\n|\Z)", re.MULTILINE)
_YESCAPE = re.compile(rb"=(.)", re.DOTALL)
_LESS_42 = bytes((octet - 42) % 256 for octet in range(256))


@dataclass(frozen=True, slots=True)
class Found:
    """A file in a text: where its lines are, its name as octets, its content."""

    start: int
    end: int
    name: bytes
    content: bytes


def files_in(data: bytes) -> list[Found]:
    """The files that stand in a text, in order."""
    found: list[Found] = []
    if b"begin" not in data:
        return found
    position = 0
    for begin in _BEGIN.finditer(data):
        if begin.start() < position or len(found) >= MAX_FILES:
            continue
        content, position = _lines(data, begin.end() + 1)
        if content is not None:
            found.append(Found(begin.start(), position, begin[1], content))
    position = 0
    for begin in _YBEGIN.finditer(data):
        if begin.start() < position or len(found) >= MAX_FILES:
            continue
        end = _YEND.search(data, begin.end())
        position = end.end() if end else len(data)
        content = ydecoded(data[begin.start() : position])
        if content is not None:
            found.append(Found(begin.start(), position, begin[1], content))
    return sorted(found, key=lambda one: one.start)


def without(data: bytes, found: list[Found]) -> bytes:
    """The text without the lines of its files."""
    pieces, position = [], 0
    for one in found:
        if one.start >= position:
            pieces.append(data[position : one.start])
            position = one.end
    return b"".join([*pieces, data[position:]])


def _lines(data: bytes, position: int) -> tuple[bytes | None, int]:
    """(the content of the uuencoded lines from here on, where they end); ``None`` when there are none or they break off
    early."""
    pieces: list[bytes] = []
    start = position
    while position < len(data):
        newline = data.find(b"\n", position)
        stop = len(data) if newline < 0 else newline + 1
        line = data[position:stop].rstrip(b"\r\n")
        if line.strip() == b"end":
            return (b"".join(pieces), stop) if pieces else (None, start)
        piece = _line(line)
        if piece is None:
            break
        pieces.append(piece)
        position = stop
    return (b"".join(pieces), position) if sum(map(bool, pieces)) >= 3 else (None, start)


def _line(line: bytes) -> bytes | None:
    """The octets of one line; its first character tells how many there are."""
    if line.strip() in (b"", b"`"):
        return b""
    count = (line[0] - 32) & 63
    needed = -(-count // 3) * 4 + 1
    if not 33 <= line[0] <= 96 or len(line) > needed + 2 or len(line.rstrip()) < needed - 12:
        return None
    try:
        return binascii.a2b_uu(line[:needed])
    except binascii.Error:
        return None


def uudecoded(data: bytes) -> bytes | None:
    """The content of a part in uuencode; ``None`` when it is none."""
    begin = _BEGIN.search(data)
    return _lines(data, begin.end() + 1)[0] if begin else None


def ydecoded(data: bytes) -> bytes | None:
    """The content of a part in yEnc; ``None`` when it is none."""
    begin = _YBEGIN.search(data)
    if begin is None:
        return None
    end = _YEND.search(data, begin.end())
    body = data[begin.end() : end.start() if end else len(data)]
    lines = [line for line in body.replace(b"\r", b"").split(b"\n") if not line.startswith(b"=ypart ")]
    plain = _YESCAPE.sub(lambda escaped: bytes(((escaped[1][0] - 64) % 256,)), b"".join(lines))
    return plain.translate(_LESS_42)
