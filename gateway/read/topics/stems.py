"""The weighted word stems of the topics files, and how much of each topic a text has by them.

A stem begins at a word start and lets its last word go on; with ``=`` it must end with its word, and ``a & b & c`` is ``a``
with both ``b`` and ``c`` beside it in the sentence; ``a & >b`` wants ``b`` shortly behind it in its clause, ``a & <b`` before it, ``a & >3b``
with at most three words between them. Of a topic's stems that begin at the same place the longest counts. A text in one language is
asked for the stems of that language and of English, whose terms stand in all of them.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ahocorasick_rs import AhoCorasick

from gateway.model import SENSITIVE
from gateway.read.tables import SHORTEST, alternation, blanked, flattened, unaccented
from gateway.read.topics import misspelt
from gateway.read.topics.lexicon import Entry as Written
from gateway.read.topics.lexicon import TopicsError, entries
from gateway.read.words.language import KNOWN

BESIDE = 70  #: characters around a stem in which the other one of a pair must stand
OVER = 2.0  #: what the words weigh that say that it works again; the others only speak of what was, or may be
NEAR = 50  #: characters on one side of it, within the clause, where an order is wanted
DENIED = 36  #: characters before a request in which a denial counts
NAMED = "\N{CURRENCY SIGN}"  #: stands before each order number, address and service name of the text
MAX_NAMED = 24
MAX_PLACES = 32  #: of a stem, where what is around it is looked at
KIN = {"ru": "uk", "uk": "ru"}  #: languages that one mail often mixes
PLAIN = ("financial", "technical", "account", "general", "abuse", "attack", "install")
#: what tells an outage, and what around it says that it is none (``outages.py``)
INCIDENT = (
    "outage", "event", "unreached", "service", "part", "program", "resolved", "was", "past", "still", "others", "login", "degraded", "slow", "fine",
)  # fmt: skip
#: what stands around a request or a state and changes it; no topics of their own
AROUND = ("not", "denial", "without", "asking", "done", "plea", "distinct", "compound", "simplex")
TOPICS = (*PLAIN, *INCIDENT, *(f"sensitive.{name}" for name in SENSITIVE), *AROUND)
STATES = ("event", "unreached", "outage")  #: what a "not" before it denies, unless it has one itself
NEGATED = "{negated}"  #: a class of verbs that have their "not" in them
#: classes of what programs say, which no "not" before it denies ("the address was not found: DNS_PROBE_POSSIBLE")
SHOWN = ("{neterror}", "{code}", "{stuck}")
ABSENT = "!"  #: before the side of what must not stand beside a stem
LACKED = ("sensitive.password", "sensitive.access")  #: who is without them asks for them
_WORD = re.compile(r"\w+")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w.-]{0,255}\w")
_PATH = re.compile(r"(://[^\s/<>]{1,255}/)[^\s<>()]{1,2000}")
_SENTENCE_END = re.compile(
    r"[.!?](?= )(?<! ca\.)(?<! min\.)(?<! mins\.)(?<! approx\.)(?<! nr\.)(?<! std\.)(?<! bzw\.)(?<! ч\.)(?<! мин\.)"
)
_CLAUSE_END = re.compile(r"[,;:(](?= |$)| [-–—](?= )")


@dataclass(frozen=True, slots=True)
class Group:
    """What must stand beside a stem: one of these (text, exact)."""

    parts: tuple[tuple[str, bool], ...]
    side: str = ""  #: ``>`` behind it, ``<`` before it, both within the clause; without one anywhere in the sentence
    words: int = -1  #: how many words may stand between them; -1: as many as ``NEAR`` characters hold
    barred: tuple[tuple[str, bool], ...] = ()  #: none of these may stand between them
    absent: bool = False  #: none of them may stand there


@dataclass(frozen=True, slots=True, eq=False)
class Stem:
    """What is looked for, and what it gives to which topic."""

    text: str
    topic: str
    weight: float
    exact: bool
    beside: tuple[Group, ...] = ()  #: one of each must stand beside it
    is_state: bool = False  #: of an outage, told without a "not": a "not" before it denies it
    rule: str = ""  #: of the grammar, which it comes from
    is_request: bool = field(init=False)  #: it can be denied: "I do not want a refund"
    looks_around: bool = field(init=False)  #: what is around it decides whether it counts
    is_word: bool = field(init=False)  #: one word, or how one begins

    def __post_init__(self) -> None:
        """Sets what follows from the rest, which is asked for at every place."""
        is_request = self.topic.startswith("sensitive.")
        looks_around = bool(self.beside) or is_request or self.is_state or self.topic == "resolved"
        object.__setattr__(self, "is_request", is_request)
        object.__setattr__(self, "looks_around", looks_around)
        object.__setattr__(self, "is_word", _WORD.fullmatch(self.text) is not None)

    @property
    def name(self) -> str:
        """As an explanation names it: the word, with the rule that it stands in."""
        return f"{self.text} [{self.rule}]" if self.rule else self.text


@dataclass(frozen=True, slots=True)
class Speaking:
    """Words beside a request that make it none: it is only asked about, or done already and nothing else is asked for."""

    asking: Sequence[Stem]
    done: Sequence[Stem]
    plea: Sequence[Stem]
    likely: re.Pattern[str]  #: without a match neither asking nor done words stand there


@dataclass(frozen=True, slots=True)
class Keyed:
    """A group by the keys that its parts are looked for with."""

    side: str
    words: int
    keys: frozenset[int]
    signs: tuple[str, ...]  #: what begins with a sign ("€") stands anywhere, and has no key
    barred: frozenset[int] = frozenset()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Denying:
    """Words before a stem that make it none, each with what stands between them and the stem."""

    request: re.Pattern[str]  #: "I do not want a"
    lack: re.Pattern[str]  #: "without"
    state: re.Pattern[str]  #: an outage: "was not", "was never really"
    over: re.Pattern[str]  #: that it works again: "does not seem to be"


#: (rank among all, the stem, its groups)
Entry = tuple[int, Stem, tuple[Keyed, ...]]


@dataclass(frozen=True, slots=True)
class _File:
    """What a topics file says, and the search for all of it at once."""

    stems: Sequence[tuple[str, int, Entry]]  #: (language, key, entry)
    keys: Sequence[str]  #: the text of each
    search: AhoCorasick
    signs: Sequence[tuple[str, Entry]]  #: (language, entry) of those that begin with a sign ("€")
    denying: Denying
    speaking: Speaking
    languages: frozenset[str]
    distinct: Sequence[tuple[str, str]]  #: (language, word) of what is no misspelling
    compound: re.Pattern[str]  #: the beginning of a word that ends as what can be down does ("lagersystem")


@dataclass(frozen=True, slots=True)
class Table:
    """The stems of some languages and topics."""

    file: _File
    by_key: Mapping[int, Sequence[Entry]]
    signs: Sequence[Entry]
    keywords: tuple[str, ...] = ()  #: single words of the outages, in which a typing error may be
    distinct: tuple[str, ...] = ()  #: what is none of their misspellings

    def hits(self, text: Searched) -> list[tuple[int, int, Stem, tuple[Keyed, ...]]]:
        """(place, rank, stem, groups) of each that stands in the text, by place, the longest first."""
        lower, present, by_key, hits = text.lower, text.present, self.by_key, []
        for key in text.places:
            if key not in by_key:
                continue
            places = text.places[key]
            for rank, stem, beside in by_key[key]:
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


# --------------------------------------------------------------------------- the file


@functools.lru_cache(maxsize=4)
def _file(text: str, plain: bool = False) -> _File:
    found: dict[str, list[tuple[str, Stem]]] = {}
    for entry in entries(text):
        if entry.topic not in TOPICS:
            raise TopicsError(f"{entry.topic}: no such topic; there are {', '.join(TOPICS)}")
        found.setdefault(entry.topic, []).extend((entry.language, stem) for stem in stems_of(entry, plain))
    denying, negations = _denying(found)
    asking, done, plea = ([stem for _, stem in found.get(name, ())] for name in ("asking", "done", "plea"))
    speaking = Speaking(asking, done, plea, re.compile(alternation(s.text for s in (*asking, *done))))
    stems: dict[str, list[Stem]] = {}
    for topic, own in found.items():
        for language, stem in own if topic not in AROUND else ():
            if topic in STATES and not _says_not(stem, negations):
                stem = replace(stem, is_state=True)
            stems.setdefault(language, []).append(stem)
    if not stems:
        raise TopicsError("no stems")
    distinct = [(language, stem.text) for language, stem in found.get("distinct", ())]
    return _searched(stems, denying, speaking, distinct, _compound(found))


def _says_not(stem: Stem, negations: frozenset[str]) -> bool:
    """Whether a state has its "not" in it, or none before it matters."""
    return any(name in stem.rule for name in (NEGATED, *SHOWN)) or not negations.isdisjoint(_words(stem))


def _compound(found: Mapping[str, Sequence[tuple[str, Stem]]]) -> re.Pattern[str]:
    """Finds the beginnings of compounds; their heads are ``compound`` words, and ``simplex`` words are none."""
    heads, others = ([stem.text for _, stem in found.get(name, ())] for name in ("compound", "simplex"))
    if not heads:
        return re.compile(r"(?!)")
    none = rf"(?!(?:{alternation(others)})(?!\w))" if others else ""
    return re.compile(rf"(?<![\w{NAMED}]){none}(?=[^\W\d_]{{3,24}}(?:{alternation(heads)})(?!\w))")


def _words(stem: Stem) -> Iterator[str]:
    """All words of a stem and of what must stand beside it."""
    for text in (stem.text, *(part for group in stem.beside for part, _ in group.parts)):
        yield from text.split()


def _denying(found: Mapping[str, Sequence[tuple[str, Stem]]]) -> tuple[Denying, frozenset[str]]:
    """(the words that deny, those that say "not") of the topics files."""
    requests, lacks, negations = ([stem for _, stem in found.get(name, ())] for name in ("denial", "without", "not"))
    nots = _any_of([replace(stem, exact=True) for stem in negations])
    return Denying(
        request=re.compile(_any_of(requests)),
        lack=re.compile(rf"{_any_of(lacks)}\w{{0,20}}(?:[ ,]{{1,2}}\w{{1,20}}){{0,3}}[ ,]{{0,2}}\Z"),
        state=re.compile(rf"{nots}(?:[ ]\w{{1,20}})?[ ]\Z"),
        over=re.compile(rf"{nots}(?:[ ]\w{{1,20}}){{0,2}}[ ]\Z"),
    ), frozenset(stem.text for stem in negations)


def _searched(
    stems: Mapping[str, Sequence[Stem]],
    denying: Denying,
    speaking: Speaking,
    distinct: Sequence[tuple[str, str]],
    compound: re.Pattern[str],
) -> _File:
    """The file with one search for its stems and for what must stand beside them (Aho and Corasick, CACM 18(6), 1975).

    Each key begins with a blank, which stands for all that belongs to no word; so does its end where a word must end.
    """
    keys: dict[tuple[str, bool], int] = {}

    def key(text: str, exact: bool) -> int:
        return keys.setdefault((text, exact), len(keys))

    ordered = sorted(
        ((language, stem) for language, own in stems.items() for stem in own),
        key=lambda item: (-len(item[1].text), not item[1].exact),
    )

    @functools.cache  # the alternatives of an entry share what stands beside them
    def keyed(group: Group) -> Keyed:
        words = frozenset(key(text, exact) for text, exact in group.parts if _WORD.match(text))
        signs = tuple(text for text, _ in group.parts if not _WORD.match(text))
        barred = frozenset(key(text, exact) for text, exact in group.barred)
        return Keyed(group.side, group.words, words, signs, barred, group.absent)

    found, signs = [], []
    for rank, (language, stem) in enumerate(ordered):
        beside = tuple(map(keyed, stem.beside))
        if _WORD.match(stem.text):
            found.append((language, key(stem.text, stem.exact), (rank, stem, beside)))
        else:
            signs.append((language, (rank, stem, beside)))
    search = AhoCorasick([f" {blanked(text)}{' ' * exact}" for text, exact in keys], store_patterns=False)
    return _File(
        found, [text for text, _ in keys], search, signs, denying, speaking, frozenset(stems), distinct, compound
    )


@functools.lru_cache(maxsize=64)
def table(
    text: str = "",
    language: str | None = None,
    topics: Collection[str] = (*PLAIN, *STATES, *SENSITIVE),
    plain: bool = False,
) -> Table:
    """The table in this text of a topics file; without one, the file that comes with the package.

    Args:
        language: of the words that it will be asked about; without one, the stems of every language.
        topics: those that it will be asked for.
        plain: whether it will be asked about a text without accents, whose author may have left them out ("contrasena").

    Raises:
        TopicsError: no TOML, an unknown topic, a weight that is no number, a stem that is no text.
    """
    file = _file(text, plain)
    spoken = {language, KIN.get(language or ""), "en"} if language in file.languages else file.languages

    def wanted(code: str, stem: Stem) -> bool:
        return (code in spoken or code not in KNOWN) and stem.topic.removeprefix("sensitive.") in topics

    by_key: dict[int, tuple[Entry, ...]] = {}
    for code, key, entry in file.stems:
        if wanted(code, entry[1]):
            by_key[key] = (*by_key.get(key, ()), entry)
    own = [
        entry[1] for code, _, entry in file.stems if wanted(code, entry[1]) and entry[1].topic in (*STATES, "service")
    ]
    keywords = dict.fromkeys(
        stem.text for stem in own if stem.is_word and NEGATED not in stem.rule and len(stem.text) >= misspelt.SHORTEST
    )
    distinct = tuple(dict.fromkeys(text for code, text in file.distinct if code in spoken))
    signs = [entry for code, entry in file.signs if wanted(code, entry[1])]
    return Table(file, by_key, signs, tuple(keywords), distinct)


def stems_of(entry: Written, plain: bool = False) -> list[Stem]:
    """The stems that an entry stands for: each of its own words, with what must stand beside it; ``plain``: typed without accents."""
    groups = [(side, _typed(words, entry.language) if plain else words) for side, words in entry.groups]
    (_, own), *others = groups
    beside = tuple(_group(side, words, entry.barred if side else ()) for side, words in others)
    stems = [
        Stem(word.removesuffix("="), entry.topic, entry.weight, word.endswith("="), beside, rule=entry.rule)
        for word in own
    ]
    if any(not stem.text.strip() or stem.text[0].isspace() for stem in stems):
        raise TopicsError(f"{entry.where}: {' & '.join(own)!r} is no stem")
    return stems


def _typed(words: Sequence[str], language: str) -> tuple[str, ...]:
    """Words as they are typed without accents; one of which too little is left ("dê" is no "de") is left out, if others are left."""
    typed = [(word, unaccented(word, language)) for word in words]
    return tuple(t for word, t in typed if t == word or len(t.strip("=")) >= SHORTEST) or tuple(words)


def _group(side: str, words: Sequence[str], barred: Sequence[str]) -> Group:
    """What must stand beside a stem; ``side`` as it is written before it (``>``, ``<3:``)."""

    def parts(written: Sequence[str]) -> tuple[tuple[str, bool], ...]:
        return tuple((word.removesuffix("="), word.endswith("=")) for word in written)

    absent, side = side.startswith(ABSENT), side.removeprefix(ABSENT)
    return Group(parts(words), side[:1], int(side[1:-1]) if len(side) > 1 else -1, parts(barred), absent)


# --------------------------------------------------------------------------- the text


class Searched:
    """A text in small letters, and where in it the words of a topics file stand."""

    def __init__(self, lower: str, file: _File) -> None:
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
        return all(
            self._stands(group, start, end, *self._side(group, start, end, low, high)) is not group.absent
            for group in beside
        )

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
            text, places = self._keys[key], self.places[key]
            at = bisect_left(places, low)
            while at < len(places) and (stop := places[at] + len(text)) <= high:
                if (places[at] >= end or stop <= start) and self.lower.startswith(text, places[at]):
                    if self._near(group, start, end, places[at], stop):
                        return True
                at += 1
        return any(
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


def _denied(before: str, topic: str, words: Denying) -> bool:
    """Whether the words just before a request say that it is none ("I do not want a refund", "without reinstalling")."""
    clause = before[-DENIED:].rpartition(",")[2]
    return bool(words.request.search(clause)) or (topic not in LACKED and bool(words.lack.search(clause)))


def _starts(lower: str, stem: str) -> Iterator[int]:
    """Where a stem stands at a word start; what begins with a sign stands anywhere."""
    at, sign = lower.find(stem), not _WORD.match(stem)
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


def _counts(text: Searched, start: int, stem: Stem, beside: Sequence[Keyed], stems: _File) -> bool:
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
