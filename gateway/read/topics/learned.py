"""What weights that were learned from labelled texts say of a mail, beside what the rules found.

``learned.tsv`` is written by ``python -m bench.learn`` from ``tests/labelled``: a feature of ``features.py`` a line, or
an opinion of the rules (``=critical``), with its weight for each label. A mail leans towards a label by the sum of its
features' weights, divided by the root of their number, and of the weights of the rules' opinions; above 0 it has the
label. So no rule has to foresee how an outage is told, and a rule is one voice among the words.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources

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
    parts: tuple[tuple[str, float, Row], ...]  #: (feature or opinion, what it counts, its weights)

    def towards(self, label: str) -> float:
        """How far it leans towards one of ``LABELS``."""
        return self.sums[LABELS.index(label)]

    def told(self, label: str) -> str:
        """The sum, and the features and opinions that did most, with their part."""
        column = LABELS.index(label)
        parts = [(name, counts * weights[column]) for name, counts, weights in self.parts if weights[column]]
        heaviest = sorted(parts, key=lambda part: (-abs(part[1]), part[0]))[:NAMED]
        said = ", ".join(f"{name} {part:+.2f}" for name, part in heaviest)
        return f"learned {label} {self.sums[column]:+.2f}{': ' if said else ''}{said}"


def leanings(features: Collection[str], opinions: Mapping[str, float], weights: Weights) -> Leanings:
    """How far a mail with these features, and these opinions of the rules, leans towards each label."""
    known = [(name, weights[name]) for name in features if name in weights]
    counts = len(known) ** -0.5 if known else 0.0
    parts = [(name, counts, row) for name, row in known]
    parts += [(name, value, weights[name]) for name, value in opinions.items() if name in weights]
    words = map(sum, zip(*(row for _, row in known), strict=True)) if known else NOTHING
    sums = [bias + counts * word for bias, word in zip(weights.get(BIAS, NOTHING), words, strict=True)]
    for _, value, row in parts[len(known) :]:
        sums = [total + value * weight for total, weight in zip(sums, row, strict=True)]
    return Leanings(tuple(sums), len(known) / max(1, len(features)), tuple(parts))


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
    for line in text.split("\n"):
        if line and not line.startswith("#\t"):
            name, *cells = line.split("\t")
            values = [float(cell) if cell else 0.0 for cell in cells]
            found[name] = (*values, *NOTHING[len(values) :])
            if len(values) > len(LABELS):
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
