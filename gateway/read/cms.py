"""The content of an opaque S/MIME signature (RFC 5652 section 5.1, RFC 8551 section 3.5.2): it needs no key. Nothing is
verified here.

BER as well as DER: lengths that are not told and strings in pieces are how OpenSSL streams them.
"""

from __future__ import annotations

from collections.abc import Iterator

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("2a864886f70d010701")
_OID, _OCTETS, _SEQUENCE, _CONTEXT_0 = 0x06, 0x04, 0x30, 0xA0
_CONSTRUCTED = 0x20
MAX_DEPTH = 12
MAX_PIECES = 400_000


class _Broken(ValueError):
    """The octets are no BER."""


def content(data: bytes) -> bytes | None:
    """The signed content; ``None`` when there is none inside, or it is damaged."""
    try:
        kind, start, end = _kind(data)
        if kind != _SIGNED_DATA:
            return None
        for tag, at, stop in _values(data, start, end):
            if tag == _SEQUENCE:  # EncapsulatedContentInfo; version and digest algorithms come before it
                return _encapsulated(data, at, stop)
    except _Broken:
        return None
    return None


def _kind(data: bytes) -> tuple[bytes, int, int]:
    """(the content type of a ContentInfo, where the fields of its content begin and end)."""
    tag, start, end = _first(data, 0, len(data))
    if tag != _SEQUENCE:
        raise _Broken
    kind = b""
    for tag, at, stop in _values(data, start, end):
        if tag == _OID:
            kind = data[at:stop]
        elif tag == _CONTEXT_0:
            _, at, stop = _first(data, at, stop)
            return kind, at, stop
    raise _Broken


def _encapsulated(data: bytes, start: int, end: int) -> bytes | None:
    for tag, at, stop in _values(data, start, end):
        if tag == _OID and data[at:stop] != _DATA:
            return None
        if tag == _CONTEXT_0:
            tag, at, stop = _first(data, at, stop)
            return b"".join(_pieces(data, tag, at, stop, 0))
    return None


def _pieces(data: bytes, tag: int, start: int, end: int, depth: int) -> Iterator[bytes]:
    """An octet string, whole or in pieces."""
    if tag == _OCTETS:
        yield data[start:end]
    elif tag == _OCTETS | _CONSTRUCTED and depth < MAX_DEPTH:
        for inner, at, stop in _values(data, start, end):
            yield from _pieces(data, inner, at, stop, depth + 1)


def _first(data: bytes, start: int, end: int) -> tuple[int, int, int]:
    for value in _values(data, start, end):
        return value
    raise _Broken


def _values(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, start, end) of each value between two offsets; ``_Broken`` where there is none."""
    count = 0
    while start < end:
        count += 1
        if count > MAX_PIECES:
            raise _Broken
        tag, at, length = _head(data, start, end)
        if tag == 0 and length == 0:
            return  # the end of a value whose length is not told
        if length is None:
            stop = _closing(data, at, end)
            yield tag, at, stop
            start = stop + 2
        else:
            if at + length > end:
                length = end - at  # cut off: what is there is there
            yield tag, at, at + length
            start = at + length


def _head(data: bytes, start: int, end: int) -> tuple[int, int, int | None]:
    """(tag, where the content begins, its length or ``None`` where it is not told)."""
    if start + 2 > end or data[start] & 0x1F == 0x1F:
        raise _Broken
    first = data[start + 1]
    if first < 0x80:
        return data[start], start + 2, first
    if first == 0x80:
        return data[start], start + 2, None
    digits = first & 0x7F
    if digits > 8 or start + 2 + digits > end:
        raise _Broken
    return data[start], start + 2 + digits, int.from_bytes(data[start + 2 : start + 2 + digits], "big")


def _closing(data: bytes, start: int, end: int) -> int:
    """Where the two zero octets stand that end a value whose length is not told."""
    depth = 1
    while start < end:
        tag, at, length = _head(data, start, end)
        if tag == 0 and length == 0:
            depth -= 1
            if depth == 0:
                return start
            start = at
        elif length is None:
            depth += 1
            if depth > 64:
                raise _Broken
            start = at
        else:
            start = at + length
    return end
