"""How the texts of people who never saw the rules are read: the rows of a file, and what of each is right."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gateway.model import Candidate, Reading
from gateway.read.reading import Hints, read
from tests.labelled import carried, carriers

AT = datetime(2026, 11, 27, 16, tzinfo=UTC)  #: a Friday, 17:00 in Berlin
SETS = ("hosts", "orders", "ips")
_SPLIT = re.compile(r"[\s,;]+")


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: (cell or "").strip() for name, cell in row.items() if name} for row in csv.DictReader(file)]


def kinds(cell: str) -> frozenset[str]:
    """The kinds of sensitive requests that a cell names."""
    return frozenset(plain for kind in _SPLIT.split(cell.lower()) if (plain := _plain(kind)))


def _plain(kind: str) -> str:
    """``email_change``, ``email-change`` and ``emailchange`` are one kind."""
    return kind.replace("-", "").replace("_", "")


def reading_of(row: Mapping[str, str], custom: str = "") -> Reading:
    """What a plain mail of that text says, received at ``AT``."""
    around = row["language"] if row["language"] in carriers() else "en"  # only what wraps the words is in a language
    raw = carried(around, "plain", row.get("subject", ""), row["text"])
    return read(raw, Hints("anna@example.de", AT, "Europe/Berlin", custom))


def _values(found: Iterable[Candidate], quoted: bool) -> set[str]:
    return {one.value for one in found if not one.weak and (quoted or not one.quoted)}


def judged(row: Mapping[str, str], reading: Reading) -> Iterator[tuple[str, bool, str]]:
    """(label, whether it is right, what was found instead) of all that the row tells."""
    told = reading.topics
    for label, found in (("department", told.department), ("question", told.question)):
        if row.get(label):
            yield label, str(found) == row[label].lower(), str(found)
    if row.get("critical"):
        critical = row["critical"].lower() == "yes"
        if critical:
            yield "critical recall", told.critical, "no outage"
        if told.critical:
            yield "critical precision", critical, "an outage"
    if "sensitive" in row:
        found = frozenset(map(_plain, told.sensitive))
        yield "sensitive", found == kinds(row["sensitive"]), " ".join(sorted(found)) or "-"
    if row.get("language"):
        yield "language", reading.language == row["language"], str(reading.language)
    for kind in SETS:
        if kind in row:
            wanted, found = set(_SPLIT.split(row[kind].lower())) - {""}, getattr(reading, kind)
            for value in wanted:
                yield f"{kind} recall", value in _values(found, quoted=True), f"{value} not found"
            for value in _values(found, quoted=False):
                yield f"{kind} precision", value in wanted, f"{value} is none"
