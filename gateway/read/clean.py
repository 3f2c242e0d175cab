"""What may become a value: text without what nobody sees. Every string of a mail passes here before anybody gets it."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufff9-\ufffb"  # controls, surrogates
    "\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c"  # directions
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u2800\u3164\ufe00-\ufe0f\uffa0"
    # what has no shape (Default_Ignorable_Code_Point and fillers); the two joiners have a meaning
    "\U000e0000-\U000e0fff]"
)
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACK = re.compile(f"({_MARK}{{4}}){_MARK}+")  #: marks on one letter that would cover the lines above
_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z/-]")


def clean(text: str) -> str:
    """Text without NUL, control characters, surrogates and direction overrides; line ends become ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _STACK.sub(r"\1", _UNSEEN.sub("", text))


def clean_line(text: str, limit: int = 1000) -> str:
    """One line of at most ``limit`` characters, blanks collapsed."""
    text = text[: limit * 4]
    if not (text.isascii() and text.isprintable()):  # a header's fields mostly are
        text = clean(text)
    return " ".join(text.split())[:limit]


def clean_type(kind: str) -> str:
    """A media type in lower case, of the characters that RFC 6838 section 4.2 allows and no others; at most 100."""
    return _TOKEN.sub("", kind[:400]).lower()[:100]
