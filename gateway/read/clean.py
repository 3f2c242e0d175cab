"""What may become a value: text without what nobody sees. Every string of a mail passes here before anybody gets it."""

from __future__ import annotations

import re

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufff9-\ufffb]")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c]")
_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z/-]")


def clean(text: str) -> str:
    """Text without NUL, control characters, surrogates and direction overrides; line ends become ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _DIRECTION.sub("", _CONTROLS.sub("", text))


def clean_line(text: str, limit: int = 1000) -> str:
    """One line of at most ``limit`` characters, blanks collapsed."""
    return " ".join(clean(text[: limit * 4]).split())[:limit]


def clean_type(kind: str) -> str:
    """A media type in lower case, of the characters that RFC 6838 section 4.2 allows and no others; at most 100."""
    return _TOKEN.sub("", kind[:400]).lower()[:100]
