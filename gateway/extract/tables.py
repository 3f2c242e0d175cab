"""The words of each language, from ``languages/*.toml``: what the readers look for, as data that a person can correct."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any


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


def places(lower: str, hints: Iterable[str], most: int) -> list[int]:
    """Where one of these hints stands at a word start of a text in small letters, in order; at most so many of each."""
    found = []
    plain = lower.isascii()
    for hint in hints:
        if plain and not hint.isascii():
            continue
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
