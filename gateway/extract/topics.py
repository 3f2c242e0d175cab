"""Department, question, sensitive requests and critical incidents from weighted word stems in ``topics.toml``.

Stems are anchored at word starts. Critical needs an outage term and a service noun in one sentence and never comes from
urgency alone; a sentence that says it works again is not critical. Every matched term is returned.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from gateway.model import Department, Question, Topics

SUBJECT_WEIGHT = 2
_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n\s*\n")


@dataclass(frozen=True)
class _Stems:
    """One alternation of stems with their weights."""

    pattern: re.Pattern[str]
    weights: Mapping[str, float]

    def score(self, text: str) -> tuple[float, list[str]]:
        total, terms = 0.0, []
        for match in self.pattern.finditer(text):
            stem = match[1].lower()
            total += self.weights.get(stem, 1.0)
            if stem not in terms:
                terms.append(stem)
        return total, terms


def _stems(table: Mapping[str, float]) -> _Stems:
    ordered = sorted(table, key=len, reverse=True)
    pattern = "|".join(re.escape(stem) for stem in ordered) or "(?!)"
    return _Stems(re.compile(rf"(?<!\w)({pattern})", re.IGNORECASE), {stem.lower(): w for stem, w in table.items()})


@functools.cache
def _tables() -> dict[str, _Stems]:
    text = resources.files("gateway.extract").joinpath("topics.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    tables = {
        name: _stems(raw[name])
        for name in ("financial", "technical", "account", "general", "outage", "service", "resolved")
    }
    return tables | {f"sensitive.{name}": _stems(table) for name, table in raw["sensitive"].items()}


def topics_of(subject: str, text: str, names_a_fact: bool) -> Topics:
    """What a mail asks for. ``names_a_fact``: it names an order, invoice, address or service."""
    tables = _tables()
    text = text[:32768]
    terms: list[str] = []

    def score(name: str) -> float:
        in_subject, first = tables[name].score(subject)
        in_text, second = tables[name].score(text)
        found = list(dict.fromkeys([*first, *second]))
        if found:
            terms.append(f"{name}: {', '.join(found[:8])}")
        return in_subject * SUBJECT_WEIGHT + in_text

    financial, technical = score("financial"), score("technical")
    account, general = score("account"), score("general")
    sensitive = tuple(name.partition(".")[2] for name in tables if name.startswith("sensitive.") and score(name) >= 1.0)
    critical = _critical(subject, text, terms)
    is_account = (
        names_a_fact or critical or bool(sensitive) or account > general or (account > 0 and account >= general)
    )
    department = Department.FINANCIAL if financial > technical else Department.TECHNICAL
    question = Question.ACCOUNT if is_account else Question.GENERAL
    return Topics(department, question, critical, sensitive, tuple(terms))


def _critical(subject: str, text: str, terms: list[str]) -> bool:
    tables = _tables()
    for sentence in [subject, *_SENTENCE.split(text)[:400]]:
        outage = tables["outage"].score(sentence)
        if outage[0] < 1 or tables["resolved"].score(sentence)[0] > 0:
            continue
        noun = tables["service"].score(sentence)
        if noun[0] > 0:
            if tables["resolved"].score(text)[0] >= 2:
                return False
            terms.append(f"critical: {', '.join([*outage[1], *noun[1]][:6])}")
            return True
    return False
