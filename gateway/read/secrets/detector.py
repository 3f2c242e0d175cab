"""What finds secrets of one kind: an expression that is asked only in lines that have one of its signs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, blanked

Accepts = Callable[[re.Match[str]], bool]

#: what stands after a label and is no secret
NOT_VALUE = late(
    r"(?:see|none|unknown|unbekannt|siehe|below|unten|leer|empty|same|wie|reset|forgot\w*|vergessen|n/a|incorrect"
    r"|wrong|falsch|invalid|expired|required|missing|not|nicht|pas|non|не|нет|как|see\w*|sent|gesendet|"
    r"where|how|what|when|why|who|can|is|wo|was|warum|kann|où|comment|quand|dónde|cómo|cuándo|dove|come|quando|perché"
    r"|где|почему|що|де|чому|gdzie|jak|kde|waar|hoe|onde|nerede|nasıl|"
    r"\[masked\]|[|>][-+]?|value:|yes|ok|asked|wanted|needed|\*{3,}|x{3,}|\.{3,}|_{3,}|-{3,})[.,;!?)]{0,3}\Z",
    re.IGNORECASE,
)


class Detector:
    """``expression`` finds secrets in lines that have one of the ``signs``; its group ``value`` is what is masked, else
    the whole match. ``accepts``: whether a match is a secret. ``below``: how many lines below a sign belong to it.

    A sign is the beginning of a word in small letters; ``=net``: the whole word; ``*pass``: anywhere in a word; ``!$``:
    these characters.
    """

    __slots__ = ("_literals", "_numbers", "_rare", "accepts", "below", "expression", "signs")

    def __init__(
        self, signs: str, expression: str, accepts: Accepts | None = None, flags: int = re.IGNORECASE, below: int = 0
    ) -> None:  # fmt: skip
        self.expression = late(expression, flags)
        self.accepts, self.below, self.signs = accepts, below, (signs, below)
        self._literals = [sign[1:] for sign in signs.split() if sign[0] == "!"]
        self._rare = [
            (_rarest(literal), literal) for literal in self._literals
        ]  #: its character that fewest texts have
        self._numbers = [EVERY_MAIL.number(_key(sign)) for sign in signs.split() if sign[0] != "!"]

    @property
    def keys(self) -> list[int]:
        """The numbers of its signs among what is looked for in every mail."""
        return self._numbers

    @property
    def literals(self) -> list[tuple[str, str]]:
        """The signs that are characters, each behind that one of its characters that fewest texts have."""
        return self._rare

    def windows(self, text: str, lower: str) -> list[tuple[int, int]]:
        """(begin, end) of the lines that have a sign, joined where they touch."""
        places = EVERY_MAIL.places(lower)
        at = [place for number in self._numbers if number in places for place in places[number]]
        for literal in self._literals:
            place = lower.find(literal)
            while place >= 0:
                at.append(place)
                place = lower.find(literal, place + len(literal))
        if len(at) > DENSE:
            return _blocks(text)
        found: list[tuple[int, int]] = []
        end, whole = -1, False  # where the last one ends, and whether with its line
        for place in sorted(at):
            if place < end and (place + AHEAD <= end or (whole and not self.below)):
                continue
            begin, last = text.rfind("\n", max(0, place - BEHIND), place) + 1 or max(0, place - BEHIND), place
            for _ in range(self.below + 1):
                newline = text.find("\n", last + 1, place + AHEAD)
                whole, last = newline >= 0, newline if newline >= 0 else place + AHEAD
            if found and begin <= end + 1:
                found[-1] = (found[-1][0], max(end, last))
            else:
                found.append((begin, last))
            end = found[-1][1]
        return found


def _blocks(text: str) -> list[tuple[int, int]]:
    """The whole text in pieces that overlap by as much as a window of a sign has before and behind it."""
    return [(max(0, begin - BEHIND), begin + BLOCK + AHEAD) for begin in range(0, len(text), BLOCK)]


def _rarest(literal: str) -> str:
    return next((char for char in literal if not (char.isalnum() or char in " -_")), literal)


BEHIND, AHEAD = 256, 4096  #: characters of a line before and after a sign that matter
DENSE, BLOCK = 400, 16_384  #: signs from which the text is looked at as a whole, in blocks of so many characters


class Detectors:
    """Many detectors, of which only those are asked that have a sign in the text."""

    def __init__(self, detectors: Iterable[Detector]) -> None:
        self._by_signs: dict[tuple[str, int], list[Detector]] = {}  #: several have the same
        for detector in detectors:
            self._by_signs.setdefault(detector.signs, []).append(detector)
        self._by_key: dict[int, list[tuple[str, int]]] = {}
        for signs, (first, *_) in self._by_signs.items():
            for number in first.keys:
                self._by_key.setdefault(number, []).append(signs)
        self._literal = [(*sign, signs) for signs, (first, *_) in self._by_signs.items() for sign in first.literals]

    def matches(self, text: str, lower: str) -> Iterator[re.Match[str]]:
        """What they find and accept; ``lower``: the same text in small letters."""
        found = EVERY_MAIL.places(lower).keys() & self._by_key.keys()
        asked = dict.fromkeys(signs for number in found for signs in self._by_key[number])
        for rare, literal, signs in self._literal:
            if rare in lower and literal in lower:
                asked[signs] = None
        for signs in asked:
            windows = self._by_signs[signs][0].windows(text, lower)
            for detector in self._by_signs[signs]:
                for begin, end in windows:
                    for match in detector.expression.finditer(text, begin, end):
                        if detector.accepts is None or detector.accepts(match):
                            yield match


def has_any(words: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text in small letters has one of these, by the search that every mail has anyway."""
    numbers = frozenset(EVERY_MAIL.number(blanked(word)) for word in words)
    return lambda lower: not numbers.isdisjoint(EVERY_MAIL.places(lower))


def _key(sign: str) -> str:
    word = blanked(sign.lstrip("=*").replace("~", " "))
    if sign[0] == "*":
        return word
    return f" {word} " if sign[0] == "=" else f" {word}"
