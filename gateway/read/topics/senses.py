"""What a mail speaks of in the classes of the lexicon, whatever its language (``{price}``, ``{server}``), so
that what is learned from one language's texts serves in the others.

A class that stands in the subject, the last sentence or a question counts there as well (``ask:{price}``): there a mail
says what it asks for, the rest is background. The words are those of the files that come with the package, in one
spelling (``features.words_of``). Nothing is judged here: a word has its classes whatever stands around it.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from ahocorasick_rs import AhoCorasick

from gateway.read.kept import kept
from gateway.read.topics.features import Spelt, words_of
from gateway.read.topics.lexicon import GRAMMAR, built_in_files, classes_of, loaded
from gateway.read.topics.stem import KIN

#: classes that say something by themselves
CLASSES = frozenset(
    "server downish down failed works cannot not no nothing nobody everybody every reach outage past was still since "
    "others thirdparty login degraded slow fine client planned cameback upagain blank neterror code timeout suspended "
    "nonpayment price costs howmuch money contract wish howto why mailword got will yours noneof connections refuse "
    "onlyothers former flaky well allthings again back2 closeit during endless dberror stuck lifesign signal exchange "
    "paymeans promo card refundword giveback twice took norenew noneed quit endit delete youdo iwant aproduct "
    "rootcause thanks staff password twofactor locked access person newowner transfer emailaddr install os fresh anew "
    "wipe fake attack blacklist lost unavail claimword billpaper move program".split()
)
#: topics whose words are a class as well, where an entry begins with a single one
TOPICS = ("financial", "technical", "account", "general", "part", "asking", "done", "plea", "resolved", "abuse")
NO_WORDS = ("", "0", "?", "!")  #: what is left of an entry that has no word of its own
ABOUT, LAST, ASKED = "about:", "last:", "ask:"  #: the subject, the last of several sentences, a question
_SIMPLE = re.compile(r"[^{|&]+")
Patterns = dict[str, dict[str, list[str]]]  #: classes by language, by pattern


@dataclass(frozen=True, eq=False)
class _Words:
    """The words of every class, and the search for all of them."""

    patterns: Patterns

    @functools.cached_property
    def search(self) -> AhoCorasick:
        return AhoCorasick(list(self.patterns), store_patterns=False)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - there is one of it
    def classes(self, spoken: frozenset[str]) -> Sequence[Sequence[str]]:
        """The classes of each pattern in these languages; without any, in all."""
        return [
            tuple(dict.fromkeys(chain.from_iterable(own for code, own in by.items() if not spoken or code in spoken)))
            for by in self.patterns.values()
        ]


@functools.cache
def _words() -> _Words:
    here = Path(__file__).parent
    made_of = sorted((*here.glob("*.toml"), here / "lexicon.py", here / "features.py"))
    return _Words(kept(__file__, "classes", made_of, _patterns))


def _patterns() -> Patterns:
    """The words of the classes as they are searched for: a blank stands before each, and behind one that must end."""
    files = {name.removesuffix(".toml"): text for name, text in built_in_files().items()}
    shared = classes_of(GRAMMAR, loaded(GRAMMAR, files.pop(GRAMMAR)).get("class", {}), {})
    found: Patterns = {}
    for code, text in files.items():
        for name, words in _of_language(code, loaded(code, text), shared).items():
            for word in words:
                bare = " ".join(words_of(word.removesuffix("=")))
                if bare not in NO_WORDS:
                    by = found.setdefault(f" {bare}{' ' * word.endswith('=')}", {})
                    by.setdefault(code, []).append(f"{{{name}}}")
    return found


def _of_language(code: str, topics: dict[str, Any], shared: Mapping[str, tuple[str, ...]]) -> dict[str, Sequence[str]]:
    """The words of each class of a language."""
    classes = classes_of(code, topics.get("class", {}), shared)
    found: dict[str, Sequence[str]] = {name: classes[name] for name in sorted(CLASSES & classes.keys())}
    for topic in TOPICS:
        first = (entry.split(" & ")[0].lower() for entries in topics.get(topic, {}).values() for entry in entries)
        found[f"{topic} words"] = [word for word in first if _SIMPLE.fullmatch(word)]
    return found


def senses_of(told: Spelt, languages: Collection[str] = ()) -> frozenset[str]:
    """The classes of a mail whose words are these, by themselves and by place.

    Args:
        languages: of the mail; without any, the words of every language count.
    """
    above, *below = _classes([told.above, *told.sentences], languages)
    found = set(above).union(*below)
    found.update([ABOUT + name for name in above])
    if len(below) > 1:
        found.update([LAST + name for name in below[-1]])
    for words, classes in zip(told.sentences, below, strict=True):
        if "?" in words:
            found.update([ASKED + name for name in classes])
    return frozenset(found)


def _classes(sentences: Sequence[Sequence[str]], languages: Collection[str]) -> list[set[str]]:
    """The classes of each sentence."""
    words, lines = _words(), [f" {' '.join(one)} " for one in sentences]
    classes = words.classes(frozenset(languages))
    found: list[set[str]] = [set() for _ in lines]
    ends = list(accumulate(map(len, lines)))
    for pattern, start, _ in words.search.find_matches_as_indexes("".join(lines), overlapping=True):
        if own := classes[pattern]:
            found[bisect_right(ends, start)].update(own)
    return found


def spoken(languages: Iterable[str | None]) -> frozenset[str]:
    """The languages whose words count in a text whose paragraphs are in these; none where they are unknown."""
    found = {code for code in languages if code}
    return frozenset((*found, *(KIN[code] for code in found & KIN.keys()), "en")) if found else frozenset()
