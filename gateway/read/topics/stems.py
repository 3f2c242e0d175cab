"""The weighted word stems of the topics files, and how much of each topic a text has by them.

A stem begins at a word start and lets its last word go on; with ``=`` it must end with its word, and ``a & b & c`` is
``a`` with both ``b`` and ``c`` beside it in the sentence; ``a & >b`` wants ``b`` shortly behind it in its clause, ``a &
<b`` before it, ``a & >3b`` with at most three words between them. Of a topic's stems that begin at the same place the
longest counts. A text in one language is asked for the stems of that language and of English, whose terms stand in all
of them.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.model import SENSITIVE
from gateway.read.tables import blanked, flattened
from gateway.read.topics.compiled import File, compiled
from gateway.read.topics.stem import (
    KIN,
    LACKED,
    NAMED,
    PLAIN,
    STATES,
    WORD,
    Denying,
    Entry,
    Keyed,
    Speaking,
    Stem,
)
from gateway.read.words.model import KNOWN

BESIDE = 70  #: characters around a stem in which the other one of a pair must stand
OVER = 2.0  #: what the words weigh that say that it works again; the others only speak of what was, or may be
NEAR = 50  #: characters on one side of it, within the clause, where an order is wanted
DENIED = 36  #: characters before a request in which a denial counts
MAX_NAMED = 24
MAX_PLACES = 32  #: of a stem, where what is around it is looked at
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w.-]{0,255}\w")
_PATH = re.compile(r"(://[^\s/<>]{1,255}/)[^\s<>()]{1,2000}")
_SENTENCE_END = re.compile(
    r"[.!?](?= )(?<! ca\.)(?<! min\.)(?<! mins\.)(?<! approx\.)(?<! nr\.)(?<! std\.)(?<! bzw\.)(?<! ч\.)(?<! мин\.)"
)
_CLAUSE_END = re.compile(r"[,;:(](?= |$)| [-–—](?= )")


@dataclass(frozen=True)
class Table:
    """The stems of some languages and topics."""

    file: File
    spoken: frozenset[str]  #: its languages
    kinds: frozenset[int]  #: the numbers of its kinds of stems
    known: dict[int, tuple[Entry, ...]] = field(default_factory=dict)  #: of the keys that were asked for

    @functools.cached_property
    def signs(self) -> Sequence[Entry]:
        """The stems that begin with a sign."""
        return self.file.signs(self.kinds)

    @functools.cached_property
    def keywords(self) -> tuple[str, ...]:
        """Single words of the outages, in which a typing error may be."""
        return tuple(dict.fromkeys(word for word, kind in self.file.plain["keywords"] if kind in self.kinds))

    @functools.cached_property
    def distinct(self) -> tuple[str, ...]:
        """What is none of their misspellings."""
        return tuple(dict.fromkeys(text for code, text in self.file.distinct if code in self.spoken))

    def hits(self, text: Searched) -> list[tuple[int, int, Stem, tuple[Keyed, ...]]]:
        """(place, rank, stem, groups) of each that stands in the text, by place, the longest first."""
        lower, present, known, hits = text.lower, text.present, self.known, []
        for key in text.places:
            entries = known.get(key)
            if entries is None:
                entries = known[key] = self.file.entries(key, self.kinds)
            if not entries:
                continue
            places = text.places[key]
            for rank, stem, beside in entries:
                for group in beside:
                    if not group.absent and not present(group) and not group.signs:
                        break
                else:
                    hits += [
                        (place, rank, stem, beside)
                        for place in (places[:MAX_PLACES] if stem.looks_around else places)
                        if stem.is_word or lower.startswith(stem.text, place)
                    ]
        for rank, stem, beside in self.signs:
            hits += [(place, rank, stem, beside) for place in _starts(lower, stem.text)]
        hits.sort()
        return hits


@dataclass(slots=True)
class Found:
    """What a text scores: weight and terms (with how much each gave) by topic."""

    weight: dict[str, float] = field(default_factory=dict)
    terms: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, stem: Stem, times: int) -> None:
        """The stem stands there so often."""
        self.weight[stem.topic] = self.weight.get(stem.topic, 0.0) + stem.weight * times
        terms = self.terms.setdefault(stem.topic, {})
        name = stem.name
        terms[name] = terms.get(name, 0.0) + stem.weight * times


@functools.lru_cache(maxsize=64)
def table(
    text: str = "",
    language: str | None = None,
    topics: Collection[str] = (*PLAIN, *STATES, *SENSITIVE),
    plain: bool = False,
    beside: Collection[str] = (),
) -> Table:
    """The table in this text of a topics file; without one, the file that comes with the package.

    Args:
        language: of the words that it will be asked about; without one, the stems of every language.
        topics: those that it will be asked for.
        plain: whether it will be asked about a text without accents, whose author may have left them out
            ("contrasena").
        beside: other languages of the words that it will be asked about.

    Raises:
        TopicsError: no TOML, an unknown topic, a weight that is no number, a stem that is no text.
    """
    file = compiled(text, plain)
    known = language in file.languages
    spoken = frozenset((language or "", KIN.get(language or "", ""), "en", *beside) if known else file.languages)
    kinds = frozenset(
        number
        for number, (code, topic, *_) in enumerate(file.plain["kinds"])
        if (code in spoken or code not in KNOWN) and topic.removeprefix("sensitive.") in topics
    )
    return Table(file, spoken, kinds)


class Searched:
    """A text in small letters, and where in it the words of a topics file stand."""

    def __init__(self, lower: str, file: File) -> None:
        # a sign that is ours says nothing of words, and a text of nothing but ASCII is blanked faster
        blank = f" {blanked(lower.replace(NAMED, ' ') if NAMED in lower else lower)} "
        self.lower, self._keys = lower, file.keys
        self.places = places = defaultdict[int, list[int]](list)  #: of each key that stands there, in order
        for key, place, _ in file.search.find_matches_as_indexes(blank, overlapping=True):
            places[key].append(place)
        self._standing = frozenset(places)
        self._present: dict[int, frozenset[int]] = {}  #: the keys of a group that the text has, by its identity
        self._ends: list[int] | None = None

    def around(self, start: int, end: int) -> tuple[int, int]:
        """From where to where the words beside a place may stand: within its sentence."""
        if self._ends is None:
            self._ends = [match.start() for match in _SENTENCE_END.finditer(self.lower)]
        low, high = max(0, start - BESIDE), min(end + BESIDE, len(self.lower))
        before, behind = bisect_left(self._ends, start) - 1, bisect_left(self._ends, end)
        if before >= 0:
            low = max(low, self._ends[before] + 1)
        if behind < len(self._ends):
            high = min(high, self._ends[behind])
        return low, high

    def present(self, group: Keyed) -> frozenset[int]:
        """The keys of a group that the text has anywhere."""
        keys = self._present.get(id(group))
        if keys is None:
            keys = self._present[id(group)] = group.keys & self._standing
        return keys

    def has_beside(self, start: int, end: int, beside: Sequence[Keyed]) -> bool:
        """Whether of each group one stands beside the stem from ``start`` to ``end``."""
        low, high = self.around(start, end)
        for group in beside:
            if self._stands(group, start, end, *self._side(group, start, end, low, high)) is group.absent:
                return False
        return True

    def may_have_beside(self, start: int, end: int, beside: Sequence[Keyed]) -> bool:
        """Cheap: whether of each group one stands somewhere around these places; mostly it does not."""
        low, high = start - BESIDE, end + BESIDE
        for group in beside:
            if group.signs or group.absent:
                continue
            for key in self.present(group):
                places = self.places[key]
                at = bisect_left(places, low)
                if at < len(places) and places[at] < high:
                    break
            else:
                return False
        return True

    def _stands(self, group: Keyed, start: int, end: int, low: int, high: int) -> bool:
        """Whether one of the group stands within these bounds, but not in the stem itself."""
        for key in self.present(group):
            places = self.places[key]
            at = bisect_left(places, low)
            if at == len(places) or places[at] >= high:
                continue
            text = self._keys[key]
            while at < len(places) and (stop := places[at] + len(text)) <= high:
                if (places[at] >= end or stop <= start) and self.lower.startswith(text, places[at]):
                    if self._near(group, start, end, places[at], stop):
                        return True
                at += 1
        return bool(group.signs) and any(
            (
                (before := self.lower.rfind(sign, low, start)) >= 0
                and self._near(group, start, end, before, before + len(sign))
            )
            or (
                (behind := self.lower.find(sign, end, high)) >= 0
                and self._near(group, start, end, behind, behind + len(sign))
            )
            for sign in group.signs
        )

    def _near(self, group: Keyed, start: int, end: int, place: int, stop: int) -> bool:
        """Whether no more words than the group allows, and none that it bars, stand between it and the stem."""
        if group.words < 0:
            return True
        low, high = (end, place) if place >= end else (stop, start)
        if max(0, self.lower.count(" ", low, high) - 1) > group.words:
            return False
        return not any(low <= at < high for key in self.present_keys(group.barred) for at in self.places[key])

    def present_keys(self, keys: frozenset[int]) -> frozenset[int]:
        """Those of the keys that the text has."""
        return keys & self._standing

    def _side(self, group: Keyed, start: int, end: int, low: int, high: int) -> tuple[int, int]:
        """From where to where the words of a group may stand."""
        if not group.side:
            return low, high
        if group.side == ">":
            high = min(high, end + NEAR)
            mark = _CLAUSE_END.search(self.lower, end, high)
            return start, mark.start() if mark else high
        if group.absent:
            return low, end
        low = max(low, start - NEAR)
        return max([low, *(mark.end() for mark in _CLAUSE_END.finditer(self.lower, low, start))]), end


def stands(text: str, part: str, exact: bool) -> bool:
    """Whether a stem stands in the text at a word start."""
    return any(
        not (exact and (end := at + len(part)) < len(text) and (text[end].isalnum() or text[end] == "_"))
        for at in _starts(text, part)
    )


def _denied(before: str, topic: str, words: Denying) -> bool:
    """Whether the words just before a request say that it is none ("I do not want a refund", "without
    reinstalling")."""
    clause = before[-DENIED:].rpartition(",")[2]
    return bool(words.request.search(clause)) or (topic not in LACKED and bool(words.lack.search(clause)))


def _starts(lower: str, stem: str) -> Iterator[int]:
    """Where a stem stands at a word start; what begins with a sign stands anywhere."""
    at, sign = lower.find(stem), not WORD.match(stem)
    while at >= 0:
        if sign or not at or not ((before := lower[at - 1]).isalnum() or before == "_"):
            yield at
        at = lower.find(stem, at + 1)


def without_addresses(lower: str) -> str:
    """The text with ``@`` for each e-mail address and no path behind a host: their words are none of the author's."""
    if "@" in lower:
        lower = _ADDRESS.sub("@", lower)
    return _PATH.sub(r"\1", lower) if "://" in lower else lower


def marked(lower: str, named: Collection[str]) -> str:
    """The text with a sign before each of these names, which stems can ask for ("need \N{CURRENCY SIGN}")."""
    for name in list(named)[:MAX_NAMED]:
        if name in lower:
            lower = lower.replace(name, NAMED + name.replace("-", "_"))  # one word: "vm-invoices" tells of no invoice
    return lower


def score(text: str, stems: Table, named: Collection[str] = ()) -> Found:
    """How much of each topic the text has; ``named`` are the things it names, in small letters."""
    if not text:
        return Found()  # a sentence by itself has no subject
    searched = Searched(without_addresses(marked(flattened(text), named)), stems.file)
    times: dict[Stem, int] = {}  #: how often each stands there
    for _, stem in counting(searched, stems):
        times[stem] = times.get(stem, 0) + 1
    found = Found()
    for stem, count in times.items():
        found.add(stem, count)
    return found


def counting(searched: Searched, stems: Table) -> Iterator[tuple[int, Stem]]:
    """(place, stem) of each that counts in the text, by place."""
    last: dict[str, int] = {}  #: of a topic, where the stem stands that counted last
    ends: dict[str, int] = {}  #: of a topic, where the phrase ends that counted last
    for place, _, stem, beside in stems.hits(searched):
        topic = stem.topic
        if last.get(topic) == place or (not stem.is_word and place < ends.get(topic, 0)):
            continue
        if stem.looks_around and not _counts(searched, place, stem, beside, stems.file):
            continue
        last[topic] = place
        if not stem.is_word:
            ends[topic] = place + len(stem.text)
        yield place, stem


def _has_beside(around: str, stem: Stem) -> bool:
    """Whether of each group one stands there that must be beside the stem."""
    return all(
        any(part in around and stands(around, part, exact) for part, exact in group.parts) for group in stem.beside
    )


def _only_speaks(around: str, words: Speaking) -> bool:
    """Whether the words around a request ask about its terms, or how to do it oneself, or tell that it is done."""
    if not words.likely.search(around):
        return False

    def stands_one(stems: Sequence[Stem]) -> bool:
        return any(s.text in around and stands(around, s.text, s.exact) and _has_beside(around, s) for s in stems)

    return stands_one(words.asking) or (stands_one(words.done) and not stands_one(words.plea))


def _counts(text: Searched, start: int, stem: Stem, beside: Sequence[Keyed], stems: File) -> bool:
    """Whether what is around the stem at ``start`` lets it count there."""
    end = start + len(stem.text)
    if beside and not (text.may_have_beside(start, end, beside) and text.has_beside(start, end, beside)):
        return False
    if stem.is_state and stems.denying.state.search(text.lower, max(0, start - DENIED), start):
        return False
    if not stem.is_request and stem.topic != "resolved":
        return True
    low, high = text.around(start, end)
    if low and text.lower[low - 1].isalnum():  # a word whose beginning is cut off
        low = max(low, text.lower.find(" ", low, start) + 1 or start)
    before = text.lower[low:start]
    if stem.topic == "resolved":
        return stem.weight < OVER or not stems.denying.over.search(before)
    return not (_denied(before, stem.topic, stems.denying) or _only_speaks(text.lower[low:high], stems.speaking))
