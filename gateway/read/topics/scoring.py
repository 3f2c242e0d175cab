"""How the topic rules do on labelled texts: for ``gateway topics test FILE.csv``.

The file: UTF-8, comma, a header row with ``text`` and any of ``subject department question critical sensitive``; an
empty cell is not scored. ``critical`` is yes or no, ``sensitive`` a list of kinds separated by blanks (``-`` for none).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.model import SENSITIVE, Department, Question, Topics
from gateway.read.facts import ips, orders, services
from gateway.read.topics.lexicon import entries
from gateway.read.topics.rules import Asked
from gateway.read.topics.spoken import languages_of
from gateway.read.topics.topics import topics_of
from gateway.read.words.language import language_of

LABELS = ("department", "question", "critical", "sensitive")
_ALLOWED = {
    "department": frozenset(map(str, Department)),
    "question": frozenset(map(str, Question)),
    "critical": frozenset(("yes", "no")),
}


class ScoringError(ValueError):
    """A file that cannot be scored. The text says where and why."""


@dataclass
class Confusion:
    """What was wanted against what was found, with the texts that went wrong."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[tuple[int, str, str, str]] = field(default_factory=list)  #: line, wanted, found, what decided

    @property
    def right(self) -> int:
        return sum(count for (wanted, found), count in self.pairs.items() if wanted == found)

    @property
    def total(self) -> int:
        return sum(self.pairs.values())


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(lines)
    names = {(name or "").strip().lower().lstrip("\ufeff") for name in reader.fieldnames or ()}
    if "text" not in names:
        raise ScoringError("line 1: a column text is wanted")
    if not names & set(LABELS):
        raise ScoringError(f"line 1: one of the columns {', '.join(LABELS)} is wanted")
    for row in reader:
        cells = {
            (name or "").strip().lower().lstrip("\ufeff"): (value or "")
            for name, value in row.items()
            if isinstance(value, str)
        }
        yield reader.line_num, cells


def _wanted(line: int, label: str, cell: str) -> str:
    """The label in its one spelling; empty where it is not scored."""
    cell = " ".join(cell.lower().split())
    if not cell:
        return ""
    if label == "sensitive":
        kinds = set() if cell in ("-", "none", "no") else set(cell.replace(",", " ").split())
        if kinds - set(SENSITIVE):
            raise ScoringError(
                f"line {line}: {' '.join(sorted(kinds - set(SENSITIVE)))}: no kind of sensitive; there are "
                f"{', '.join(SENSITIVE)}"
            )
        return " ".join(sorted(kinds)) or "-"
    cell = {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(cell, cell) if label == "critical" else cell
    if cell not in _ALLOWED[label]:
        raise ScoringError(f"line {line}: {cell!r} is no {label}; there are {', '.join(sorted(_ALLOWED[label]))}")
    return cell


def _found(label: str, topics: Topics) -> str:
    if label == "critical":
        return "yes" if topics.critical else "no"
    if label == "sensitive":
        return " ".join(sorted(topics.sensitive)) or "-"
    return str(getattr(topics, label))


def asked_of(subject: str, text: str, custom: str = "") -> Asked:
    """What the rules are asked about a text by itself, as of a mail that says nothing else."""
    whole = f"{subject}\n{text}"
    called, ordered = services.services_in(whole), orders.orders_in(whole)
    addresses = [candidate for candidate in ips.ips_in(whole) if not candidate.weak]
    names = bool(ordered or orders.invoices_in(whole) or addresses)
    leaning = services.leaning(candidate.value for candidate in called)
    named = tuple(dict.fromkeys(c.value for c in (*ordered, *addresses, *called)))
    return Asked(subject, text, names, named, leaning, custom, *languages_of(text))


def read_topics(subject: str, text: str, custom: str = "") -> Topics:
    """The topics of a text by itself."""
    return topics_of(asked_of(subject, text, custom))


#: how the lines of ``Topics.terms`` begin that speak of a label
_SPEAKS = {
    "department": ("financial ", "technical ", "learned financial"),
    "question": ("account ", "general ", "abuse ", "attack ", "learned account"),
    "critical": ("critical:", "no outage:", "learned critical"),
    "sensitive": ("sensitive.", *(f"learned {kind}" for kind in SENSITIVE)),
}
#: the first term of such a line: its word, the rule that it stands in, its weight
_FIRST = re.compile(r"(?P<topic>[a-z._]+)[^:]{0,20}: (?P<word>[^\[\]]+?)(?: \[(?P<rule>[^\]]*)\])? -?[\d.]+(?:,|$)")


def decided(label: str, terms: Sequence[str], custom: str = "", language: str | None = None) -> str:
    """What decided on a label, and the entries of the topics files that it comes from, as ``topic.language.weight``."""
    lines = [line for line in terms if line.startswith(_SPEAKS[label])]
    where = sorted({place for line in lines for place in _places(line, custom, language)})
    said = "; ".join(lines) or "no entry"
    return f"{said}; see {', '.join(where)}" if where else said


def _places(line: str, custom: str, language: str | None) -> list[str]:
    """Where the heaviest term of a line is written."""
    first = _FIRST.match(line)
    if first is None:
        return []
    word, rule, topic = first["word"], first["rule"] or "", first["topic"]
    found = [
        entry
        for entry in entries(custom)
        if entry.rule == rule and any(written.rstrip("=") == word for written in entry.groups[0][1])
    ]
    found = [entry for entry in found if entry.topic == topic] or found
    found = [entry for entry in found if entry.language == language] or found
    return list(dict.fromkeys(entry.where for entry in found))[:3]


def scored(lines: Iterable[str], custom: str = "") -> dict[str, Confusion]:
    """The confusion of each label that the file has.

    Raises:
        ScoringError: the file cannot be read.
    """
    found: dict[str, Confusion] = {}
    for line, row in _rows(lines):
        topics = read_topics(row.get("subject", ""), row["text"], custom)
        for label in LABELS:
            wanted = _wanted(line, label, row.get(label, ""))
            if not wanted:
                continue
            have = _found(label, topics)
            confusion = found.setdefault(label, Confusion())
            confusion.pairs[wanted, have] += 1
            if wanted != have:
                confusion.wrong.append(
                    (line, wanted, have, decided(label, topics.terms, custom, language_of(row["text"])))
                )
    if not found:
        raise ScoringError("no row has a label")
    return found


def table(found: dict[str, Confusion]) -> Iterator[str]:
    """The confusion, a matrix a label, and every text that went wrong with the terms that decided."""
    for label, confusion in found.items():
        yield f"{label}: {confusion.right} of {confusion.total} right ({100 * confusion.right / confusion.total:.1f} %)"
        columns = sorted({have for _, have in confusion.pairs} | {wanted for wanted, _ in confusion.pairs})
        width = max(map(len, columns)) + 2
        yield "  " + "wanted \\ found".ljust(max(width, 16)) + "".join(column.rjust(width) for column in columns)
        for wanted in sorted({wanted for wanted, _ in confusion.pairs}):
            counts = (str(confusion.pairs[wanted, column]).rjust(width) for column in columns)
            yield "  " + wanted.ljust(max(width, 16)) + "".join(counts)
        for line, wanted, have, terms in confusion.wrong:
            yield f"  line {line}: wanted {wanted}, found {have} ({terms})"
