"""Learns ``gateway/read/topics/learned.tsv`` from the labelled texts; ``python -m bench.learn [--folds 5 | --strangers] [--hear FILE]``.

Without an argument it writes the file, the same each time. ``--folds`` writes nothing: each text of ``people.jsonl`` is judged by weights
that were learned without it, and the table says how right the rules alone are and how right both together. ``--strangers`` is stricter: each is
judged by what was learned from other writers' batches (``w-en``, ``w2b``, as its ``id`` begins), so nobody's habits help. ``--hear`` adds new texts
to ``people.jsonl``, with what the rules say of them now: do it before a rule is changed for any of them, or the weights will
believe the rules more than they deserve. A text with a blank label is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from gateway.model import SENSITIVE
from gateway.read.topics.learned import FILE, LABELS, written
from tests.measures.heard import NotLabelled, hear
from tests.measures.taught import SMALLEST, Row, by_feature, has, known_rows, learned_from, people


def folds(strangers: Sequence[Row], parts: Sequence[object]) -> None:
    """Prints how right people's texts are read by weights that did not see the part that they belong to."""
    known = list(known_rows())
    told: dict[str, list[tuple[bool, bool, bool]]] = {label: [] for label in LABELS}
    for part in dict.fromkeys(parts):
        held, kept = (
            [row for row, own in zip(strangers, parts, strict=True) if (own == part) is belongs]
            for belongs in (True, False)
        )
        weights = by_feature(learned_from([*known, *kept]))
        for row in held:
            for label in LABELS:
                if (wanted := row.labels[label]) is not None:
                    told[label].append((wanted, row.opinions.get(f"={label}", 0) > 0, has(label, row, weights)))
    print(f"{len(strangers)} texts of people in {len(set(parts))} parts, with {len(known)} others")
    print("| | rules alone | learned with them |\n|---|---|---|")
    for name, of in TABLE.items():
        print(f"| {name} | {of(told, 1)} | {of(told, 2)} |")


Told = Mapping[str, Sequence[tuple[bool, bool, bool]]]


def _heard(labels: Collection[str]) -> Callable[[Told, int], str]:
    def cell(told: Told, column: int) -> str:
        wanted = [one for label in labels for one in told[label] if one[0]]
        return f"{sum(one[column] for one in wanted)} of {len(wanted)}"

    return cell


def _true(labels: Collection[str]) -> Callable[[Told, int], str]:
    def cell(told: Told, column: int) -> str:
        found = [one for label in labels for one in told[label] if one[column]]
        return f"{sum(one[0] for one in found)} of {len(found)}"

    return cell


def _right(label: str) -> Callable[[Told, int], str]:
    return lambda told, column: f"{sum(one[0] == one[column] for one in told[label])} of {len(told[label])}"


TABLE: dict[str, Callable[[Told, int], str]] = {
    "outages heard": _heard(["critical"]),
    "alarms true": _true(["critical"]),
    "general or account": _right("account"),
    "department": _right("financial"),
    "sensitive requests heard": _heard(SENSITIVE),
    "sensitive requests true": _true(SENSITIVE),
}


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=0, metavar="N")
    parser.add_argument("--strangers", action="store_true")
    parser.add_argument("--hear", type=Path, metavar="FILE")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if options.hear:
        try:
            hear(options.hear)
        except NotLabelled as error:
            parser.error(str(error))
    elif options.folds or options.strangers:
        strangers = people()
        folds(strangers, [row.batch if options.strangers else at % options.folds for at, row in enumerate(strangers)])
    else:
        text = written(learned_from([*known_rows(), *people()]), SMALLEST)
        Path(str(resources.files("gateway.read.topics").joinpath(FILE))).write_text(text, encoding="utf-8")
        print(f"{text.count(chr(10))} lines, {len(text.encode()) // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
