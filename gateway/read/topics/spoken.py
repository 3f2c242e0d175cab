"""Whose language a text of several is in: of its paragraphs those that say something are the author's; what a company's
mail server or a shop's signature puts around them, in English mostly, says nothing to a support desk.

How much a paragraph says is asked of the learned weights: the words of disclaimers, banners and advertisements are
unknown to them, or lean away from every matter.
"""

from __future__ import annotations

from gateway.model import SENSITIVE
from gateway.read.topics.features import features
from gateway.read.topics.learned import built_in, leanings
from gateway.read.words.language import language_of, parts_of

WANTED = ("critical", "financial", *SENSITIVE)
FIRST = 0.2  #: what is added to the language that comes first
AROUND, LESS = "en", 0.4  #: of what companies and programs put around a mail, and what is taken from it


def languages_of(text: str) -> tuple[str | None, tuple[str, ...]]:
    """(the author's language, the others that paragraphs of the text are in)."""
    written = language_of(text)
    parts = parts_of(text, written)
    if len(parts) > 1:
        first = next(iter(parts))
        says = {code: _says(part) - LESS * (code == AROUND) + FIRST * (code == first) for code, part in parts.items()}
        written = max(says, key=says.__getitem__)
    return written, tuple(code for code in parts if code != written)


def _says(part: str) -> float:
    """How much a part says: how many of its words stand in mails to a support desk, and how far they lean to what
    somebody wants there."""
    leans = leanings(features("", part), {}, built_in())
    return leans.known + max(0.0, *map(leans.towards, WANTED)) / 4
