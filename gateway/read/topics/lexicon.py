"""The topics files as they are written: the words of each language, classes of words, and the grammar that composes
classes.

``topics/<language>.toml`` has the words: ``[class]`` names lists of them, every other section is a topic with its
entries by weight. ``topics/grammar.toml`` has entries of classes, which hold for all languages, and classes of words
that all languages use. An admin's text holds files that stand in for those of the same name, each below a line ``#@
name``, or a single file that stands in for all of them and has a language below each topic (``[financial.en]``).
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

GRAMMAR = "grammar"
OTHERS = ("learned.tsv",)  #: that stand beside the topics files and have no entries
_FILE = "#@ "  #: begins the line above each file
_SIDE = re.compile(r"!?[<>](?:\d{1,2}:)?|!")
_CLASS = re.compile(r"\{(\w+)\}")


class TopicsError(ValueError):
    """Topics files that cannot be used. The text says where and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is looked for: one word of each group, for a topic in a language."""

    topic: str
    language: str
    weight: float
    groups: tuple[
        tuple[str, tuple[str, ...]], ...
    ]  #: (side: ``>``, ``<3:``, ``!`` or nothing; the words), the first is the entry's own
    barred: tuple[
        str, ...
    ]  #: words that may not stand between the entry's own and those of a side with a number of words
    rule: str  #: as the grammar has it; empty for the words of a language
    where: str


Classes = Mapping[str, tuple[str, ...]]


def built_in_files() -> dict[str, str]:
    """The topics files that come with the package, by name (``en.toml``)."""
    folder = resources.files("gateway.read").joinpath("topics")
    found = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def joined(files: Mapping[str, str]) -> str:
    """One text of several topics files; ``files`` by their names (``en.toml``)."""
    return "".join(f"{_FILE}{name.removesuffix('.toml')}\n{text}\n" for name, text in files.items())


@functools.lru_cache(maxsize=4)
def files_of(text: str) -> dict[str, str]:
    """The files of a text by name; one without a name is a single file."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith(_FILE):
            name = line.removeprefix(_FILE).strip()
        else:
            found.setdefault(name, []).append(line)
    return {name: "\n".join(lines) for name, lines in found.items() if name or any(map(str.strip, lines))}


def loaded(name: str, text: str) -> dict[str, Any]:
    """A topics file as it is written, its topics by name (``sensitive.refund``).

    Raises:
        TopicsError: it is no TOML.
    """
    return _flat(_toml(name.removesuffix(".toml"), text))


def _toml(name: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TopicsError(f"{name + '.toml: ' if name else ''}no TOML: {error}") from error


def _flat(raw: dict[str, Any]) -> dict[str, Any]:
    """The topics with those of ``sensitive`` as ``sensitive.refund``."""
    found: dict[str, Any] = {}
    for topic, told in raw.items():
        if topic == "sensitive" and isinstance(told, dict):
            found |= {f"sensitive.{name}": weights for name, weights in told.items()}
        else:
            found[topic] = told
    return found


@functools.lru_cache(maxsize=4)
def entries(text: str) -> tuple[Entry, ...]:
    """Every entry of these topics files, with the words of its classes.

    Raises:
        TopicsError: no TOML, a weight that is no number, an entry that is no text, a class that is not there.
    """
    parts = files_of(text)
    if parts and set(parts) <= {""}:
        return tuple(_single(_toml("", parts[""])))
    written = {name.removesuffix(".toml"): part for name, part in built_in_files().items()}
    written |= {name: part for name, part in parts.items() if name and name not in OTHERS}
    files = {name: loaded(name, part) for name, part in written.items()}
    grammar = files.pop(GRAMMAR, {})
    shared = classes_of(GRAMMAR, grammar.pop("class", {}), {})
    found: list[Entry] = []
    for language, topics in files.items():
        classes = classes_of(language, topics.pop("class", {}), shared)
        for topic, weights in topics.items():
            found += _entries(topic, language, weights, classes, "")
        for topic, weights in grammar.items():
            found += _entries(topic, language, weights, classes, GRAMMAR)
    return tuple(found)


def _single(raw: dict[str, Any]) -> Iterator[Entry]:
    """The entries of a single file: its topics have their languages below them."""
    named = raw.pop("class", {})
    for topic, languages in _flat(raw).items():
        if not isinstance(languages, dict):
            raise TopicsError(f"{topic}: a table by language is wanted")
        for language, weights in languages.items():
            yield from _entries(topic, language, weights, classes_of(language, named.get(language, {}), {}), "")


def classes_of(language: str, own: Any, shared: Classes) -> Classes:
    """The classes of a language: its words with those that all languages use."""
    if not isinstance(own, dict):
        raise TopicsError(f"{language}.class: a table of classes is wanted")
    found: dict[str, tuple[str, ...]] = dict(shared)
    for name, words in own.items():
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            raise TopicsError(f"{language}.class.{name}: a list of words is wanted")
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), *map(str.lower, words))))
    return found


def _entries(topic: str, language: str, weights: Any, classes: Classes, rule: str) -> Iterator[Entry]:
    """The entries of a topic in a language; a rule of the grammar whose classes the language lacks is none there."""
    if not isinstance(weights, dict):
        raise TopicsError(f"{topic}.{language}: a table of weights is wanted")
    for weight, written in weights.items():
        where = f"{topic}.{language}.{weight}"
        try:
            value = float(weight)
        except ValueError:
            raise TopicsError(f"{topic}.{language}: {weight!r} is no weight") from None
        if not 0 < value <= 100 or not isinstance(written, list):
            raise TopicsError(f"{where}: a weight above 0 with a list of stems is wanted")
        for word in written:
            if not isinstance(word, str) or not word.strip():
                raise TopicsError(f"{where}: {word!r} is no stem")
            *written_groups, last = word.lower().split(" & ")
            last, _, barred = last.partition(" ~ ")
            groups = tuple(_group(part, classes, rule, where) for part in (*written_groups, last))
            between = _group(barred, classes, rule, where)[1] if barred else ()
            if not rule or all(words for _, words in groups):
                yield Entry(topic, language, value, groups, between, word if rule else "", where)


def _group(written: str, classes: Classes, rule: str, where: str) -> tuple[str, tuple[str, ...]]:
    """(side, words) of a group with the words of its classes."""
    side = match[0] if (match := _SIDE.match(written)) else ""
    words: list[str] = []
    for part in written.removeprefix(side).split("|"):
        if named := _CLASS.fullmatch(part):
            if named[1] not in classes and not rule:
                raise TopicsError(f"{where}: no class {named[1]}")
            words += classes.get(named[1], ())
        else:
            words.append(part)
    if not rule and not all(word.strip() for word in words):
        raise TopicsError(f"{where}: {written!r} is no stem")
    return side, tuple(words)
