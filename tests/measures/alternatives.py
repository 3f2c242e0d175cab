"""How many alternatives the topics files spell out, and which of them the rest already finds.

An alternative is a word of a class, or one of ``a|b`` in an entry. It is
redundant where nothing is lost without it: a word of a class that begins with another one of its class, or an alternative of an entry whose
own sample strings (its word with each word that must stand beside it) give the topic as much when the entry is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gateway.read.topics import lexicon, stems
from gateway.read.topics.compiled import stems_of
from gateway.read.topics.lexicon import Entry
from gateway.read.topics.stem import ABSENT, AROUND, INCIDENT, PLAIN, SENSITIVE, STATES, Stem

KINDS = (*PLAIN, *SENSITIVE, *INCIDENT, *STATES)
Group = tuple[str, tuple[str, ...]]


def files_of(folder: Path | None) -> dict[str, str]:
    """The topics files of a folder by name; without one, those of the package."""
    if folder is None:
        return lexicon.built_in_files()
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.toml"))}


def counted(files: dict[str, str]) -> dict[str, tuple[int, int]]:
    """(words of classes, alternatives of entries) by file; what a class stands for is not counted again."""
    found = {}
    for name, text in files.items():
        raw = lexicon.loaded(name, text)
        words = sum(map(len, raw.pop("class", {}).values()))
        entries = [entry for weights in raw.values() for listed in weights.values() for entry in listed]
        parts = [
            part for entry in entries for group in entry.split(" & ") for part in group.replace(" ~ ", "|").split("|")
        ]
        found[name.removesuffix(".toml")] = words, len(parts)
    return found


def begun(files: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """(file, class, word, the other word of the class that it begins with). A word of an outage may still be needed
    whole: a typing error is mended by the words that are there ("injoingable", by "injoignable")."""
    for name, text in files.items():
        for of, words in lexicon.loaded(name, text).get("class", {}).items():
            open_ended = [word for word in words if not word.endswith("=")]
            for word in words:
                bare = word.removesuffix("=")
                other = next((one for one in open_ended if bare.startswith(one) and one != word), None)
                if other is not None:
                    yield name.removesuffix(".toml"), of, word, other


def sample(own: str, beside: tuple[Group, ...]) -> str:
    """A text in which the first word of each group stands on its side of an entry's own word."""
    before, behind = [], []
    for side, words in beside:
        if not side.startswith(ABSENT):
            (before if side.startswith("<") else behind).append(words[0].removesuffix("="))
    return " ".join((*before, own.removesuffix("="), *behind))


def samples(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """(own word, word beside it or nothing, text) of an entry: each own word with each word of each group."""
    (_, own), *groups = entry.groups
    for word in own:
        if not any(not side.startswith(ABSENT) for side, _ in groups):
            yield word, "", sample(word, ())
        for at, (side, words) in enumerate(groups):
            for one in words if not side.startswith(ABSENT) else ():
                around = (*groups[:at], (side, (one,)), *groups[at + 1 :])
                yield word, f"{at + 1}:{one}", sample(word, tuple(around))


def _gives(text: str, topic: str, table: stems.Table) -> float:
    return stems.score(text, table, NAMED).weight.get(topic, 0.0)


NAMED: tuple[str, ...] = ()


def without(table: stems.Table, entry: Entry) -> stems.Table:
    """The table without what comes of an entry."""
    made = {(stem.text, stem.exact, stem.beside) for stem in stems_of(entry)}
    texts = {text for text, _, _ in made}

    def stays(stem: Stem) -> bool:
        return bool(stem.rule) or stem.topic != entry.topic or (stem.text, stem.exact, stem.beside) not in made

    keys = [key for key, text in enumerate(table.file.keys) if text in texts]
    changed = {key: tuple(one for one in table.file.entries(key, table.kinds) if stays(one[1])) for key in keys}
    return replace(table, known={**table.known, **changed})


def found_anyway(files: dict[str, str]) -> Iterator[tuple[Entry, str]]:
    """(entry, alternative) of each that the rest finds in all its samples; a word beside another one has ``group:`` before it."""
    text = lexicon.joined(files)
    for entry in lexicon.entries(text):
        if entry.rule or entry.topic in AROUND or f"{entry.language}.toml" not in files:
            continue
        table = stems.table(text, entry.language, KINDS)
        rest = without(table, entry)
        lost: set[str] = set()
        seen: set[str] = set()
        for own, other, told in samples(entry):
            seen |= {own, other}
            if _gives(told, entry.topic, rest) < min(entry.weight, _gives(told, entry.topic, table)):
                lost |= {own, other}
        yield from itertools.product((entry,), sorted(seen - lost - {""}))
