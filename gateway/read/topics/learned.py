"""What weights that were learned from labelled texts say of a mail, beside what the rules found.

``learned.tsv`` is written by ``python -m bench.learn`` from ``tests/labelled``: a feature of ``features.py`` a line, or
an opinion of the rules (``=critical``), with its weight for each label. A mail leans towards a label by the sum of its
features' weights, divided by the root of their number, and of the weights of the rules' opinions; above 0 it has the
label. So no rule has to foresee how an outage is told, and a rule is one voice among the words.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from operator import itemgetter, mul

from gateway.model import SENSITIVE

FILE = "learned.tsv"
LABELS = ("critical", "account", "financial", *SENSITIVE)
BIAS = "<bias>"
NAMED = 6  #: features that an explanation names
Row = tuple[float, ...]  #: a weight for each of ``LABELS``
Weights = Mapping[str, Row]
NOTHING: Row = (0.0,) * len(LABELS)
RULES: Weights = {
    f"={label}": tuple(1.0 if label == other else 0.0 for other in LABELS) for label in LABELS
}  #: of who has learned nothing: what the rules say


@dataclass(frozen=True, slots=True)
class Leanings:
    """How far a mail leans towards each label; above 0 it has it."""

    sums: Row
    known: float  #: the share of its features that have weights, from 0 to 1
    names: Sequence[str]  #: its features and opinions that have weights
    counts: Sequence[float]  #: what each counts
    rows: Sequence[Row]  #: the weights of each

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
        said = ", ".join(f"{name} {part:+.2f}" for name, part in heaviest)
        return f"learned {label} {self.sums[column]:+.2f}{': ' if said else ''}{said}"


def leanings(features: Collection[str], opinions: Mapping[str, float], weights: Weights) -> Leanings:
    """How far a mail with these features, and these opinions of the rules, leans towards each label."""
    weighed = {name: row for name in features if (row := weights.get(name)) is not None}
    names, rows = list(weighed), list(weighed.values())
    known = len(rows)
    count = known**-0.5 if known else 0.0
    words = map(math.fsum, zip(*rows, strict=True)) if known else NOTHING  # whatever the order of a set
    sums = [bias + count * word for bias, word in zip(weights.get(BIAS, NOTHING), words, strict=True)]
    said = {name: value for name, value in opinions.items() if name in weights}
    for name, value in said.items():
        rows.append(weights[name])
        sums = [total + value * weight for total, weight in zip(sums, rows[-1], strict=True)]
    counts = (*(count for _ in range(known)), *said.values())
    return Leanings(tuple(sums), known / max(1, len(features)), (*names, *said), counts, rows)


def leaning(
    label: str, features: Collection[str], opinions: Mapping[str, float], weights: Weights
) -> tuple[float, int]:
    """(how far a text with these features leans towards one label, how many of them have weights)."""
    column = LABELS.index(label)
    words = [row[column] for name in features if (row := weights.get(name)) is not None]
    said = sum(value * weights[name][column] for name, value in opinions.items() if name in weights)
    return weights.get(BIAS, NOTHING)[column] + math.fsum(words) * max(1, len(words)) ** -0.5 + said, len(words)


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
    rows: dict[Row, Row] = {}
    for line in text.split("\n"):
        if line and not line.startswith("#\t"):
            name, *cells = line.split("\t")
            for cell in cells:
                if cell not in numbers:
                    numbers[cell] = float(cell)
            row = (*map(numbers.__getitem__, cells), *NOTHING[len(cells) :])
            found[name] = rows.setdefault(row, row)
            if len(cells) > len(LABELS):
                raise ValueError(f"{name}: more than {len(LABELS)} weights")
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
