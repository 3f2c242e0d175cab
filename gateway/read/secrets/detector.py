"""What finds secrets of one kind: an expression that is asked only in lines that have one of its signs."""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.read.tables import EVERY_MAIL, blanked

Accepts = Callable[[re.Match[str]], bool]


class Detector:
    """``expression`` finds secrets in lines that have one of the ``signs``; its group ``value`` is what is masked, else the
    whole match. ``accepts``: whether a match is a secret. ``below``: how many lines below a sign belong to it.

    A sign is the beginning of a word in small letters; ``=net``: the whole word; ``*pass``: anywhere in a word; ``!$``:
    these characters.
    """

    __slots__ = ("_literals", "_numbers", "accepts", "below", "expression", "signs")

    def __init__(
        self, signs: str, expression: str, accepts: Accepts | None = None, flags: int = re.IGNORECASE, below: int = 0
    ) -> None:  # fmt: skip
        self.expression = re.compile(expression, flags)
        self.accepts, self.below, self.signs = accepts, below, (signs, below)
        self._literals = [sign[1:] for sign in signs.split() if sign[0] == "!"]
        self._numbers = [EVERY_MAIL.number(_key(sign)) for sign in signs.split() if sign[0] != "!"]

    def windows(self, text: str, lower: str) -> list[tuple[int, int]]:
        """(begin, end) of the lines that have a sign, joined where they touch."""
        places = EVERY_MAIL.places(lower)
        at = [place for number in self._numbers if number in places for place in places[number]]
        for literal in self._literals:
            place = lower.find(literal)
            while place >= 0:
                at.append(place)
                place = lower.find(literal, place + len(literal))
        found: list[tuple[int, int]] = []
        for place in sorted(at):
            if found and place + AHEAD <= found[-1][1]:
                continue
            begin, end = max(text.rfind("\n", 0, place) + 1, place - BEHIND), place
            for _ in range(self.below + 1):
                newline = text.find("\n", end + 1, place + AHEAD)
                end = newline if newline >= 0 else place + AHEAD
            if found and begin <= found[-1][1]:
                found[-1] = (found[-1][0], max(end, found[-1][1]))
            else:
                found.append((begin, end))
        return found


BEHIND, AHEAD = 256, 4096  #: characters of a line before and after a sign that matter


def _key(sign: str) -> str:
    word = blanked(sign.lstrip("=*").replace("~", " "))
    if sign[0] == "*":
        return word
    return f" {word} " if sign[0] == "=" else f" {word}"
