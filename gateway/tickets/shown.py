"""How the words of a mail are set off where people read them: no line of them can pass for one of ours."""

from __future__ import annotations

import itertools
import re
import unicodedata

OWN = "| "  #: before the author's own words
REST = ": "  #: before everything else that the mail says: quotes, the other alternative, hidden text
#: columns of a line in a staff mail; programs wrap a longer one, here or when they quote it, and drop its prefix
WIDTH = 72
LONGEST = 900  #: characters of a line that is kept whole: a key, a link (RFC 5322 section 2.1.1 allows 998)


def set_off(text: str, prefix: str = OWN, width: int | None = None) -> str:
    """Text with a prefix before each line, blank ones included. ``width``: columns of a line with its prefix."""
    lines = text.replace("\r", "\n").split("\n")
    if width is not None:
        lines = [piece for line in lines for piece in _pieces(line, width - len(prefix))]
    return "\n".join(f"{prefix}{line}".rstrip() for line in lines)


def _pieces(line: str, columns: int) -> list[str]:
    """A line in pieces that fit; a character beyond ASCII may take two columns."""
    size = max(1, columns if line.isascii() else columns // 2)
    return [line[at : at + size] for at in range(0, len(line), size)] or [""]


def in_mail(text: str) -> str:
    """Text as staff read it in a mail: a prefix before each line, and lines broken between words. What one copies stays
    on one line: a key, a link."""
    columns, found = WIDTH - len(OWN), []
    for line in text.replace("\r", "\n").expandtabs().split("\n"):
        if (len(line) <= columns and line.isascii()) or _to_copy(line):  # most are short
            found.append((OWN + line).rstrip())
        else:
            found += [(OWN + piece).rstrip() for piece in _around(line, columns)]
    return "\n".join(found)


#: a line of ASCII without blanks, where no program breaks it and shows the rest without its prefix; or a public key
_TO_COPY = re.compile(
    rf"[!-~]{{{WIDTH - len(OWN) + 1},{LONGEST}}}"
    r"|(?:ssh|ecdsa|sk)-[\w@.-]{2,40} [A-Za-z0-9+/=]{40,840}(?: [\w.@-]{0,40})?",
    re.ASCII,
)


def _to_copy(line: str) -> bool:
    return _TO_COPY.fullmatch(line) is not None


def _around(line: str, columns: int) -> list[str]:
    """A line in pieces that fit, but for each long word of it, which has a line of its own."""
    if len(line) <= columns:
        return _wrapped(line, columns)
    found: list[str] = []
    for long, run in itertools.groupby(line.split(" "), _to_copy):
        words = list(run)
        found += words if long else _wrapped(" ".join(words), columns)
    return found


def _columns(text: str) -> int:
    return len(text) + (0 if text.isascii() else sum(unicodedata.east_asian_width(char) in "WF" for char in text))


def _wrapped(line: str, columns: int) -> list[str]:
    """A line in pieces that fit, broken at blanks; a word that fits nowhere is cut."""
    if line.isascii():
        return _wrapped_ascii(line.rstrip(), columns)
    found: list[str] = []
    current: str | None = None
    for word in line.rstrip().split(" "):
        joined = word if current is None else f"{current} {word}"
        if _columns(joined) <= columns:
            current = joined
            continue
        if current is not None and current.strip():
            found.append(current)
        pieces = _pieces(word, columns) if _columns(word) > columns else [word]
        found += pieces[:-1]
        current = pieces[-1]
    return [*found, current or ""]


def _wrapped_ascii(rest: str, columns: int) -> list[str]:
    """The same where a character is a column: a line is cut at the last blank that fits."""
    found = []
    while len(rest) > columns:
        blank = rest.rfind(" ", 0, columns + 1)
        piece, rest = (rest[:blank], rest[blank + 1 :]) if blank >= 0 else (rest[:columns], rest[columns:])
        if piece.strip():
            found.append(piece)
    return [*found, rest]


def in_full(text: str, full_text: str, width: int | None = None) -> str:
    """The whole text of a mail, line by line; what is not among the author's own words has a prefix of its own."""
    if not full_text or full_text == text:
        return set_off(text, OWN, width)
    own = set(text.split("\n"))
    lines = full_text.split("\n")
    return "\n".join(set_off(line, OWN if line.strip() and line in own else REST, width) for line in lines)
