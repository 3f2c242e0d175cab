"""What weights that were learned from labelled texts say of a mail, beside what the rules found.

``learned.tsv`` is written by ``python -m bench.learn`` from ``tests/labelled``: a feature of ``features.py`` or
``senses.py`` a line, or an opinion of the rules (``=critical``), with its weight for each label. A mail leans towards a
label by the sum of its features' weights, divided by the root of their number, the same of its senses, and the weights
of the rules' opinions; above 0 it has the label. So no rule has to foresee how an outage is told, and a rule is one
voice among the words.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from operator import itemgetter, mul
from typing import NamedTuple

from gateway.model import SENSITIVE

FILE = "learned.tsv"
LABELS = ("critical", "account", "financial", *SENSITIVE)
BIAS = "<bias>"
NAMED = 6  #: features that an explanation names
LANE = 32  #: bits of a weight among those of a row, in hundredths
_LANES = struct.Struct(f"<{len(LABELS)}I")
_HALF = 1 << (LANE - 1)
_RAISED = sum(_HALF << (LANE * at) for at in range(len(LABELS)))  #: makes what is below 0 positive
Sums = tuple[float, ...]  #: a number for each of ``LABELS``


class Row(NamedTuple):
    """The weights of a feature; ``packed`` has them all in one number, which adds up faster than ten do and whatever
    the order."""

    packed: int
    each: Sums


Weights = Mapping[str, Row]


def row(each: Sequence[float]) -> Row:
    """The row of these weights, each in hundredths, in the order of ``LABELS``."""
    return Row(sum(round(100 * weight) << (LANE * at) for at, weight in enumerate(each)), tuple(each))


def _unpacked(total: int) -> Sequence[int]:
    """The sums of packed weights, each in hundredths."""
    return [lane - _HALF for lane in _LANES.unpack((total + _RAISED).to_bytes(_LANES.size, "little"))]


NOTHING = row((0.0,) * len(LABELS))
RULES: Weights = {
    f"={label}": row([1.0 if label == other else 0.0 for other in LABELS]) for label in LABELS
}  #: of who has learned nothing: what the rules say


@dataclass(frozen=True, slots=True)
class Leanings:
    """How far a mail leans towards each label; above 0 it has it."""

    sums: Sums
    known: float  #: the share of its features that have weights, from 0 to 1
    words: int  #: how many of its features have weights
    names: Sequence[str]  #: its features, senses and opinions that have weights
    counts: Sequence[float]  #: what each counts
    rows: Sequence[Sums]  #: the weights of each

    def towards(self, label: str) -> float:
        """How far it leans towards one of ``LABELS``."""
        return self.sums[LABELS.index(label)]

    def told(self, label: str) -> str:
        """The sum, and the features and opinions that did most, with their part."""
        column = LABELS.index(label)
        parts = list(map(mul, self.counts, map(itemgetter(column), self.rows)))
        least = min(sorted(map(abs, parts))[-NAMED:], default=0.0)
        large = [(name, part) for name, part in zip(self.names, parts, strict=True) if part and abs(part) >= least]
        heaviest = sorted(large, key=lambda part: (-abs(part[1]), part[0]))[:NAMED]
        said = ", ".join([f"{name} {part:+.2f}" for name, part in heaviest])
        return f"learned {label} {self.sums[column]:+.2f}{': ' if said else ''}{said}"


def leanings(
    features: Collection[str], opinions: Mapping[str, float], weights: Weights, senses: Collection[str] = ()
) -> Leanings:
    """How far a mail with these features and senses, and these opinions of the rules, leans towards each label."""
    words, classes = (
        {name: row for name in names if (row := weights.get(name)) is not None} for names in (features, senses)
    )
    said = {name: value for name, value in opinions.items() if name in weights}
    rows = [*words.values(), *classes.values(), *map(weights.__getitem__, said)]
    known, count, less = len(words), _count(words), _count(classes)
    sums = zip(_said(said, weights), _summed(rows[:known]), _summed(rows[known : known + len(classes)]), strict=True)
    return Leanings(
        tuple([0.0001 * fixed + 0.01 * (count * word + less * sense) for fixed, word, sense in sums]),
        known / max(1, len(features)),
        known,
        (*words, *classes, *said),
        [*[count] * known, *[less] * len(classes), *said.values()],
        [row.each for row in rows],
    )


def leaning(
    label: str, features: Collection[str], opinions: Mapping[str, float], weights: Weights
) -> tuple[float, int]:
    """(how far a text with these features leans towards one label, how many of them have weights)."""
    column = LABELS.index(label)
    words = [row for name in features if (row := weights.get(name)) is not None]
    fixed = _said({name: value for name, value in opinions.items() if name in weights}, weights)[column]
    return 0.0001 * fixed + 0.01 * _count(words) * _summed(words)[column], len(words)


def _count(names: Collection[object]) -> float:
    """What each of so many counts."""
    return len(names) ** -0.5 if names else 0.0


def _summed(rows: Sequence[Row]) -> Sequence[int]:
    """The sums of the weights, in hundredths."""
    return _unpacked(sum([row.packed for row in rows]))


def _said(opinions: Mapping[str, float], weights: Weights) -> Sequence[int]:
    """What the opinions weigh, with what a mail without words has, in hundredths of hundredths."""
    said = [round(100 * value) * weights[name].packed for name, value in opinions.items()]
    return _unpacked(100 * weights.get(BIAS, NOTHING).packed + sum(said))


@functools.cache
def built_in() -> Weights:
    """The weights that come with the package, by feature."""
    return parsed(resources.files("gateway.read.topics").joinpath(FILE).read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=2)
def parsed(text: str) -> Weights:
    """The weights of a file: a feature, a tab, and its weight for each label between tabs; nothing at the end of a line
    is 0.

    Raises:
        ValueError: a weight that is no number, or too many.
    """
    found: dict[str, Row] = {}
    # each number and each row is there once: what a mail asks for stays in the processor's caches
    numbers: dict[str, float] = {"": 0.0}
    rows: dict[Sums, Row] = {}
    for line in text.split("\n"):
        if line and not line.startswith("#\t"):
            name, *cells = line.split("\t")
            if len(cells) > len(LABELS):
                raise ValueError(f"{name}: more than {len(LABELS)} weights")
            for cell in cells:
                if cell not in numbers:
                    numbers[cell] = float(cell)
            each = (*map(numbers.__getitem__, cells), *NOTHING.each[len(cells) :])
            if each not in rows:
                rows[each] = row(each)
            found[name] = rows[each]
    return found


def written(columns: Mapping[str, Mapping[str, float]], smallest: float) -> str:
    """The file of these weights, by label and feature; what weighs less than ``smallest`` is left out."""
    names = sorted({name for weights in columns.values() for name in weights})
    lines = [f"#\t{chr(9).join(LABELS)}"]
    for name in names:
        cells = [columns[label].get(name, 0.0) for label in LABELS]
        told = [f"{cell:.2f}".replace("0.", ".", 1) if abs(cell) >= smallest else "" for cell in cells]
        if any(told):
            lines.append("\t".join((name, *told)).rstrip("\t"))
    return "\n".join(lines) + "\n"
