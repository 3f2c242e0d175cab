"""The words of each language, from ``languages/*.toml``: what the readers look for, as data that a person can
correct."""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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


SHORTEST = 3  #: letters that a word without its accents must have left to be taken for it
#: sections whose words people type, with or without accents
_TYPED = frozenset(("machines", "quotes", "numbers", "services", "times", "secrets"))
_NUMBERED = frozenset(("weekdays", "months", "hours"))  #: lists whose order counts; "a|b" are two words for one number
_BY_WORD = frozenset(("zones", "minutes", "named"))  #: tables by word


@functools.cache
def languages() -> Mapping[str, Mapping[str, Any]]:
    """The table of every language, by its code."""
    folder = resources.files("gateway.read").joinpath("languages")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    tables = {entry.name.removesuffix(".toml"): tomllib.loads(entry.read_text(encoding="utf-8")) for entry in files}
    for code, table in tables.items():
        for section in _TYPED & table.keys():
            table[section] = _also_plain(code, section, table[section])
    return tables


def _also_plain(code: str, name: str, told: Any) -> Any:
    """A list or table of words with those as well that are typed without accents, where enough is left of them to
    tell."""

    def plain(word: str) -> list[str]:
        typed = unaccented(word.lower(), code)
        enough = len(typed.strip("*=")) >= SHORTEST or name in ("secrets", "number")
        if name == "not" and code == "fr" and word.endswith("é"):
            return []  # "commande" is no "commandé"
        return [typed] if enough and typed != word.lower() else []

    if isinstance(told, dict):
        found = {key: _also_plain(code, key if name != "secrets" else name, value) for key, value in told.items()}
        for key in told if name in _BY_WORD else ():
            found |= dict.fromkeys(plain(key), told[key])
        return found
    if not isinstance(told, list):
        return told
    if name in _NUMBERED:
        return ["|".join([entry, *(typed for form in entry.split("|") for typed in plain(form))]) for entry in told]
    return [*told, *(typed for word in told for typed in plain(word))]


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

    A blank stands for any run of blanks within a line, an apostrophe for its typographic forms too; a final ``*`` lets
    the word go on. What may follow the last character is the caller's business.
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


class Search:
    """What several readers look for in the same text, in one pass (Aho and Corasick, CACM 18(6), 1975)."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._search: AhoCorasick | None = None
        self.places = functools.lru_cache(maxsize=4)(self._places)

    def number(self, key: str) -> int:
        """The number of a key, which is looked for from now on."""
        self._search = None
        return self._keys.setdefault(key, len(self._keys))

    def _places(self, lower: str) -> Mapping[int, Sequence[int]]:
        """Where each key stands in the text, in order."""
        self._search = self._search or AhoCorasick(list(self._keys), store_patterns=False)
        found: dict[int, list[int]] = defaultdict(list)
        for number, place, _ in self._search.find_matches_as_indexes(_parted(lower), overlapping=True):
            found[number].append(place)
        return found


#: what is looked for in the words of every mail
EVERY_MAIL = Search()


class Beginnings:
    """Beginnings of words, or whole words, that are looked for all of them at once; ``among``: with what others look
    for."""

    def __init__(self, hints: Iterable[str], whole: bool = False, among: Search | None = None) -> None:
        self._among = among or Search()
        self._hints: dict[int, list[str]] = defaultdict(list)  #: by the number of their key: "sk-" and "sk_" have one
        for hint in dict.fromkeys(hints):
            self._hints[self._among.number(_parted(hint) if whole else _parted(hint)[:-1])].append(hint)

    def found(self, lower: str, most: int) -> dict[str, list[int]]:
        """Where each stands at a word start of a text in small letters, in order; at most so many places of each."""
        places, found = self._among.places(lower), {}
        for number in places.keys() & self._hints.keys():
            for hint in self._hints[number]:
                own = (place for place in places[number] if lower.startswith(hint, place))
                if first := list(itertools.islice(own, most)):
                    found[hint] = first
        return found

    def places(self, lower: str, most: int) -> list[int]:
        """Where one of them stands, in order; at most so many places of each."""
        return sorted(place for places in self.found(lower, most).values() for place in places)


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
#: letters that are no other letter with an accent
_LETTERS = str.maketrans({"ł": "l", "ı": "i", "ø": "o", "đ": "d", "ß": "ss", "œ": "oe", "æ": "ae"})
_ACCENTED = re.compile(r"[^\W\d_a-zA-Z]")


def unaccented(text: str, language: str) -> str:
    """The text as it is typed where the keyboard or the habit has no accents: "für" as "fuer", "contraseña" as
    "contrasena"."""
    if text.isascii() or language in ("ru", "uk"):
        return text
    if language == "de":
        text = text.translate(_UMLAUTS)
    letters = unicodedata.normalize("NFD", text.translate(_LETTERS))
    return unicodedata.normalize("NFC", "".join(char for char in letters if not unicodedata.combining(char)))


def is_plain(text: str) -> bool:
    """Whether no letter of it is beyond ASCII."""
    return text.isascii() or not _ACCENTED.search(text)


def around(text: str, start: int, end: int) -> str:
    """What stands from ``start`` to ``end`` with the words around it, for whoever asks where a fact was found."""
    low, high = max(0, start - 30), min(len(text), end + 20)
    if low and not text[low - 1].isspace():
        low += next((at for at, char in enumerate(text[low:start], 1) if char.isspace()), start - low)
    if high < len(text) and not text[high].isspace():
        high -= next((at for at, char in enumerate(reversed(text[end:high]), 1) if char.isspace()), high - end)
    return " ".join(text[low:high].split())


@functools.lru_cache(maxsize=4)  # several readers ask about the same text
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


_RUNS = re.compile(r"[ \t]{2,}|\t")


def evened(text: str) -> str:
    """The text with one blank between words: no signature covers how many there are (RFC 6376 section 3.4.4)."""
    return _RUNS.sub(" ", text) if "  " in text or "\t" in text else text
