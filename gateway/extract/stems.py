"""The weighted word stems of a topics file, and how much of each topic a text has by them.

A stem begins at a word start and lets its last word go on; with ``=`` it must end with its word, and ``a & b & c`` is ``a``
with both ``b`` and ``c`` beside it in the sentence. Of a topic's stems that begin at the same place the longest counts. A text in one language is
asked for the stems of that language and of English, whose terms stand in all of them.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import chain, compress, filterfalse, islice, pairwise
from typing import Any

from gateway.extract.language import KNOWN
from gateway.extract.tables import END, LONGEST_KNOWN, MAX_KNOWN, alternation, flattened, words_of_sentences

BESIDE = 70  #: characters around a stem in which the other one of a pair must stand
DENIED = 36  #: characters before a request in which a denial counts
PREFIX = 4  #: characters by which stems are found that may go on
PAIRED = 3  #: characters of the second word of two that follow each other
NAMED = "\N{CURRENCY SIGN}"  #: stands before each order number, address and service name of the text
MAX_NAMED = 24
MAX_PLACES = 16  #: of a stem, where what is around it is looked at
KIN = {"ru": "uk", "uk": "ru"}  #: languages that one mail often mixes
PLAIN = ("financial", "technical", "account", "general", "abuse", "attack", "outage", "service", "part", "resolved")
SENSITIVE = ("password", "access", "cancellation", "refund", "ownership", "reinstall", "email_change")
LACKED = ("sensitive.password", "sensitive.access")  #: who is without them asks for them
_WORD = re.compile(r"\w+")
_MARKS = (". ", "! ", "? ")
#: right before "works again": it does not
_NOT_YET = re.compile(r"(?<!\w)(?:not|never|nicht|nie|ne|jamais|no|non|mai|não|nunca|niet|nooit|не|ні|nikdy)[ ]+\Z")


class TopicsError(ValueError):
    """A topics file that cannot be used. The text says where and why."""


def _longest(text: str, exact: bool) -> tuple[str, bool]:
    """(the longest word, whether the text must have just this word); no word of a sign."""
    words = list(_WORD.finditer(text))
    if not words:
        return "", False
    longest = max(words, key=lambda word: word.end() - word.start())
    return longest[0], exact or longest.end() < len(text)


class Sentence:
    """A sentence with its words and their first characters: cheap to ask before anything is looked for in it."""

    __slots__ = ("_four", "_three", "begins", "text", "words")

    def __init__(self, text: str, begins: int, words: Iterable[str]) -> None:
        self.text = text
        self.begins = begins  #: where it stands in the text
        self.words = frozenset(words)
        self._four: frozenset[str] | None = None
        self._three: frozenset[str] | None = None

    def may_have_one(self, near: _Near) -> bool:
        """Whether the sentence may have one of these."""
        if near.always or not near.words.isdisjoint(self.words):
            return True
        if near.four:
            if self._four is None:
                self._four = frozenset([word[:4] for word in self.words])
            if not near.four.isdisjoint(self._four):
                return True
        if near.three:
            if self._three is None:
                self._three = frozenset([word[:3] for word in self.words])
            return not near.three.isdisjoint(self._three)
        return False


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """By what a sentence is asked for the parts of which one must stand beside a stem."""

    words: frozenset[str]
    four: frozenset[str]
    three: frozenset[str]
    always: bool  #: one of them is too short to ask for

    @classmethod
    def of(cls, parts: Sequence[tuple[str, bool]]) -> _Near:
        """The longest word of each of these (text, exact), or how it begins."""
        longest = [_longest(text, exact) for text, exact in parts]
        words = frozenset(word for word, whole in longest if whole)
        open_ = [word for word, whole in longest if not whole]
        four, three = frozenset(w[:4] for w in open_ if len(w) >= 4), frozenset(w for w in open_ if len(w) == 3)
        return cls(words, four, three, any(len(word) < 3 for word in open_))


@dataclass(frozen=True, slots=True, eq=False)
class Stem:
    """What is looked for, and what it gives to which topic."""

    text: str
    topic: str
    weight: float
    exact: bool
    #: of each of these, one (text, exact) must stand beside it in the sentence
    beside: tuple[tuple[tuple[str, bool], ...], ...] = ()
    near: _Near | None = None  #: of the first of ``beside``
    pair: tuple[str, str] | None = None  #: two of its words that follow each other, of the second the beginning

    @property
    def is_request(self) -> bool:
        """Whether it can be denied: "I do not want a refund"."""
        return self.topic.startswith("sensitive.")

    @property
    def looks_around(self) -> bool:
        """Whether what is around it decides whether it counts."""
        return bool(self.beside) or self.is_request or self.topic == "resolved"


@dataclass(frozen=True, slots=True)
class Speaking:
    """Words beside a request that make it none: it is only asked about, or done already and nothing else is asked for."""

    asking: Sequence[Stem]
    done: Sequence[Stem]
    plea: Sequence[Stem]
    likely: re.Pattern[str]  #: without a match neither asking nor done words stand there


@dataclass(frozen=True, slots=True)
class _Of:
    """The stems that a word of the text leads to."""

    always: tuple[Stem, ...]  #: the word is the whole of it, and it counts wherever it stands; one a topic
    around: tuple[Stem, ...]  #: the word is the whole of it, and what is around decides; the longest of a topic first
    phrases: tuple[Stem, ...]  #: of several words, this one among them, that no pair of words leads to
    behind: Mapping[str, Sequence[Stem]]  #: of several words, this one the last of them, by the word before it


@dataclass(frozen=True)
class Table:
    """Every stem by one word of it: the whole word where it must be one, or its first characters."""

    by_word: Mapping[str, Sequence[Stem]]
    by_prefix: Mapping[str, Sequence[Stem]]
    by_first: Mapping[str, Mapping[str, Sequence[Stem]]]  #: by its longest word and how the next one begins
    signs: Sequence[Stem]  #: without any word ("€")
    denial: re.Pattern[str]  #: "I do not want a": what takes a request back
    lack: re.Pattern[
        str
    ]  #: "without" right before a request: it is none, unless a password or access is what is lacked
    speaking: Speaking
    #: what a word leads to, once asked, and the words that lead to nothing
    known: dict[str, _Of] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)

    def of(self, word: str) -> _Of | None:
        """The stems that this word leads to; ``None`` when there are none."""
        found = self.known.get(word)
        if found is not None:
            return found
        stems = list(self.by_word.get(word, ()))
        for size in range(1, min(PREFIX, len(word)) + 1):
            stems += [stem for stem in self.by_prefix.get(word[:size], ()) if word.startswith(_key(stem)[0])]
        if not stems:
            if len(self.without) < MAX_KNOWN and len(word) <= LONGEST_KNOWN:
                self.without.add(word)
            return None
        by_topic: dict[str, list[Stem]] = {}
        for stem in sorted(stems, key=lambda stem: -len(stem.text)):
            if _key(stem)[0] == stem.text:
                by_topic.setdefault(stem.topic, []).append(stem)
        always = [own[0] for own in by_topic.values() if not own[0].looks_around]
        around = [stem for own in by_topic.values() if own[0] not in always for stem in own]
        phrases = [stem for stem in stems if _key(stem)[0] != stem.text and stem.pair is None]
        behind: dict[str, list[Stem]] = {}
        for stem in stems:
            if stem.pair is not None:
                behind.setdefault(stem.pair[0], []).append(stem)
        found = _Of(tuple(always), tuple(around), tuple(phrases), behind)
        if len(self.known) < MAX_KNOWN and len(word) <= LONGEST_KNOWN:
            self.known[word] = found
        return found


@dataclass(slots=True)
class Found:
    """What a text scores: weight and terms (with how much each gave) by topic."""

    weight: dict[str, float] = field(default_factory=dict)
    terms: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, stem: Stem, count: int) -> None:
        """The stem stands there so often."""
        gives = stem.weight * count
        self.weight[stem.topic] = self.weight.get(stem.topic, 0.0) + gives
        terms = self.terms.setdefault(stem.topic, {})
        terms[stem.text] = terms.get(stem.text, 0.0) + gives


# --------------------------------------------------------------------------- the file


def built_in() -> str:
    """The text of the topics file that comes with the package."""
    return resources.files("gateway.extract").joinpath("topics.toml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _File:
    """What a topics file says: the stems of each language, and what takes a request back."""

    stems: Mapping[str, Sequence[Stem]]
    denial: re.Pattern[str]
    lack: re.Pattern[str]
    speaking: Speaking


@functools.lru_cache(maxsize=4)
def _file(text: str) -> _File:
    try:
        raw = tomllib.loads(text or built_in())
    except tomllib.TOMLDecodeError as error:
        raise TopicsError(f"no TOML: {error}") from error
    topics: dict[str, Any] = {name: raw.pop(name, {}) for name in PLAIN}
    sensitive, denial, lack = raw.pop("sensitive", {}), raw.pop("denial", {}), raw.pop("without", {})
    asking, done, plea = ([s for _, s in _stems(name, raw.pop(name, {}))] for name in ("asking", "done", "plea"))
    speaking = Speaking(asking, done, plea, re.compile(alternation(s.text for s in (*asking, *done))))
    topics |= {f"sensitive.{name}": sensitive.pop(name, {}) for name in SENSITIVE}
    for name in (*raw, *(f"sensitive.{name}" for name in sensitive)):
        raise TopicsError(
            f"{name}: no such topic; there are {', '.join((*PLAIN, *(f'sensitive.{s}' for s in SENSITIVE)))}"
        )
    stems: dict[str, list[Stem]] = {}
    for topic, languages in topics.items():
        for language, found in _stems(topic, languages):
            stems.setdefault(language, []).append(found)
    if not stems:
        raise TopicsError("no stems")
    denials = _any_of([stem for _, stem in _stems("denial", denial)])
    lacks = _any_of([stem for _, stem in _stems("without", lack)])
    before = re.compile(rf"{lacks}\w{{0,20}}(?:[ ,]{{1,2}}\w{{1,20}}){{0,3}}[ ,]{{0,2}}\Z")
    return _File(stems, re.compile(denials), before, speaking)


@functools.lru_cache(maxsize=64)
def table(text: str = "", language: str | None = None, topics: Collection[str] = (*PLAIN, *SENSITIVE)) -> Table:
    """The table in this text of a topics file; without one, the file that comes with the package.

    Args:
        language: of the words that it will be asked about; without one, the stems of every language.
        topics: those that it will be asked for.

    Raises:
        TopicsError: no TOML, an unknown topic, a weight that is no number, a stem that is no text.
    """
    file = _file(text)
    spoken = {language, KIN.get(language or ""), "en"} if language in file.stems else set(file.stems)
    by_word: dict[str, list[Stem]] = {}
    by_prefix: dict[str, list[Stem]] = {}
    by_first: dict[str, dict[str, list[Stem]]] = {}
    signs = []
    for code, stems in file.stems.items():
        if code not in spoken and code in KNOWN:
            continue
        for stem in stems:
            if stem.topic.removeprefix("sensitive.") not in topics:
                continue
            key, whole = _key(stem)
            if not key:
                signs.append(stem)
            elif stem.pair and stem.pair[0] == key:
                by_first.setdefault(stem.pair[0], {}).setdefault(stem.pair[1][:PAIRED], []).append(stem)
            elif whole:
                by_word.setdefault(key, []).append(stem)
            else:
                by_prefix.setdefault(key[:PREFIX], []).append(stem)
    return Table(by_word, by_prefix, by_first, signs, file.denial, file.lack, file.speaking)


def _pair(part: str) -> tuple[str, str] | None:
    """The longest word of a stem and the word behind or before it, or what the word behind begins with."""
    words = _WORD.findall(part.removesuffix("="))
    if len(words) < 2:
        return None
    first = min(max(range(len(words)), key=lambda index: len(words[index])), len(words) - 2)
    goes_on = first + 1 == len(words) - 1 and not part.endswith("=")
    if goes_on and len(words[first + 1]) < PAIRED:
        return None
    return words[first], words[first + 1]


@functools.lru_cache(maxsize=16384)
def _key(stem: Stem) -> tuple[str, bool]:
    """(the longest word of a stem, by which it is found; whether the text must have just this word)."""
    return _longest(stem.text, stem.exact)


def _stems(topic: str, languages: Any) -> list[tuple[str, Stem]]:
    found: list[tuple[str, Stem]] = []
    if not isinstance(languages, dict):
        raise TopicsError(f"{topic}: a table by language is wanted")
    for language, weights in languages.items():
        if not isinstance(weights, dict):
            raise TopicsError(f"{topic}.{language}: a table of weights is wanted")
        for weight, words in weights.items():
            try:
                value = float(weight)
            except ValueError:
                raise TopicsError(f"{topic}.{language}: {weight!r} is no weight") from None
            if not 0 < value <= 100 or not isinstance(words, list):
                raise TopicsError(f"{topic}.{language}.{weight}: a weight above 0 with a list of stems is wanted")
            for word in words:
                where = f"{topic}.{language}.{weight}"
                found += [(language, stem) for stem in _expanded(word, topic, value, where)]
    return found


def _expanded(word: Any, topic: str, weight: float, where: str) -> list[Stem]:
    """The stems that an entry stands for: ``a|b & c|d & e`` is ``a`` or ``b`` with ``c`` or ``d``, and ``e``, beside it."""
    if not isinstance(word, str) or not word.strip():
        raise TopicsError(f"{where}: {word!r} is no stem")
    first, *others = word.lower().split(" & ")
    beside = tuple(tuple((part.removesuffix("="), part.endswith("=")) for part in other.split("|")) for other in others)
    near = _Near.of(beside[0]) if beside else None
    stems = [
        Stem(part.removesuffix("="), topic, weight, part.endswith("="), beside, near, _pair(part))
        for part in first.split("|")
    ]
    if any(not stem.text.strip() or stem.text[0].isspace() for stem in stems) or any(
        not text.strip() for group in beside for text, _ in group
    ):
        raise TopicsError(f"{where}: {word!r} is no stem")
    return stems


# --------------------------------------------------------------------------- the text


def _any_of(stems: Sequence[Stem]) -> str:
    """An expression for any of these stems at a word start."""
    begins = alternation(stem.text for stem in stems if not stem.exact) if any(not s.exact for s in stems) else r"(?!)"
    words = alternation(stem.text for stem in stems if stem.exact) if any(s.exact for s in stems) else r"(?!)"
    return rf"(?<!\w)(?:{begins}|(?:{words})(?!\w))"


def stands(text: str, part: str, exact: bool) -> bool:
    """Whether a stem stands in the text at a word start."""
    return any(
        not (exact and (end := at + len(part)) < len(text) and (text[end].isalnum() or text[end] == "_"))
        for at in _starts(text, part)
    )


def _denied(before: str, topic: str, stems: Table) -> bool:
    """Whether the words just before a request say that it is none ("I do not want a refund", "without reinstalling")."""
    clause = before[-DENIED:].rpartition(",")[2]
    return bool(stems.denial.search(clause)) or (topic not in LACKED and bool(stems.lack.search(clause)))


def _sentences(lower: str) -> str:
    """The text with a sign at the end of each sentence, everything at its place."""
    for mark in _MARKS:
        lower = lower.replace(mark, END + " ")
    return lower


def _beside(ended: str, start: int, end: int) -> str:
    """The words around a place, within its sentence; before it none whose beginning is cut off: "zip" is no "ip"."""
    low, behind = start - BESIDE, ended.find(END, end, end + BESIDE)
    ends = ended.rfind(END, max(0, low), start) + 1
    if ends:
        low = ends
    elif low <= 0:
        low = 0
    elif ended[low - 1].isalnum():
        low = ended.find(" ", low, start) + 1 or start
    return f"{ended[low:start]} \0 {ended[end : end + BESIDE if behind < 0 else behind]}"


def _starts(lower: str, stem: str) -> Iterator[int]:
    """Where a stem stands at a word start; what begins with a sign stands anywhere."""
    at, sign = lower.find(stem), not _WORD.match(stem)
    while at >= 0:
        if sign or not at or not ((before := lower[at - 1]).isalnum() or before == "_"):
            yield at
        at = lower.find(stem, at + 1)


def _places(lower: str, stem: Stem) -> Iterator[int]:
    """Where a stem stands."""
    for at in _starts(lower, stem.text):
        end = at + len(stem.text)
        if not (stem.exact and end < len(lower) and (lower[end].isalnum() or lower[end] == "_")):
            yield at


def marked(lower: str, named: Collection[str]) -> str:
    """The text with a sign before each of these names, which stems can ask for ("need \N{CURRENCY SIGN}")."""
    for name in list(named)[:MAX_NAMED]:
        if name in lower:
            lower = lower.replace(name, NAMED + name)
    return lower


def score(text: str, stems: Table, named: Collection[str] = ()) -> Found:
    """How much of each topic the text has; ``named`` are the things it names, in small letters."""
    found = Found()
    lower = flattened(text)
    worded = words_of_sentences(_sentences(lower))
    lower = marked(lower, named)
    ended = _sentences(lower)
    every = list(chain.from_iterable(worded))
    words = Counter(every)
    led = [(word, of) for word in filterfalse(stems.without.__contains__, words) if (of := stems.of(word)) is not None]
    taken: set[tuple[int, str]] = set()
    inside = _add_phrases(lower, ended, [*_phrases(every, led, stems), *stems.signs], stems, taken, found)
    around: dict[str, Sequence[Stem]] = {}
    for word, of in led:
        for stem in of.always:
            count = words[word] - inside.get((word, stem.topic), 0)
            if count:
                found.add(stem, count)
        if of.around:
            around[word] = of.around
    if around:
        _add_around(ended, worded, around, stems, taken, found)
    return found


def _phrases(every: Sequence[str], led: Sequence[tuple[str, _Of]], stems: Table) -> dict[Stem, None]:
    """The stems of several words that may stand in the text with these words."""
    phrases = dict.fromkeys(stem for _, of in led for stem in of.phrases)
    by_first = stems.by_first
    for word, next_ in compress(pairwise(every), map(by_first.__contains__, every)):
        for stem in by_first[word].get(next_[:PAIRED], ()):
            if next_.startswith(stem.pair[1]):  # type: ignore[index]
                phrases[stem] = None
    behind = {word: of.behind for word, of in led if of.behind}
    for before, word in compress(pairwise(every), map(behind.__contains__, islice(every, 1, None))):
        for stem in behind[word].get(before, ()):
            phrases[stem] = None
    return phrases


def _add_phrases(
    lower: str, ended: str, phrases: Sequence[Stem], stems: Table, taken: set[tuple[int, str]], found: Found
) -> dict[tuple[str, str], int]:
    """Adds these where they stand, the longest of a topic at each place.

    ``taken`` gets the (place, topic) of each.

    Returns:
        how many of them begin with this (word, topic).
    """
    hits = [
        (place, -len(stem.text), stem)
        for stem in phrases
        if stem.text in lower
        for place in islice(_places(lower, stem), MAX_PLACES if stem.looks_around else None)
    ]
    inside: dict[tuple[str, str], int] = {}
    ends: dict[str, int] = {}  #: of a topic, where the phrase ends that counted last
    for place, _, stem in sorted(hits, key=lambda hit: hit[:2]):
        if place < ends.get(stem.topic, 0):
            continue
        if not stem.looks_around or _counts(_beside(ended, place, place + len(stem.text)), stem.text, stem, stems):
            taken.add((place, stem.topic))
            ends[stem.topic] = place + len(stem.text)
            first = _WORD.match(stem.text)
            begins = (first[0] if first else "", stem.topic)
            inside[begins] = inside.get(begins, 0) + 1
            found.add(stem, 1)
    return inside


def _add_around(
    ended: str,
    worded: Sequence[Sequence[str]],
    around: Mapping[str, Sequence[Stem]],
    stems: Table,
    taken: set[tuple[int, str]],
    found: Found,
) -> None:
    """Adds the stems that are one of these words, where what is around them lets them count, at its first places.

    ``worded`` are the words of each sentence of the text; ``taken`` has the (place, topic) of each longer stem.
    """
    looked = dict.fromkeys(around, 0)
    begins = 0
    for text, words in zip(ended.split(END), worded, strict=True):
        sentence: Sentence | None = None
        for word in dict.fromkeys(filter(around.__contains__, words)):
            sentence = sentence or Sentence(text, begins, words)
            candidates = [stem for stem in around[word] if stem.near is None or sentence.may_have_one(stem.near)]
            if not candidates:
                continue
            for at in islice(_whole(text, word), MAX_PLACES - looked[word]):
                looked[word] += 1
                place = begins + at
                beside = _beside(ended, place, place + len(word))
                for stem in candidates:
                    if (place, stem.topic) not in taken and _counts(beside, word, stem, stems):
                        taken.add((place, stem.topic))
                        found.add(stem, 1)
        begins += len(text) + 1


def _whole(text: str, word: str) -> Iterator[int]:
    """Where this stands in the text as a word of its own."""
    at = text.find(word)
    while at >= 0:
        after = at + len(word)
        if not (_goes_on(text[at - 1 : at]) or _goes_on(text[after : after + 1])):
            yield at
        at = text.find(word, after)


def _goes_on(char: str) -> bool:
    """Whether a word goes on with this character, if there is one."""
    return char.isalnum() or char == "_"


def _has_beside(around: str, stem: Stem) -> bool:
    """Whether of each group one stands there that must be beside the stem."""
    for group in stem.beside:
        for part, exact in group:
            if part in around and stands(around, part, exact):
                break
        else:
            return False
    return True


def _only_speaks(around: str, here: str, words: Speaking) -> bool:
    """Whether the words around a request ask about its terms, or how to do it oneself, or tell that it is done."""
    whole = around.replace(" \0 ", here)
    if not words.likely.search(whole):
        return False

    def stands_one(stems: Sequence[Stem]) -> bool:
        return any(s.text in whole and stands(whole, s.text, s.exact) and _has_beside(whole, s) for s in stems)

    return stands_one(words.asking) or (stands_one(words.done) and not stands_one(words.plea))


def _counts(around: str, here: str, stem: Stem, stems: Table) -> bool:
    """Whether what is around the stem lets it count there, where it is in ``here``."""
    if not _has_beside(around, stem):
        return False
    if stem.topic == "resolved":
        return not _NOT_YET.search(around.partition("\0")[0])
    return not (
        stem.is_request
        and (_denied(around.partition("\0")[0], stem.topic, stems) or _only_speaks(around, here, stems.speaking))
    )
