"""The words of each language, from ``languages/*.toml``: what the readers look for, as data that a person can correct."""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from ahocorasick_rs import AhoCorasick

MAX_NUMBERS = 20_000
MAX_SIGNS = 64  #: that are replaced one after another
_QUOTES = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "´": "'", "\xa0": " "})
#: of ASCII, what ``flattened`` makes of each character but a run of blanks
_FLAT = {code: " " if chr(code).isspace() else "'" if chr(code) == "`" else chr(code).lower() for code in range(128)}
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


@functools.lru_cache(maxsize=4)  # several readers ask about the same text
def _parted(lower: str) -> str:
    """The words of the text with blanks for all that stands between them, and one at either end."""
    return f" {blanked(lower)} "


class Beginnings:
    """Beginnings of words, or whole words, that are looked for in every mail, all of them at once."""

    def __init__(self, hints: Iterable[str], whole: bool = False) -> None:
        self._hints = list(dict.fromkeys(hints))
        keys = [_parted(hint) if whole else _parted(hint)[:-1] for hint in self._hints]
        self._search = AhoCorasick(keys, store_patterns=False)

    def found(self, lower: str, most: int) -> dict[str, list[int]]:
        """Where each stands at a word start of a text in small letters, in order; at most so many places of each."""
        found: dict[str, list[int]] = {}
        for key, place, _ in self._search.find_matches_as_indexes(_parted(lower), overlapping=True):
            hint = self._hints[key]
            if lower.startswith(hint, place):
                places = found.setdefault(hint, [])
                if len(places) < most:
                    places.append(place)
        return found

    def places(self, lower: str, most: int) -> list[int]:
        """Where one of them stands, in order; at most so many places of each."""
        return sorted(place for places in self.found(lower, most).values() for place in places)


def lowered(text: str) -> str:
    """The text in small letters, character for character: a place in it is the same place in the text."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)  # "İ" becomes two


def flattened(text: str) -> str:
    """The text in small letters with single blanks and plain apostrophes."""
    if not text.isascii():
        return " ".join(text.split()).translate(_QUOTES).lower()
    text = text.translate(_FLAT)
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")
