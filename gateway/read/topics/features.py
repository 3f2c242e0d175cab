"""What a text is to the learned weights (``learned.py``): its words, how they begin, and which two of them follow one
another.

Letters lose their case and accents, as people type. What only names somebody's things stands for its kind: ``<order>``,
``<ip>``, ``<host>``, ``<mail>``, ``<name>`` (letters and digits, as in web13), ``<time>``, ``0`` (any other number);
codes of HTTP errors stay. Two texts that differ in such names only have the same features.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

MAX_CHUNKS = 300  #: of a text between blanks; what somebody wants stands among its first words
MAX_CHUNK = 80  #: characters
BEGINS = 5  #: letters of a word that tell what it is about, in languages whose words end in many ways
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_ENDS = ".!?;"
_EDGES = " \t.,;:()[]{}<>\"'«»„“”‚‘’…-–—*_|`´/\\=+~^"
_MARKS = "?!"
_ENDS = _EDGES + _MARKS
#: accents, and letters that are no other letter with one
_PLAIN = dict.fromkeys(range(768, 880)) | str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae"})


@dataclass(frozen=True, slots=True)
class Spelt:
    """The words of a mail in their order, in their one spelling: of its subject, and of each sentence of its text."""

    above: Sequence[str]
    sentences: Sequence[Sequence[str]]


def spelt(subject: str, text: str) -> Spelt:
    """The words of a mail; of its first ``MAX_CHUNKS``. A line ends a sentence as well."""
    sentences: list[Sequence[str]] = []
    left = MAX_CHUNKS
    for line in text[: MAX_CHUNKS * MAX_CHUNK].split("\n"):
        sentence: list[str] = []
        for chunk in line.split(maxsplit=left)[:left]:
            left -= 1
            if chunk.isascii() and chunk.isalpha() and len(chunk) <= MAX_CHUNK:
                sentence.append(chunk.lower())  # most are
                continue
            sentence += _words(chunk[:MAX_CHUNK])
            if chunk[-1] in _SENTENCE_ENDS and sentence:
                sentences.append(sentence)
                sentence = []
        if sentence:
            sentences.append(sentence)
    return Spelt(words_of(subject), sentences)


def features(subject: str, text: str) -> frozenset[str]:
    """The features of a mail; at most about three times as many as it has words."""
    return features_of(Spelt(words_of(subject), [words_of(text)]))


def features_of(told: Spelt) -> frozenset[str]:
    """The features of a mail whose words are these."""
    found: set[str] = set()
    for words in (told.above, list(chain.from_iterable(told.sentences))):
        once = set(words)
        found |= once
        found.update([f"{word[:BEGINS]}*" for word in once if len(word) > BEGINS and word[0] != "<"])
        found.update(map(" ".join, pairwise([word[:BEGINS] for word in words])))
    return frozenset(found)


def words_of(text: str) -> list[str]:
    """The words of a text in their order, in their one spelling."""
    words: list[str] = []
    for chunk in text[: MAX_CHUNKS * MAX_CHUNK].split(maxsplit=MAX_CHUNKS)[:MAX_CHUNKS]:
        if chunk.isascii() and chunk.isalpha() and len(chunk) <= MAX_CHUNK:
            words.append(chunk.lower())  # most are: cheaper than to look up what they are
        else:
            words += _words(chunk[:MAX_CHUNK])
    return words


@functools.lru_cache(maxsize=8192)  # the next mails are of the same words
def _words(written: str) -> Sequence[str]:
    """The words between two blanks."""
    chunk = written.lower()
    if not chunk.isascii():
        chunk = unicodedata.normalize("NFD", chunk).translate(_PLAIN)
    if chunk.isalpha():
        return (chunk,)
    bare = chunk.strip(_ENDS)
    marks = [mark for mark in _MARKS if mark in chunk[len(chunk.rstrip(_ENDS)) :]]
    if kind := _kind(bare):
        return (kind, *marks)
    return (*(_word(word) for word in _WORD.findall(bare)), *marks)


def _word(word: str) -> str:
    """A word as it is, or what it stands for where it has digits."""
    if word.isalpha():
        return word
    if not word.isdigit():
        return "<name>" if word[:1].isalpha() or not word[-1:].isalpha() else word.lstrip("0123456789")
    return word if len(word) == 3 and word[0] in "45" else "0"


def _kind(bare: str) -> str:
    """What somebody's name for a thing stands for; empty where it is none."""
    if bare.isalpha():
        return ""
    if "@" in bare:
        return "<mail>" if "." in bare.partition("@")[2] else ""
    if bare.startswith(("http:", "https:", "www.")):
        return "<host>"
    if bare.startswith("#") and bare[1:].isdigit():
        return "<order>"
    if bare.count(":") >= 2 and all(letter in "0123456789abcdef:/" for letter in bare):
        return "<ip>"
    if bare.replace(".", "").replace("/", "").isdigit() and bare.count(".") == 3:
        return "<ip>"
    if len(bare) <= 5 and bare.replace(":", "", 1).isdigit() and ":" in bare:
        return "<time>"
    head, point, last = bare.rpartition(".")
    if point and head and last.isalpha() and (2 <= len(last) <= 4 or last == "example") and head[-1:].isalnum():
        return "<host>" if len(head) > 1 else ""
    return ""
