"""Whether a mail has a second matter, for the other department: an outage, and beside it an invoice.

A matter is what a sentence is about by itself: money, where its words of money outweigh the others, or a machine, where
it tells of trouble without a word of money. A mail is looked at sentence by sentence only where both kinds of words are
in it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import replace
from itertools import islice

from gateway.model import Department
from gateway.read.topics.rules import Asked, Heard, heard, scored

SENTENCES = 16  #: that are looked at
MATTERS = 2  #: that a mail can have: one of each department
SHORTEST = 12  #: letters of one that says something
BILLED = 0.6  #: how far words of money must outweigh the others in a sentence
MONEY = 2.0  #: weight of the words of money, in a sentence
#: behind a full stop, at an empty line, before an item of a list, behind a semicolon; all that it can begin with comes
#: first, which is searched for fast
_ENDS = re.compile(r"[\s;](?:(?<=[.!?…]\s)\s*|(?<=\n)(?:\s*\n|(?=\s*(?:[-*•]|\d[.)])\s))|(?<=;)\s+)")


def matters(asked: Asked, whole: Heard) -> dict[Department, str]:
    """The matters of a mail in which ``whole`` was found, each with the sentence that is the first about it; fewer than
    two where it has no second one."""
    if whole.reported or whole.weight("financial") < MONEY:
        return {}
    found: dict[Department, str] = {}
    for sentence in _sentences(asked.text):
        about = _about(replace(asked, subject="", text=sentence, names_a_fact=False), found)
        if about is not None:
            found[about] = sentence
        if len(found) == MATTERS:
            break
    return found


def _sentences(text: str) -> Iterator[str]:
    whole = (" ".join(one.split()) for one in _ENDS.split(text))
    yield from islice((one for one in whole if len(one) >= SHORTEST), SENTENCES)


def _about(asked: Asked, known: Container[Department]) -> Department | None:
    """Which department a sentence is for; ``None``: it tells of nothing by itself, or of one that is known.

    Most sentences have no words of either kind, or too few of money: by their weights alone they are for none. Which
    one it can be for at all is known by them too.
    """
    weights = scored(asked)
    financial, technical = weights.shown("financial"), weights.shown("technical")
    if financial < MONEY and (financial or technical <= 0):
        return None
    if (Department.FINANCIAL if financial else Department.TECHNICAL) in known:
        return None
    found = heard(asked, weights)
    if financial:
        billed = found.opinions["=financial"] > 0 and found.opinions["=more financial"] >= BILLED
        return Department.FINANCIAL if billed else None
    tells = bool(found.signs) or (found.opinions["=account"] > 0 and found.opinions["=more financial"] < 0)
    return Department.TECHNICAL if tells else None
