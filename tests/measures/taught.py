"""The labelled texts as what is learned from: known ones, those of people, and the weights that they teach."""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.model import SENSITIVE
from gateway.read.topics.features import features_of, spelt
from gateway.read.topics.learned import LABELS, Weights, leanings
from gateway.read.topics.learned import row as packed
from gateway.read.topics.senses import senses_of, spoken
from gateway.read.words.language import language_of, parts_of
from tests import labelled
from tests.measures.first_sight import rows
from tests.measures.learning import BIAS, Example, trained

PEOPLE = labelled.FOLDER / "people.jsonl"
SMALLEST = 0.08  #: a weight below it is left out
#: what is added to a label's leaning: requests are rare and bad to miss, and more people ask in general than among these texts
LENIENT = {**dict.fromkeys(SENSITIVE, 0.15), "account": -0.2, "critical": -0.3}
#: labels that are learned from senses too: what they are about is said in few words, which outages and requests are not
MEANT = ("account", "financial")
BESIDE = 0.8  #: of the texts that tell of no outage, how many are taught beside another once more; all that tell of one
ENDS = (". ", "\n\n", "\n")  #: between two matters of one mail
ABOVE = 0.3  #: of the mails of two matters, in how many the second comes first
SEED = 1
_BATCH = re.compile(r"w-..|[a-z]+(?:\d+[a-z]?(?=-))?")


@dataclass(frozen=True, eq=False)
class Row:
    """A labelled text; a label that is None is not known."""

    subject: str
    text: str
    labels: Mapping[str, bool | None]
    opinions: Mapping[str, float] = field(default_factory=dict)
    language: str = ""
    batch: str = ""  #: who wrote it, as its ``id`` begins


def known_rows() -> Iterator[Row]:
    """Every labelled text that the rules were made with: their opinions on them say nothing."""
    for mail in labelled.mails():
        yield _row((mail.subject, mail.text), mail.critical, mail.sensitive, mail.question, mail.department)
    for name, critical in (("strangers", ""), ("everyday", "no")):
        for cells in rows(labelled.FOLDER / f"{name}.csv"):
            told, asked = cells.get("critical", critical).lower() == "yes", kinds_asked(cells.get("sensitive", ""))
            yield _row((cells["subject"], cells["text"]), told, asked, cells.get("question"), cells.get("department"))
    for _, department, question, critical, asked, subject, text in _lines("chats", 7):
        yield _row((subject, text), critical == "yes", kinds_asked(asked), question, department)
    for _, kind, text in _lines("sentences", 3):
        yield _row(("", text), kind == "critical", kinds_asked(kind))
    for _, told, text in _lines("kinds", 3):
        department, question, critical, asked = told.split()
        yield _row(("", text), _yes(critical), None if asked == "*" else kinds_asked(asked), question, department)
    for _, told, text in _lines("matters", 3):
        department, question = told.split()
        yield _row(("", text), False, (), question, department)
    for _, question, text in _lines("questions", 3):
        yield _row(("", text), False, (), question)


def _yes(cell: str) -> bool | None:
    return None if cell == "-" else cell == "yes"


def kinds_asked(cell: str) -> frozenset[str]:
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
    batch = begin[0] if (begin := _BATCH.match(one.get("id", ""))) else ""
    return Row(row.subject, row.text, row.labels, one["opinions"], one["language"], batch)


def of_two_matters(found: Sequence[Row]) -> list[Row]:
    """Strangers' texts with one beside them that tells of no outage, in the same language: an outage stays one, whatever
    else a mail asks for. They teach that alone."""
    chance = random.Random(SEED)  # the same each time, no secret
    texts = [row for row in found if row.opinions and row.labels["critical"] is not None]
    others: dict[str, list[Row]] = {}
    for row in texts:
        if not row.labels["critical"] and row.labels["financial"] is not None:
            others.setdefault(row.language, []).append(row)
    return [
        _joined(row, chance.choice(others[row.language]), chance)
        for row in texts
        if row.language in others and (row.labels["critical"] or chance.random() < BESIDE)
    ]


def _joined(row: Row, other: Row, chance: random.Random) -> Row:
    """A mail of two matters."""
    first, second = (other, row) if chance.random() < ABOVE else (row, other)
    labels = {"critical": row.labels["critical"]}
    text = first.text + chance.choice(ENDS) + second.text
    return Row(row.subject, text, labels, _both(row.opinions, other.opinions), row.language)


def _both(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """What the rules say of both texts together: what they say of either; what is weighed is summed."""
    found = {}
    for name in {**one, **other}:
        values = [opinions[name] for opinions in (one, other) if name in opinions]
        found[name] = max(-1.0, min(1.0, sum(values))) if name.startswith("=more") else max(values)
    return found


def learned_from(found: Sequence[Row], labels: Sequence[str] = LABELS) -> dict[str, dict[str, float]]:
    """The weights by label, as the file has them."""
    taught = [*found, *(of_two_matters(found) if "critical" in labels else ())]
    seen = [read(one) for one in taught]
    columns = {}
    for label in labels:
        examples = [
            Example(words, bool(row.labels[label]), row.opinions, classes if label in MEANT else frozenset())
            for (words, classes), row in zip(seen, taught, strict=True)
            if row.labels.get(label) is not None
        ]
        columns[label] = trained(examples)
        columns[label] = {name: round(weight, 2) for name, weight in columns[label].items() if abs(weight) >= SMALLEST}
        columns[label][BIAS] = round(columns[label].get(BIAS, 0.0) + LENIENT.get(label, 0.0), 2)
    return columns


@functools.cache
def read(one: Row) -> tuple[frozenset[str], frozenset[str]]:
    """(features, senses) of a text."""
    told = spelt(one.subject, one.text)
    return features_of(told), senses_of(told, spoken(_languages(one.text)))


def _languages(text: str) -> Collection[str | None]:
    """Those of its paragraphs, without asking what was learned."""
    written = language_of(text)
    parts = parts_of(text, written)
    return parts if len(parts) > 1 else (written, *parts)


def by_feature(columns: Mapping[str, Mapping[str, float]]) -> Weights:
    """The weights of each feature for every label."""
    names = {name for weights in columns.values() for name in weights}
    return {name: packed([columns.get(label, {}).get(name, 0.0) for label in LABELS]) for name in names}


def has(label: str, one: Row, weights: Weights) -> bool:
    """Whether the text has the label by these weights."""
    words, classes = read(one)
    return leanings(words, one.opinions, weights, classes).towards(label) > 0
