"""Department, question, sensitive requests and critical incidents from weighted word stems in ``topics.toml``.

Stems are anchored at word starts. Critical needs an outage term and a service noun in one sentence and never comes from
urgency alone; a sentence that says it works again is not critical. Every matched term is returned.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

from gateway.model import Department, Question, Topics

SUBJECT_WEIGHT = 2
_PLAIN = ("financial", "technical", "account", "general", "outage", "service", "resolved")
_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n\s*\n")


@dataclass(frozen=True)
class _Table:
    """Every stem by its first three characters: (stem, topic, weight), longest first."""

    stems: Mapping[str, tuple[tuple[str, str, float], ...]]
    topics: tuple[str, ...]
    starts: re.Pattern[str]  #: a word start with one of those three characters


@dataclass(slots=True)
class _Found:
    """What a text scores: weight and terms by topic."""

    weight: dict[str, float]
    terms: dict[str, list[str]]


@functools.cache
def _table() -> _Table:
    text = resources.files("gateway.extract").joinpath("topics.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    topics: dict[str, Mapping[str, float]] = {name: raw[name] for name in _PLAIN}
    topics |= {f"sensitive.{name}": stems for name, stems in raw["sensitive"].items()}
    by_start: dict[str, list[tuple[str, str, float]]] = {}
    for topic, stems in topics.items():
        for stem, weight in stems.items():
            by_start.setdefault(stem.lower()[:3], []).append((stem.lower(), topic, float(weight)))
    ordered = {start: tuple(sorted(found, key=lambda item: -len(item[0]))) for start, found in by_start.items()}
    return _Table(ordered, tuple(topics), re.compile(rf"(?<!\w)(?:{_branches(ordered)})"))


def _branches(starts: Iterable[str]) -> str:
    """Three-character starts as an expression that branches once a character."""
    tree: dict[str, dict[str, set[str]]] = {}
    for start in starts:
        tree.setdefault(start[0], {}).setdefault(start[1], set()).add(start[2])
    return "|".join(
        re.escape(first)
        + "(?:"
        + "|".join(
            re.escape(second) + "[" + "".join(map(re.escape, sorted(thirds))) + "]"
            for second, thirds in sorted(below.items())
        )
        + ")"
        for first, below in sorted(tree.items())
    )


def _score(text: str) -> _Found:
    """One pass over the word starts; of a topic's stems the longest at a place counts."""
    table = _table()
    lower = text.lower()
    found = _Found({}, {})
    for start in table.starts.finditer(lower):
        position, candidates = start.start(), table.stems[start[0]]
        seen: set[str] = set()
        for stem, topic, weight in candidates:
            if topic not in seen and lower.startswith(stem, position):
                seen.add(topic)
                found.weight[topic] = found.weight.get(topic, 0.0) + weight
                terms = found.terms.setdefault(topic, [])
                if stem not in terms:
                    terms.append(stem)
    return found


def topics_of(subject: str, text: str, names_a_fact: bool) -> Topics:
    """What a mail asks for. ``names_a_fact``: it names an order, invoice, address or service."""
    text = text[:32768]
    terms: list[str] = []
    above, below = _score(subject), _score(text)

    def score(topic: str) -> float:
        found = list(dict.fromkeys([*above.terms.get(topic, ()), *below.terms.get(topic, ())]))
        if found:
            terms.append(f"{topic}: {', '.join(found[:8])}")
        return above.weight.get(topic, 0.0) * SUBJECT_WEIGHT + below.weight.get(topic, 0.0)

    financial, technical = score("financial"), score("technical")
    account, general = score("account"), score("general")
    sensitive = tuple(
        topic.partition(".")[2] for topic in _table().topics if topic.startswith("sensitive.") and score(topic) >= 1.0
    )
    critical = _critical(subject, text, above, below, terms)
    is_account = (
        names_a_fact or critical or bool(sensitive) or account > general or (account > 0 and account >= general)
    )
    department = Department.FINANCIAL if financial > technical else Department.TECHNICAL
    question = Question.ACCOUNT if is_account else Question.GENERAL
    return Topics(department, question, critical, sensitive, tuple(terms))


def _critical(subject: str, text: str, above: _Found, below: _Found, terms: list[str]) -> bool:
    if not (above.terms.get("outage") or below.terms.get("outage")):
        return False
    for sentence in [subject, *_SENTENCE.split(text)[:400]]:
        found = _score(sentence)
        if not found.terms.get("outage") or found.weight.get("resolved", 0.0) > 0 or not found.terms.get("service"):
            continue
        if below.weight.get("resolved", 0.0) >= 2:
            return False
        terms.append(f"critical: {', '.join([*found.terms['outage'], *found.terms['service']][:6])}")
        return True
    return False
