"""The topics files worked out for the search: every stem with its key, its rank, and what must stand beside it.

What is worked out is plain data, which is kept between two starts for the files that come with the package
(``gateway/read/kept.py``); a ``Stem`` is made of it when a text has its key for the first time.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from ahocorasick_rs import AhoCorasick

from gateway.read.kept import kept
from gateway.read.tables import SHORTEST, alternation, blanked, unaccented
from gateway.read.topics import misspelt
from gateway.read.topics.lexicon import Entry as Written
from gateway.read.topics.lexicon import TopicsError, entries
from gateway.read.topics.stem import (
    ABSENT,
    AROUND,
    NAMED,
    NEGATED,
    SHOWN,
    STATES,
    TOPICS,
    WORD,
    Denying,
    Entry,
    Group,
    Keyed,
    Speaking,
    Stem,
)

Part = tuple[str, bool]  #: (text, whether its word must end with it)
#: what many stems have in common: (language, topic, weight, rule, whether it is a state, numbers of its groups)
Kind = tuple[str, str, float, str, bool, tuple[int, ...]]
#: a group as it is written (parts, side, words, barred, absent), and as it is looked for (keys, signs, keys that are
#: barred)
PlainGroup = tuple[tuple[Part, ...], str, int, tuple[Part, ...], bool, frozenset[int], tuple[str, ...], frozenset[int]]
#: a stem around a request, and what must stand beside it
Around = tuple[str, bool, tuple[tuple[Part, ...], ...]]
#: the stems of a topic with their languages
ByTopic = Mapping[str, Sequence[tuple[str, Stem]]]


class Plain(TypedDict):
    """Topics files, worked out."""

    keys: list[str]  #: the text of each
    patterns: list[str]  #: what is searched for, for each
    groups: list[PlainGroup]
    kinds: list[Kind]
    rows: dict[int, list[tuple[bool, int, int]]]  #: (exact, rank among all, kind) of the stems of a key, by rank
    signs: list[tuple[str, bool, int, int]]  #: (text, exact, rank, kind) of those that begin with a sign ("€")
    keywords: list[tuple[str, int]]  #: (word, kind) of the outages, in which a typing error may be
    around: dict[str, list[Around]]
    denying: dict[str, str]
    likely: str
    compound: str
    languages: frozenset[str]
    distinct: list[tuple[str, str]]  #: (language, word) of what is no misspelling


class File:
    """The topics files of a text, and the search for all of them at once."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self.keys: Sequence[str] = plain["keys"]
        self.languages, self.distinct = plain["languages"], plain["distinct"]
        self.search = AhoCorasick(plain["patterns"], store_patterns=False)
        self._groups: dict[int, tuple[Group, Keyed]] = {}
        self._entries: dict[int, Entry] = {}

    @functools.cached_property
    def denying(self) -> Denying:
        """The words before a stem that make it none."""
        return Denying(**{name: re.compile(source) for name, source in self.plain["denying"].items()})

    @functools.cached_property
    def speaking(self) -> Speaking:
        """The words beside a request that make it none."""
        asking, done, plea = (
            [
                Stem(text, topic, 1.0, exact, tuple(Group(parts) for parts in beside))
                for text, exact, beside in self.plain["around"][topic]
            ]
            for topic in ("asking", "done", "plea")
        )
        return Speaking(asking, done, plea, re.compile(self.plain["likely"]))

    @functools.cached_property
    def compound(self) -> re.Pattern[str]:
        """Finds the beginning of a word that ends as what can be down does ("lagersystem")."""
        return re.compile(self.plain["compound"])

    def entries(self, key: int, kinds: frozenset[int]) -> tuple[Entry, ...]:
        """Those of a key that are of these kinds."""
        text = self.keys[key]
        rows = self.plain["rows"].get(key, ())
        return tuple(self._entry(text, exact, rank, kind) for exact, rank, kind in rows if kind in kinds)

    def signs(self, kinds: frozenset[int]) -> list[Entry]:
        """Those of these kinds that begin with a sign."""
        return [self._entry(*row) for row in self.plain["signs"] if row[3] in kinds]

    def _entry(self, text: str, exact: bool, rank: int, kind: int) -> Entry:
        found = self._entries.get(rank)
        if found is None:
            _, topic, weight, rule, is_state, numbers = self.plain["kinds"][kind]
            groups = [self._group(number) for number in numbers]
            stem = Stem(text, topic, weight, exact, tuple(group for group, _ in groups), is_state, rule)
            found = self._entries[rank] = (rank, stem, tuple(keyed for _, keyed in groups))
        return found

    def _group(self, number: int) -> tuple[Group, Keyed]:
        found = self._groups.get(number)
        if found is None:
            parts, side, words, barred, absent, keys, signs, barred_keys = self.plain["groups"][number]
            keyed = Keyed(side, words, keys, signs, barred_keys, absent)
            found = self._groups[number] = (Group(parts, side, words, barred, absent), keyed)
        return found


@functools.lru_cache(maxsize=4)
def compiled(text: str, bare: bool = False) -> File:
    """The topics files of a text; without one, those that come with the package.

    Args:
        bare: whether the words are those of who types no accents.

    Raises:
        TopicsError: no TOML, an unknown topic, a weight that is no number, a stem that is no text.
    """
    if text:
        return File(_worked_out(text, bare))
    here = Path(__file__).parent
    made_of = sorted((*here.glob("*.toml"), *here.glob("*.py"), here.parent / "tables.py"))
    return File(kept(__file__, "bare" if bare else "accented", made_of, lambda: _worked_out("", bare)))


def _worked_out(text: str, bare: bool) -> Plain:
    found: dict[str, list[tuple[str, Stem]]] = {}
    for entry in entries(text):
        if entry.topic not in TOPICS:
            raise TopicsError(f"{entry.topic}: no such topic; there are {', '.join(TOPICS)}")
        found.setdefault(entry.topic, []).extend((entry.language, stem) for stem in stems_of(entry, bare))
    negations = frozenset(stem.text for _, stem in found.get("not", ()))
    stems: dict[str, list[Stem]] = {}
    for topic, own in found.items():
        for language, stem in own if topic not in AROUND else ():
            if topic in STATES and not _says_not(stem, negations):
                stem = replace(stem, is_state=True)
            stems.setdefault(language, []).append(stem)
    if not stems:
        raise TopicsError("no stems")
    return _Ranking(stems).told(found)


class _Ranking:
    """The stems by their rank, with numbers for all that several of them have (Aho and Corasick, CACM 18(6), 1975).

    Each key begins with a blank, which stands for all that belongs to no word; so does its end where a word must end.
    """

    def __init__(self, stems: Mapping[str, Sequence[Stem]]) -> None:
        self._keys: dict[Part, int] = {}
        self._groups: dict[Group, int] = {}
        self._plain_groups: list[PlainGroup] = []
        self._kinds: dict[Kind, int] = {}
        self._languages = frozenset(stems)
        self._ordered = sorted(
            ((language, stem) for language, own in stems.items() for stem in own),
            key=lambda item: (-len(item[1].text), not item[1].exact),
        )

    def told(self, found: ByTopic) -> Plain:
        """All of it; ``found`` are the stems of each topic."""
        rows: dict[int, list[tuple[bool, int, int]]] = {}
        signs: list[tuple[str, bool, int, int]] = []
        keywords: list[tuple[str, int]] = []
        for rank, (language, stem) in enumerate(self._ordered):
            kind = self._kind(language, stem)
            if WORD.match(stem.text):
                rows.setdefault(self._key(stem.text, stem.exact), []).append((stem.exact, rank, kind))
            else:
                signs.append((stem.text, stem.exact, rank, kind))
            if _may_be_misspelt(stem):
                keywords.append((stem.text, kind))
        around = {name: [_plain(stem) for _, stem in found.get(name, ())] for name in ("asking", "done", "plea")}
        return Plain(
            keys=[text for text, _ in self._keys],
            patterns=[f" {blanked(text)}{' ' * exact}" for text, exact in self._keys],
            groups=self._plain_groups,
            kinds=list(self._kinds),
            rows=rows,
            signs=signs,
            keywords=keywords,
            around=around,
            denying=_denying(found),
            likely=alternation(text for text, _, _ in (*around["asking"], *around["done"])),
            compound=_compound(found),
            languages=self._languages,
            distinct=[(language, stem.text) for language, stem in found.get("distinct", ())],
        )

    def _key(self, text: str, exact: bool) -> int:
        return self._keys.setdefault((text, exact), len(self._keys))

    def _kind(self, language: str, stem: Stem) -> int:
        groups = tuple(map(self._group, stem.beside))
        kind = (language, stem.topic, stem.weight, stem.rule, stem.is_state, groups)
        return self._kinds.setdefault(kind, len(self._kinds))

    def _group(self, group: Group) -> int:
        """The alternatives of an entry share what stands beside them."""
        number = self._groups.get(group)
        if number is None:
            number = self._groups[group] = len(self._groups)
            keys = frozenset(self._key(text, exact) for text, exact in group.parts if WORD.match(text))
            signs = tuple(text for text, _ in group.parts if not WORD.match(text))
            barred = frozenset(self._key(text, exact) for text, exact in group.barred)
            self._plain_groups.append(
                (group.parts, group.side, group.words, group.barred, group.absent, keys, signs, barred)
            )
        return number


def _plain(stem: Stem) -> Around:
    return stem.text, stem.exact, tuple(group.parts for group in stem.beside)


def _may_be_misspelt(stem: Stem) -> bool:
    """Whether it is a single word of an outage, long enough for a typing error."""
    told = stem.topic in (*STATES, "service") and stem.is_word and NEGATED not in stem.rule
    return told and len(stem.text) >= misspelt.SHORTEST


def _says_not(stem: Stem, negations: frozenset[str]) -> bool:
    """Whether a state has its "not" in it, or none before it matters."""
    return any(name in stem.rule for name in (NEGATED, *SHOWN)) or not negations.isdisjoint(_words(stem))


def _words(stem: Stem) -> Iterator[str]:
    """All words of a stem and of what must stand beside it."""
    for text in (stem.text, *(part for group in stem.beside for part, _ in group.parts)):
        yield from text.split()


def _compound(found: ByTopic) -> str:
    """Finds the beginnings of compounds; their heads are ``compound`` words, and ``simplex`` words are none."""
    heads, others = ([stem.text for _, stem in found.get(name, ())] for name in ("compound", "simplex"))
    if not heads:
        return r"(?!)"
    none = rf"(?!(?:{alternation(others)})(?!\w))" if others else ""
    return rf"(?<![\w{NAMED}]){none}(?=[^\W\d_]{{3,24}}(?:{alternation(heads)})(?!\w))"


def _denying(found: ByTopic) -> dict[str, str]:
    requests, lacks, negations = ([stem for _, stem in found.get(name, ())] for name in ("denial", "without", "not"))
    nots = _any_of([replace(stem, exact=True) for stem in negations])
    return {
        "request": _any_of(requests),
        "lack": rf"{_any_of(lacks)}\w{{0,20}}(?:[ ,]{{1,2}}\w{{1,20}}){{0,3}}[ ,]{{0,2}}\Z",
        "state": rf"{nots}(?:[ ]\w{{1,20}})?[ ]\Z",
        "over": rf"{nots}(?:[ ]\w{{1,20}}){{0,2}}[ ]\Z",
    }


def _any_of(stems: Sequence[Stem]) -> str:
    """An expression for any of these stems at a word start."""
    begins = alternation(stem.text for stem in stems if not stem.exact) if any(not s.exact for s in stems) else r"(?!)"
    words = alternation(stem.text for stem in stems if stem.exact) if any(s.exact for s in stems) else r"(?!)"
    return rf"(?<!\w)(?:{begins}|(?:{words})(?!\w))"


def stems_of(entry: Written, bare: bool = False) -> list[Stem]:
    """The stems that an entry stands for: each of its own words, with what must stand beside it.

    Args:
        bare: typed without accents.
    """
    groups = [(side, _bare(words, entry.language) if bare else words) for side, words in entry.groups]
    (_, own), *others = groups
    beside = tuple(_group(side, words, entry.barred if side else ()) for side, words in others)
    stems = [
        Stem(word.removesuffix("="), entry.topic, entry.weight, word.endswith("="), beside, rule=entry.rule)
        for word in own
    ]
    if any(not stem.text.strip() or stem.text[0].isspace() for stem in stems):
        raise TopicsError(f"{entry.where}: {' & '.join(own)!r} is no stem")
    return stems


def _bare(words: Sequence[str], language: str) -> tuple[str, ...]:
    """Words as they are typed without accents.

    One of which too little is left ("dê" is no "de") is left out, if others are left.
    """
    typed = [(word, unaccented(word, language)) for word in words]
    return tuple(t for word, t in typed if t == word or len(t.strip("=")) >= SHORTEST) or tuple(words)


def _group(side: str, words: Sequence[str], barred: Sequence[str]) -> Group:
    """What must stand beside a stem; ``side`` as it is written before it (``>``, ``<3:``)."""

    def parts(written: Sequence[str]) -> tuple[Part, ...]:
        return tuple((word.removesuffix("="), word.endswith("=")) for word in written)

    absent, side = side.startswith(ABSENT), side.removeprefix(ABSENT)
    return Group(parts(words), side[:1], int(side[1:-1]) if len(side) > 1 else -1, parts(barred), absent)
