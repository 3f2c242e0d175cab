"""Learns ``gateway/read/topics/learned.tsv`` from the labelled texts; ``python -m bench.learn [--folds 5] [--hear FILE]``.

Without an argument it writes the file, the same each time. ``--folds`` writes nothing: each text of ``people.jsonl`` is judged by weights
that were learned without it, and the table says how right the rules alone are and how right both together. ``--hear`` adds new texts
to ``people.jsonl``, with what the rules say of them now: do it before a rule is changed for any of them, or the weights will
believe the rules more than they deserve.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from bench.first_sight import rows
from bench.learning import BIAS, Example, trained
from gateway.model import SENSITIVE
from gateway.read.topics.features import features
from gateway.read.topics.learned import FILE, LABELS, leanings, written
from gateway.read.topics.rules import heard
from gateway.read.topics.scoring import asked_of
from tests import labelled

PEOPLE = labelled.FOLDER / "people.jsonl"
SMALLEST = 0.08  #: a weight below it is left out
#: what an opinion of the rules weighs more than was learned, where texts are about other things than these
SURE = {"financial": {"=nothing but money": 1.5}}
#: what is added to a label's leaning: requests are rare and bad to miss, and more people ask in general than among these texts
LENIENT = {**dict.fromkeys(SENSITIVE, 0.15), "account": -0.2}


@dataclass(frozen=True)
class Row:
    """A labelled text; a label that is None is not known."""

    subject: str
    text: str
    labels: Mapping[str, bool | None]
    opinions: Mapping[str, float] = field(default_factory=dict)
    language: str = ""


def known_rows() -> Iterator[Row]:
    """Every labelled text that the rules were made with: their opinions on them say nothing."""
    for mail in labelled.mails():
        yield _row((mail.subject, mail.text), mail.critical, mail.sensitive, mail.question, mail.department)
    for name, critical in (("strangers", ""), ("everyday", "no")):
        for cells in rows(labelled.FOLDER / f"{name}.csv"):
            told, asked = cells.get("critical", critical).lower() == "yes", _kinds(cells.get("sensitive", ""))
            yield _row((cells["subject"], cells["text"]), told, asked, cells.get("question"), cells.get("department"))
    for _, department, question, critical, asked, subject, text in _lines("chats", 7):
        yield _row((subject, text), critical == "yes", _kinds(asked), question, department)
    for _, kind, text in _lines("sentences", 3):
        yield _row(("", text), kind == "critical", _kinds(kind))
    for _, told, text in _lines("kinds", 3):
        department, question, critical, asked = told.split()
        yield _row(("", text), _yes(critical), None if asked == "*" else _kinds(asked), question, department)
    for _, told, text in _lines("matters", 3):
        department, question = told.split()
        yield _row(("", text), False, (), question, department)
    for _, question, text in _lines("questions", 3):
        yield _row(("", text), False, (), question)


def _yes(cell: str) -> bool | None:
    return None if cell == "-" else cell == "yes"


def _kinds(cell: str) -> frozenset[str]:
    """The kinds of requests that a cell names."""
    asked = {kind.replace("-", "_") for kind in cell.replace(",", " ").lower().split()}
    return frozenset(kind for kind in SENSITIVE if kind in asked or kind.replace("_", "") in asked)


def _lines(name: str, columns: int) -> Iterator[list[str]]:
    for line in (labelled.FOLDER / f"{name}.psv").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.split("|", columns - 1)


def _row(
    words: tuple[str, str],
    critical: bool | None,
    sensitive: Collection[str] | None,
    question: str | None = None,
    department: str | None = None,
) -> Row:
    labels = {
        "critical": critical,
        "account": question == "account" if question in ("account", "general") else None,
        "financial": department == "financial" if department in ("financial", "technical") else None,
    }
    return Row(*words, labels | {kind: None if sensitive is None else kind in sensitive for kind in SENSITIVE})


def people() -> list[Row]:
    """The texts of strangers, with what the rules said of them at first sight."""
    found = [json.loads(line) for line in PEOPLE.read_text(encoding="utf-8").splitlines()]
    return [_stranger(one) for one in found]


def _stranger(one: Mapping[str, Any]) -> Row:
    words = one["subject"], one["text"]
    row = _row(words, one["critical"], one["sensitive"], one.get("question"), one.get("department"))
    return Row(row.subject, row.text, row.labels, one["opinions"], one["language"])


def learned_from(found: Sequence[Row], labels: Sequence[str] = LABELS) -> dict[str, dict[str, float]]:
    """The weights by label, as the file has them."""
    seen = [features(row.subject, row.text) for row in found]
    columns = {}
    for label in labels:
        examples = [
            Example(words, bool(row.labels[label]), row.opinions)
            for words, row in zip(seen, found, strict=True)
            if row.labels[label] is not None
        ]
        columns[label] = trained(examples)
        columns[label] = {name: round(weight, 2) for name, weight in columns[label].items() if abs(weight) >= SMALLEST}
        for name, more in SURE.get(label, {}).items():
            columns[label][name] = columns[label].get(name, 0.0) + more
        columns[label][BIAS] = round(columns[label].get(BIAS, 0.0) + LENIENT.get(label, 0.0), 2)
    return columns


def folds(count: int) -> None:
    """Prints how right people's texts are read by weights that did not see them."""
    strangers, known = people(), list(known_rows())
    told: dict[str, list[tuple[bool, bool, bool]]] = {label: [] for label in LABELS}
    for fold in range(count):
        held = strangers[fold::count]
        kept = [row for at, row in enumerate(strangers) if at % count != fold]
        columns = learned_from([*known, *kept])
        weights = by_feature(columns)
        for row in held:
            for label in LABELS:
                if (wanted := row.labels[label]) is not None:
                    told[label].append((wanted, row.opinions.get(f"={label}", 0) > 0, has(label, row, weights)))
    print(f"{len(strangers)} texts of people, {count} folds, with {len(known)} others")
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


def by_feature(columns: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    """The weights of each feature for every label."""
    names = {name for weights in columns.values() for name in weights}
    return {name: tuple(columns.get(label, {}).get(name, 0.0) for label in LABELS) for name in names}


def has(label: str, row: Row, weights: Mapping[str, tuple[float, ...]]) -> bool:
    """Whether the text has the label by these weights."""
    return leanings(features(row.subject, row.text), row.opinions, weights).towards(label) > 0


def hear(path: Path) -> None:
    """Adds the texts of a file (JSON lines or CSV) with what the rules say of them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()] if path.suffix == ".jsonl" else rows(path)
    with PEOPLE.open("a", encoding="utf-8") as file:
        for one in found:
            file.write(json.dumps(_told(one), ensure_ascii=False) + "\n")


def _told(one: Mapping[str, Any]) -> dict[str, Any]:
    asked = sorted(_kinds(" ".join(one["sensitive"]) if isinstance(one["sensitive"], list) else one["sensitive"]))
    critical = one["critical"] if isinstance(one["critical"], bool) else one["critical"].lower() == "yes"
    opinions = {name: round(value, 2) for name, value in heard(asked_of(one["subject"], one["text"])).opinions.items()}
    return {
        **{name: one[name] for name in ("id", "language", "subject", "text", "department", "question") if name in one},
        "critical": critical, "sensitive": asked, "opinions": opinions,
    }  # fmt: skip


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=0, metavar="N")
    parser.add_argument("--hear", type=Path, metavar="FILE")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if options.hear:
        hear(options.hear)
    elif options.folds:
        folds(options.folds)
    else:
        text = written(learned_from([*known_rows(), *people()]), SMALLEST)
        Path(str(resources.files("gateway.read.topics").joinpath(FILE))).write_text(text, encoding="utf-8")
        print(f"{text.count(chr(10))} lines, {len(text.encode()) // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
