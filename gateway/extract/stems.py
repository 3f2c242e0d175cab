"""The weighted word stems of a topics file, and how much of each topic a text has by them.

A stem begins at a word start and lets its last word go on; with ``=`` it must end with its word, and ``a & b & c`` is ``a``
with both ``b`` and ``c`` beside it in the sentence. Of a topic's stems that begin at the same place the longest counts. A text in one language is
asked for the stems of that language and of English, whose terms stand in all of them.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from ahocorasick_rs import AhoCorasick

from gateway.extract.language import KNOWN
from gateway.extract.tables import alternation, blanked, flattened

BESIDE = 70  #: characters around a stem in which the other one of a pair must stand
DENIED = 36  #: characters before a request in which a denial counts
NAMED = "\N{CURRENCY SIGN}"  #: stands before each order number, address and service name of the text
MAX_NAMED = 24
MAX_PLACES = 32  #: of a stem, where what is around it is looked at
KIN = {"ru": "uk", "uk": "ru"}  #: languages that one mail often mixes
PLAIN = ("financial", "technical", "account", "general", "abuse", "attack", "outage", "service", "part", "resolved")
SENSITIVE = ("password", "access", "cancellation", "refund", "ownership", "reinstall", "email_change")
LACKED = ("sensitive.password", "sensitive.access")  #: who is without them asks for them
_WORD = re.compile(r"\w+")
_MARKS = (". ", "! ", "? ")
END = "\1"  #: marks the end of a sentence
#: right before "works again": it does not
_NOT_YET = re.compile(r"(?<!\w)(?:not|never|nicht|nie|ne|jamais|no|non|mai|não|nunca|niet|nooit|не|ні|nikdy)[ ]+\Z")


class TopicsError(ValueError):
    """A topics file that cannot be used. The text says where and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Stem:
    """What is looked for, and what it gives to which topic."""

    text: str
    topic: str
    weight: float
    exact: bool
    #: of each of these, one (text, exact) must stand beside it in the sentence
    beside: tuple[tuple[tuple[str, bool], ...], ...] = ()
    is_request: bool = field(init=False)  #: it can be denied: "I do not want a refund"
    looks_around: bool = field(init=False)  #: what is around it decides whether it counts
    is_word: bool = field(init=False)  #: one word, or how one begins

    def __post_init__(self) -> None:
        """Sets what follows from the rest, which is asked for at every place."""
        is_request = self.topic.startswith("sensitive.")
        object.__setattr__(self, "is_request", is_request)
        object.__setattr__(self, "looks_around", bool(self.beside) or is_request or self.topic == "resolved")
        object.__setattr__(self, "is_word", _WORD.fullmatch(self.text) is not None)


@dataclass(frozen=True, slots=True)
class Speaking:
    """Words beside a request that make it none: it is only asked about, or done already and nothing else is asked for."""

    asking: Sequence[Stem]
    done: Sequence[Stem]
    plea: Sequence[Stem]
    likely: re.Pattern[str]  #: without a match neither asking nor done words stand there


#: (rank among all, the stem, for each group of ``beside`` the keys of which the text must have one)
Entry = tuple[int, Stem, tuple[frozenset[int], ...]]


@dataclass(frozen=True, slots=True)
class _File:
    """What a topics file says, and the search for all of it at once."""

    stems: Sequence[tuple[str, int, Entry]]  #: (language, key, entry)
    keys: int  #: how many there are
    search: AhoCorasick
    signs: Sequence[tuple[str, Entry]]  #: (language, entry) of those that begin with a sign ("€")
    denial: re.Pattern[str]
    lack: re.Pattern[str]
    speaking: Speaking
    languages: frozenset[str]


@dataclass(frozen=True, slots=True)
class Table:
    """The stems of some languages and topics."""

    file: _File
    by_key: Sequence[Sequence[Entry]]
    signs: Sequence[Entry]

    def hits(self, lower: str, blank: str) -> list[tuple[int, int, Stem]]:
        """(place, rank, stem) of each that stands in the text, by place, the longest first.

        Args:
            lower: the text in small letters.
            blank: the same with blanks for all that belongs to no word, and one at either end.
        """
        matches = self.file.search.find_matches_as_indexes(blank, overlapping=True)
        seen = {key for key, _, _ in matches}
        hits = []
        for key, place, _ in matches:
            for rank, stem, beside in self.by_key[key]:
                if stem.is_word or lower.startswith(stem.text, place):
                    for group in beside:
                        if group.isdisjoint(seen):
                            break
                    else:
                        hits.append((place, rank, stem))
        for rank, stem, _ in self.signs:
            hits += [(place, rank, stem) for place in _starts(lower, stem.text)]
        hits.sort()
        return hits


@dataclass(slots=True)
class Found:
    """What a text scores: weight and terms (with how much each gave) by topic."""

    weight: dict[str, float] = field(default_factory=dict)
    terms: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, stem: Stem) -> None:
        """The stem stands there once."""
        self.weight[stem.topic] = self.weight.get(stem.topic, 0.0) + stem.weight
        terms = self.terms.setdefault(stem.topic, {})
        terms[stem.text] = terms.get(stem.text, 0.0) + stem.weight


# --------------------------------------------------------------------------- the file


def built_in() -> str:
    """The text of the topics file that comes with the package."""
    return resources.files("gateway.extract").joinpath("topics.toml").read_text(encoding="utf-8")


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
    return _searched(stems, re.compile(denials), before, speaking)


def _searched(
    stems: Mapping[str, Sequence[Stem]], denial: re.Pattern[str], lack: re.Pattern[str], speaking: Speaking
) -> _File:
    """The file with one search for its stems and for what must stand beside them (Aho and Corasick, CACM 18(6), 1975).

    Each key begins with a blank, which stands for all that belongs to no word; so does its end where a word must end.
    """
    keys: dict[str, int] = {}

    def key(text: str, exact: bool) -> int:
        return keys.setdefault(f" {blanked(text)}{' ' * exact}", len(keys))

    ordered = sorted(
        ((language, stem) for language, own in stems.items() for stem in own),
        key=lambda item: (-len(item[1].text), not item[1].exact),
    )
    found, signs = [], []
    for rank, (language, stem) in enumerate(ordered):
        # what begins with a sign stands anywhere, and is not among the keys
        beside = tuple(
            frozenset(key(text, exact) for text, exact in group)
            for group in stem.beside
            if all(_WORD.match(text) for text, _ in group)
        )
        if _WORD.match(stem.text):
            found.append((language, key(stem.text, stem.exact), (rank, stem, beside)))
        else:
            signs.append((language, (rank, stem, beside)))
    search = AhoCorasick(list(keys), store_patterns=False)
    return _File(found, len(keys), search, signs, denial, lack, speaking, frozenset(stems))


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
    spoken = {language, KIN.get(language or ""), "en"} if language in file.languages else file.languages

    def wanted(code: str, stem: Stem) -> bool:
        return (code in spoken or code not in KNOWN) and stem.topic.removeprefix("sensitive.") in topics

    by_key: list[tuple[Entry, ...]] = [()] * file.keys
    for code, key, entry in file.stems:
        if wanted(code, entry[1]):
            by_key[key] += (entry,)
    return Table(file, by_key, [entry for code, entry in file.signs if wanted(code, entry[1])])


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
    stems = [Stem(part.removesuffix("="), topic, weight, part.endswith("="), beside) for part in first.split("|")]
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


def _denied(before: str, topic: str, stems: _File) -> bool:
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


def marked(lower: str, named: Collection[str]) -> str:
    """The text with a sign before each of these names, which stems can ask for ("need \N{CURRENCY SIGN}")."""
    for name in list(named)[:MAX_NAMED]:
        if name in lower:
            lower = lower.replace(name, NAMED + name)
    return lower


def score(text: str, stems: Table, named: Collection[str] = ()) -> Found:
    """How much of each topic the text has; ``named`` are the things it names, in small letters."""
    found = Found()
    lower = marked(flattened(text), named)
    blank = f" {blanked(lower)} "
    ended = ""
    counted: set[tuple[int, str]] = set()
    ends: dict[str, int] = {}  #: of a topic, where the phrase ends that counted last
    looked: dict[int, int] = {}
    for place, rank, stem in stems.hits(lower, blank):
        topic, end = stem.topic, place + len(stem.text)
        if (place, topic) in counted or (not stem.is_word and place < ends.get(topic, 0)):
            continue
        if stem.looks_around:
            looked[rank] = looked.get(rank, 0) + 1
            if looked[rank] > MAX_PLACES:
                continue
            if blank[end] != " ":  # what its last word goes on with is not beside it
                end = blank.index(" ", end) - 1
            ended = ended or _sentences(lower)
            if not _counts(_beside(ended, place, end), lower[place:end], stem, stems.file):
                continue
        counted.add((place, topic))
        if not stem.is_word:
            ends[topic] = end
        found.add(stem)
    return found


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


def _counts(around: str, here: str, stem: Stem, stems: _File) -> bool:
    """Whether what is around the stem lets it count there, where it is in ``here``."""
    if not _has_beside(around, stem):
        return False
    if stem.topic == "resolved":
        return not _NOT_YET.search(around.partition("\0")[0])
    return not (
        stem.is_request
        and (_denied(around.partition("\0")[0], stem.topic, stems) or _only_speaks(around, here, stems.speaking))
    )
