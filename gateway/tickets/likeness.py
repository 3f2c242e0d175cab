"""Whether two mails of one author read alike: a program that answers us changes numbers, names and its subject, not its
words.

A likeness is a bounded string: what the mail names that is the author's own (two orders are two matters), its subject,
and a sketch of its words, the smallest of their hashes (A. Broder, "On the resemblance and containment of documents",
1997).
"""

from __future__ import annotations

import functools
import re
import string
import zlib
from collections.abc import Iterable

from gateway.model import FACT_KINDS, Incoming, Ownership

SKETCH = 24  #: hashes of four hexadecimal digits: up to so many different words are compared exactly
SIZE = 16 + 4 * SKETCH  #: of a likeness, in characters
ALIKE = 0.5  #: of the words of both together that both have
MAX_TEXT = 4000  #: characters that are looked at
_CHANGES = re.compile(r"\d|^t-[a-z]{7}$")  # numbers, and references that happen to have none
_AROUND = string.punctuation + "\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u2013\u2014\u2026"
_NOTHING = "0" * 8


def _words(text: str) -> set[str]:
    """What stands between blanks and has no digit, without the punctuation around it."""
    pieces = set(text.casefold().split())
    plain = set(filter(str.isalpha, pieces))  # nearly all of them, and nothing is around these
    others = {piece.strip(_AROUND) for piece in pieces - plain}
    return plain | {piece for piece in others if piece.isalpha() or (piece and not _CHANGES.search(piece))}


def _mark(parts: Iterable[str]) -> str:
    joined = " ".join(sorted(parts))
    return f"{zlib.crc32(joined.encode()):08x}" if joined else _NOTHING


def named(incoming: Incoming) -> set[str]:
    """What the author names himself that is his own."""
    facts = (fact for kind in FACT_KINDS for fact in incoming.facts.of(kind))
    return {fact.value for fact in facts if fact.ownership is Ownership.OWN and not fact.quoted}


def of(incoming: Incoming) -> str:
    """The likeness of a mail."""
    subject, words = incoming.reading.parsed.subject, incoming.reading.masked_text
    return _mark(named(incoming)) + _said(subject[:MAX_TEXT], words[:MAX_TEXT])


@functools.lru_cache(maxsize=8)  # a mail is compared when its budgets are read, and stamped when it is answered
def _said(subject: str, text: str) -> str:
    """The part of a likeness that is made of words."""
    about = _words(subject)
    hashes = sorted({zlib.crc32(word.encode()) & 0xFFFF for word in _words(text)})
    mark = _mark(about) if len(about) > 2 else _NOTHING  # "Server down" says nothing of its author
    return mark + "".join(f"{number:04x}" for number in hashes[:SKETCH])


def alike(one: str, other: str) -> bool:
    """Whether two mails say the same about the same."""
    if one[:8] != other[:8]:
        return False
    if one[8:16] == other[8:16] != _NOTHING:
        return True
    first, second = _sketch(one), _sketch(other)
    smallest = sorted(first | second)[:SKETCH]
    both = sum(number in first and number in second for number in smallest)
    return both >= ALIKE * len(smallest)


def _sketch(likeness: str) -> set[int]:
    return {int(likeness[at : at + 4], 16) for at in range(16, len(likeness), 4)}
