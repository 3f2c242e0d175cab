"""The words of each language, from ``languages/*.toml``: what the readers look for, as data that a person can correct."""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

MAX_NUMBERS = 20_000
MAX_KNOWN = 20_000
LONGEST_KNOWN = 40
MAX_SIGNS = 64  #: that are replaced one after another
_QUOTES = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "´": "'", "\xa0": " "})
_WORD = re.compile(r"\w+")
_SIGN = re.compile(r"\W")
_DIGITS = re.compile(r"\d+")
#: every ASCII character that no number has
_NO_DIGITS = {code: " " for code in range(128) if not chr(code).isdigit()}
#: every ASCII character that no word has
_BLANKS = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}


@functools.cache
def languages() -> Mapping[str, Mapping[str, Any]]:
    """The table of every language, by its code."""
    folder = resources.files("gateway.extract").joinpath("languages")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return {entry.name.removesuffix(".toml"): tomllib.loads(entry.read_text(encoding="utf-8")) for entry in files}


def words(section: str, key: str) -> tuple[str, ...]:
    """The words of all languages under ``[section] key``, lower-case, each once."""
    found: dict[str, None] = {}
    for table in languages().values():
        for word in table.get(section, {}).get(key, ()):
            found.setdefault(word.lower())
    return tuple(found)


def mapping(section: str, key: str) -> dict[str, str]:
    """The tables of all languages under ``[section.key]`` in one."""
    found: dict[str, str] = {}
    for table in languages().values():
        found |= {name.lower(): value for name, value in table.get(section, {}).get(key, {}).items()}
    return found


def alternation(choices: Iterable[str]) -> str:
    """An expression for any of these words, the longest first, that branches once a character.

    A blank stands for any run of blanks within a line, an apostrophe for its typographic forms too; a final ``*`` lets the
    word go on. What may follow the last character is the caller's business.
    """
    tree: dict[str, Any] = {}
    for choice in choices:
        node = tree
        for char in choice.removesuffix("*"):
            node = node.setdefault(char, {})
        node["*" if choice.endswith("*") else ""] = {}
    return _branch(tree)


def _atom(char: str) -> str:
    if char == " ":
        return r"[ \t\xa0]{1,3}"
    return "['’ʼ`´]" if char == "'" else re.escape(char)


def _branch(tree: Mapping[str, Any]) -> str:
    branches = [_atom(char) + _branch(below) for char, below in tree.items() if char not in ("", "*")]
    if "*" in tree:
        branches.append(r"\w{0,14}")
    elif "" in tree:
        branches.append("")
    if len(branches) == 1:
        return branches[0]
    return f"(?:{'|'.join(branches)})"


def all_words(lower: str) -> list[str]:
    """The words of a text in small letters, in order."""
    return lower.translate(_BLANKS).split() if lower.isascii() else _WORD.findall(lower)


def blanked(text: str) -> str:
    """The text with a blank for every character that no word has, each at its place."""
    if text.isascii():
        return text.translate(_BLANKS)
    signs = [char for char in set(text) if not (char.isalnum() or char == "_")]
    if len(signs) > MAX_SIGNS:
        return _SIGN.sub(" ", text)
    for sign in signs:
        text = text.replace(sign, " ")
    return text


@functools.lru_cache(maxsize=8)  # several readers ask about the same text
def vocabulary(lower: str) -> Mapping[str, None]:
    """The words of a text in small letters (runs of letters, digits and underscores) in order, each once."""
    return dict.fromkeys(all_words(lower))


@functools.lru_cache(maxsize=4)
def numbers(text: str) -> list[tuple[int, int]]:
    """(begin, end) of the runs of digits in a text, the first ``MAX_NUMBERS`` of them."""
    if not text.isascii():
        return [run.span() for run in itertools.islice(_DIGITS.finditer(text), MAX_NUMBERS)]
    runs, end = [], 0
    for digits in text.translate(_NO_DIGITS).split()[:MAX_NUMBERS]:
        start = text.index(digits, end)
        runs.append((start, end := start + len(digits)))
    return runs


class Beginnings:
    """Beginnings of words that are looked for in every mail. Which words have one is remembered."""

    def __init__(self, hints: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, str]]] = {}
        for hint in dict.fromkeys(hints):
            first = _WORD.match(hint)
            assert first is not None  # every hint begins with a letter or a digit
            self._by_first.setdefault(hint[0], []).append((first[0].partition("_")[0], hint))
        self._known: dict[str, list[str]] = {}
        self._without: set[str] = set()

    def _of(self, word: str) -> list[str]:
        found = self._known.get(word)
        if found is not None:
            return found
        found = []
        for part in word.split("_"):
            found += [
                hint
                for first, hint in self._by_first.get(part[:1], ())
                if part == first or (first == hint and part.startswith(first))
            ]
        if len(word) <= LONGEST_KNOWN:
            if found and len(self._known) < MAX_KNOWN:
                self._known[word] = found
            elif not found and len(self._without) < MAX_KNOWN:
                self._without.add(word)
        return found

    def places(self, lower: str, most: int) -> list[int]:
        """Where one of them stands at a word start of a text in small letters, in order; at most so many of each."""
        likely = list(itertools.filterfalse(self._without.__contains__, vocabulary(lower)))
        found = []
        for hint in dict.fromkeys(hint for word in likely for hint in self._of(word)):
            at, count = lower.find(hint), 0
            while at >= 0 and count < most:
                if at == 0 or not lower[at - 1].isalnum():
                    found.append(at)
                    count += 1
                at = lower.find(hint, at + 1)
        return sorted(found)


def lowered(text: str) -> str:
    """The text in small letters, character for character: a place in it is the same place in the text."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)  # "İ" becomes two


def flattened(text: str) -> str:
    """The text in small letters with single blanks and plain apostrophes."""
    text = " ".join(text.split())
    return text.replace("`", "'").lower() if text.isascii() else text.translate(_QUOTES).lower()
