"""Key words with one typing error: a letter too many, too few, a wrong one, or two that changed places.

An error is looked for between the first letter and the last, which few people miss and in which other words and other
forms differ; so a word is compared only with the key words that begin and end as it does, or would with its last two
letters in their places.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

LONG = 8  #: letters of a key word in which a wrong one may be
SHORTEST = 6  #: letters of a key word in which an error may be
MAX_WORDS = 50
_WORD = re.compile(r"[^\W\d_]{6,24}")


@functools.lru_cache(maxsize=64)
def _index(keys: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The key words by their first and last letter."""
    found: dict[str, tuple[str, ...]] = {}
    for key in keys:
        ends = key[0] + key[-1]
        found[ends] = (*found.get(ends, ()), key)
    return found


def one_error(word: str, key: str) -> bool:
    """Whether one error makes ``word`` of ``key`` (Damerau and Levenshtein, two letters that changed places count as
    one).

    A wrong letter counts only in long words, and an accent is no error.
    """
    if word[:-2] == key[:-2] and word[-2:] == key[:-3:-1]:
        return word != key  # the last two letters changed places
    if word == key or abs(len(word) - len(key)) > 1 or word[0] != key[0] or word[-1] != key[-1]:
        return False
    at = next((at for at, (a, b) in enumerate(zip(word, key, strict=False)) if a != b), min(len(word), len(key)))
    rest, wanted = word[at:], key[at:]
    if len(word) != len(key):
        return rest[1:] == wanted or rest == wanted[1:]
    if rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:]:
        return True
    return len(key) >= LONG and rest[1:] == wanted[1:] and _letter(rest[:1]) != _letter(wanted[:1])


def _letter(char: str) -> str:
    """A letter without its accent."""
    return unicodedata.normalize("NFD", char)[:1]


def corrected(lower: str, keys: tuple[str, ...], others: Sequence[str]) -> str:
    """A text in small letters with the key words in place of their misspellings.

    Args:
        keys: words of at least ``SHORTEST`` letters, in small letters.
        others: words, or how they begin, that are none of their misspellings.
    """
    index, known = _index(keys), tuple(others)
    for word in list(dict.fromkeys(_WORD.findall(lower)))[:MAX_WORDS]:
        size = len(word)
        alike = (*index.get(word[0] + word[-1], ()), *index.get(word[0] + word[-2], ()))
        near = [key for key in alike if -1 <= len(key) - size <= 1]
        if not near or word in near or word.startswith(known):
            continue
        key = next((key for key in near if one_error(word, key)), None)
        if key is not None:
            lower = re.sub(rf"(?<!\w){word}(?!\w)", key, lower)
    return lower
