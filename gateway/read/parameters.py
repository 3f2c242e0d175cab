"""Structured fields with parameters: Content-Type and Content-Disposition (RFC 2045 section 5.1, 2183, 2231), as they
come.

One pass, linear; whatever is open at the end ends there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gateway.mail.charsets import decode
from gateway.mail.header import decode_words, octets
from gateway.read.clean import clean_type

MAX_PARAMETERS = 100
MAX_TOKENS = 2000
_SIMPLE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?)\s*")
_SECTION = re.compile(r"([^*\s]{1,60})\*(?:(\d{1,3})(\*)?)?")
_BETWEEN = re.compile(r"[\s;:,=\"]++")
_NAME = re.compile(r"([^\s=;\"(]{1,70}+)\s*+(=)?\s*+")
_BLANK_RUN = re.compile(r"[ \t]++")
_NEXT = re.compile(r";\s*[a-zA-Z*0-9-]{1,40}\s*=")
_EXTENDED = re.compile(r"([A-Za-z0-9._-]{2,40})'([A-Za-z-]{0,20})'")


@dataclass(frozen=True, slots=True)
class Structured:
    """A value and its parameters; names in lower case, values as they were written, octets beyond ASCII as
    surrogates."""

    value: str
    parameters: dict[str, str]

    def text(self, name: str, hint: str = "") -> str:
        """A parameter as text: RFC 2231 before RFC 2047 before raw octets; ``""`` when it is not there."""
        pieces = self._sections(name)
        plain = self.parameters.get(name, "")
        if pieces:
            extended = _joined(pieces, hint)
            # encoded words inside, which RFC 2231 does not allow and mail programs write
            extended = decode_words(extended, hint) if "=?" in extended else extended
            if "\ufffd" not in extended or not plain:
                return extended
        if "=?" not in plain and (found := _EXTENDED.match(plain)) is not None and "%" in plain:
            return decode(unquote_to_bytes(octets(plain[found.end() :])), found[1], hint=hint)[0]
        return decode_words(plain, hint)

    def _sections(self, name: str) -> list[tuple[int, bool, str]]:
        found = []
        for key, value in self.parameters.items():
            if key.startswith(name + "*") and (section := _SECTION.fullmatch(key)) is not None and section[1] == name:
                extended = section[2] is None or section[3] is not None
                found.append((int(section[2] or 0), extended, value))
        return sorted(found)


def _joined(pieces: list[tuple[int, bool, str]], hint: str) -> str:
    """Sections of RFC 2231 joined as octets, because senders split inside a character."""
    charset, data = "", b""
    for number, (_, extended, value) in enumerate(pieces):
        if extended and number == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        data += unquote_to_bytes(octets(value)) if extended else octets(value)
    return decode(data, charset, hint=hint)[0]


def structured(field: str) -> Structured:
    """The value and the parameters of a field."""
    first = _SIMPLE.match(field)
    value = clean_type(first[1]) if first else ""
    position = first.end() if first else 0
    parameters: dict[str, str] = {}
    size = len(field)
    for _ in range(MAX_TOKENS):
        if (between := _BETWEEN.match(field, position)) is not None:
            position = between.end()
        if position >= size or len(parameters) >= MAX_PARAMETERS:
            break
        if field[position] == "(":
            position = _comment(field, position)
            continue
        named = _NAME.match(field, position)
        if named is None:
            position += 1
            continue
        position = named.end()
        if named[2] is None:
            continue
        text, position = _value(field, position)
        parameters.setdefault(named[1].lower(), text)
    return Structured(value, parameters)


def _comment(field: str, position: int) -> int:
    depth = 0
    while position < len(field):
        char = field[position]
        if char == "\\":
            position += 1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return position


def _value(field: str, position: int) -> tuple[str, int]:
    """The value that begins here, and where it ends."""
    if field[position : position + 1] == '"':
        closing = position + 1
        while True:
            closing = field.find('"', closing)
            if closing < 0 or field[closing - 1] != "\\" or _doubled(field, closing, position):
                break
            closing += 1
        if closing >= 0:
            return _unescaped(field[position + 1 : closing]), closing + 1
        following = _NEXT.search(field, position)  # the quote never ends: the next parameter does it
        end = following.start() if following else len(field)
        return _unescaped(field[position + 1 : end]).strip(), end
    end = field.find(";", position)
    end = len(field) if end < 0 else end
    text = field[position:end]
    bracket = text.find(" (")
    if bracket >= 0 and text.rstrip().endswith(")"):
        text = text[:bracket]
    return text.strip(), end


def _doubled(field: str, closing: int, start: int) -> bool:
    """Whether the backslash before a quote is itself escaped, or ends a path: ``"C:\\\\"``."""
    count = 0
    while closing - 1 - count > start and count < 64 and field[closing - 1 - count] == "\\":
        count += 1
    return count % 2 == 0


def _unescaped(text: str) -> str:
    return text.replace("\\\\", "\\").replace('\\"', '"') if "\\" in text else text


def boundaries(parameters: dict[str, str]) -> list[str]:
    """What the boundary of a multipart can be, the likeliest first (RFC 2046 section 5.1.1): as written, without blanks
    at its end, without the blanks of a fold inside it, without brackets or quotes that somebody put around it."""
    written = parameters.get("boundary", "")
    if not written:
        pieces = sorted((key, value) for key, value in parameters.items() if key.startswith("boundary*"))
        written = "".join(value for _, value in pieces)
        if written.count("'") >= 2:
            written = unquote_to_bytes(octets(written.split("'", 2)[2])).decode("utf-8", "surrogateescape")
    found = [written, written.rstrip(), _BLANK_RUN.sub(" ", written).strip(), _BLANK_RUN.sub("", written)]
    bare = written.strip(" \t<>\"'")
    found += [bare, written.strip().partition(" ")[0], f"<{bare}>", f"<<{bare}>>", f'"{bare}"']
    return [one for one in dict.fromkeys(found) if one and len(one) <= 400] if bare else []
