"""Weights of features from labelled texts: a linear classifier, trained without anything but Python, the same each
time.

An L2-regularised support vector machine with squared hinge loss, solved in its dual by coordinate descent (Hsieh et
al., ICML 2008, algorithm 1; what liblinear does). A text is its features, each of the length 1/sqrt(how many), its
senses, which are measured the same by themselves, and its opinions, which count whole.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

BIAS = "<bias>"
COST = 5.0  #: of a text on the wrong side, beside the size of the weights
ROUNDS = 60  #: over all texts at most
ENOUGH = 0.01  #: the largest step of a round at which it is done
RARE = 3  #: texts that a feature must stand in
SENSES = 0.7  #: how far all senses of a text count beside its features
SELDOM = 30  #: texts that a sense must stand in: there are few, and each is of many words
SEED = 1


@dataclass(frozen=True)
class Example:
    """A text whose label is known: its features and senses, ``opinions`` of others on it (from -1 to 1), and whether it
    has the label."""

    features: frozenset[str]
    is_so: bool
    opinions: Mapping[str, float] = field(default_factory=dict)
    senses: frozenset[str] = frozenset()


def trained(examples: Sequence[Example], cost: float = COST, rare: int = RARE) -> dict[str, float]:
    """The weight of each feature and opinion for the label; positive speaks for it. ``BIAS`` is what a text without
    words has."""
    senses = _known((example.senses for example in examples), SELDOM)
    known = _known((example.features for example in examples), rare) | senses
    numbers: dict[str, int] = {BIAS: 0}
    rows = [_row(example, known, numbers) for example in examples]
    weights = _descent(rows, [1.0 if example.is_so else -1.0 for example in examples], len(numbers), cost)
    return {name: weights[number] * (SENSES if name in senses else 1.0) for name, number in numbers.items()}


def _known(texts: Iterable[Collection[str]], rare: int = RARE) -> frozenset[str]:
    """The features that stand in at least ``rare`` texts."""
    counts: Counter[str] = Counter()
    for features in texts:
        counts.update(features)
    return frozenset(name for name, count in counts.items() if count >= rare)


def _row(example: Example, known: frozenset[str], numbers: dict[str, int]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """(numbers of its features, what each counts)."""
    features, senses = sorted(example.features & known), sorted(example.senses & known)
    names = [BIAS, *features, *senses, *example.opinions]
    values = (1.0, *_lengths(features), *_lengths(senses, SENSES), *example.opinions.values())
    return tuple(numbers.setdefault(name, len(numbers)) for name in names), values


def _lengths(names: Sequence[str], together: float = 1.0) -> list[float]:
    """What each of so many counts; ``together`` is the length of all."""
    return [together * len(names) ** -0.5] * len(names) if names else []


def _descent(
    rows: Sequence[tuple[tuple[int, ...], tuple[float, ...]]], signs: Sequence[float], size: int, cost: float
) -> list[float]:
    """Algorithm 1 of the paper for the squared hinge loss: D is 1 / (2 cost), alpha has no upper bound."""
    weights = [0.0] * size
    alphas = [0.0] * len(rows)
    slack = 0.5 / cost
    squares = [sum(value * value for value in values) + slack for _, values in rows]
    order, shuffle = list(range(len(rows))), random.Random(SEED).shuffle  # the same order each time, no secret
    for _ in range(ROUNDS):
        shuffle(order)
        largest = 0.0
        for at in order:
            numbers, values = rows[at]
            sign, alpha = signs[at], alphas[at]
            total = sum([weights[number] * value for number, value in zip(numbers, values, strict=True)])
            gradient = sign * total - 1.0 + slack * alpha
            if alpha == 0.0 and gradient >= 0.0:
                continue
            changed = max(alpha - gradient / squares[at], 0.0)
            step = (changed - alpha) * sign
            largest = max(largest, abs(step))
            alphas[at] = changed
            for number, value in zip(numbers, values, strict=True):
                weights[number] += step * value
        if largest < ENOUGH:
            break
    return weights
