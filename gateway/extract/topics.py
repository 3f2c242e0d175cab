"""Department, question, sensitive requests and critical incidents from weighted word stems in ``topics.toml``.

Stems are anchored at word starts. Critical needs an outage term and a service noun, or a name of one, in one sentence and never
comes from urgency alone; a sentence that says it works again, or only asks what if, is not critical. Every matched term is
returned with its weight.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gateway.extract.pasted import prose
from gateway.extract.tables import alternation
from gateway.model import Department, Question, Topics

SUBJECT_WEIGHT = 2
MAX_TEXT = 32768
MAX_SENTENCES = 400
ABUSE_ENOUGH = 3.0
PLAIN = ("financial", "technical", "account", "general", "abuse", "outage", "service", "resolved")
SENSITIVE = ("password", "access", "cancellation", "refund", "ownership", "reinstall", "email_change")
_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n\s{0,20}\n")
_SPACE = re.compile(r"\s+")
_QUOTES = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "´": "'", "\xa0": " "})


class TopicsError(ValueError):
    """A topics file that cannot be used. The text says where and why."""


@dataclass(frozen=True, slots=True)
class _Stem:
    text: str
    topic: str
    weight: float
    exact: bool


@dataclass(frozen=True)
class Table:
    """Every stem by its first characters, the longest first; ``starts`` finds the places where one may begin."""

    stems: Mapping[str, tuple[_Stem, ...]]
    topics: tuple[str, ...]
    starts: re.Pattern[str]


@dataclass(slots=True)
class _Found:
    """What a text scores: weight and terms (with how much each gave) by topic."""

    weight: dict[str, float]
    terms: dict[str, dict[str, float]]


def built_in() -> str:
    """The text of the topics file that comes with the package."""
    return resources.files("gateway.extract").joinpath("topics.toml").read_text(encoding="utf-8")


@functools.lru_cache(maxsize=4)
def table(text: str = "") -> Table:
    """The table in this text of a topics file; without one, the file that comes with the package.

    Raises:
        TopicsError: no TOML, an unknown topic, a weight that is no number, a stem that is no text.
    """
    try:
        raw = tomllib.loads(text or built_in())
    except tomllib.TOMLDecodeError as error:
        raise TopicsError(f"no TOML: {error}") from error
    topics: dict[str, Any] = {name: raw.pop(name, {}) for name in PLAIN}
    sensitive = raw.pop("sensitive", {})
    topics |= {f"sensitive.{name}": sensitive.pop(name, {}) for name in SENSITIVE}
    for name in (*raw, *(f"sensitive.{name}" for name in sensitive)):
        raise TopicsError(
            f"{name}: no such topic; there are {', '.join((*PLAIN, *(f'sensitive.{s}' for s in SENSITIVE)))}"
        )
    stems = [stem for topic, languages in topics.items() for stem in _stems(topic, languages)]
    if not stems:
        raise TopicsError("no stems")
    by_start: dict[str, list[_Stem]] = {}
    for stem in stems:
        by_start.setdefault(stem.text[:3], []).append(stem)
    for start in by_start:
        by_start[start] += [stem for stem in stems if len(stem.text) < len(start) and start.startswith(stem.text)]
    ordered = {start: tuple(sorted(found, key=lambda stem: -len(stem.text))) for start, found in by_start.items()}
    return Table(ordered, tuple(topics), re.compile(rf"(?<!\w)(?:{alternation(ordered)})"))


def _stems(topic: str, languages: Any) -> list[_Stem]:
    found = []
    if not isinstance(languages, dict):
        raise TopicsError(f"{topic}: a table by language is wanted")
    for language, weights in languages.items():
        if not isinstance(weights, dict):
            raise TopicsError(f"{topic}.{language}: a table of weights is wanted")
        for weight, words in weights.items():
            try:
                value = float(weight)
            except ValueError:
                raise TopicsError(f"{topic}.{language}: {weight!r} is no weight") from None
            if not 0 < value <= 100 or not isinstance(words, list):
                raise TopicsError(f"{topic}.{language}.{weight}: a weight above 0 with a list of stems is wanted")
            for word in words:
                stem = word.removesuffix("=").lower() if isinstance(word, str) else ""
                if not stem.strip() or stem[0].isspace():
                    raise TopicsError(f"{topic}.{language}.{weight}: {word!r} is no stem")
                found.append(_Stem(stem, topic, value, word.endswith("=")))
    return found


def _score(text: str, stems: Table) -> _Found:
    """One pass over the word starts; of a topic's stems the longest at a place counts."""
    lower = _SPACE.sub(" ", text).translate(_QUOTES).lower()
    found = _Found({}, {})
    for start in stems.starts.finditer(lower):
        position, seen = start.start(), set()
        for stem in stems.stems[start[0]]:
            if stem.topic in seen or not lower.startswith(stem.text, position):
                continue
            end = position + len(stem.text)
            if stem.exact and end < len(lower) and (lower[end].isalnum() or lower[end] == "_"):
                continue
            seen.add(stem.topic)
            found.weight[stem.topic] = found.weight.get(stem.topic, 0.0) + stem.weight
            terms = found.terms.setdefault(stem.topic, {})
            terms[stem.text] = terms.get(stem.text, 0.0) + stem.weight
    return found


def topics_of(
    subject: str, text: str, names_a_fact: bool, named: Collection[str] = (), leaning: float = 0.0, custom: str = ""
) -> Topics:
    """What a mail asks for.

    Args:
        names_a_fact: it names an order, invoice, address or service.
        leaning: what else speaks for an account, as a weight: a name that looks like a service's, a secret.
        named: the addresses and service names in it, lower-case: an outage of one of them is an outage of a service.
        custom: the text of the admin's own topics file, if there is one.
    """
    stems, text = table(custom), text[:MAX_TEXT]
    terms: list[str] = []
    above, below = _score(subject, stems), _score(text, stems)

    def score(topic: str) -> float:
        total = above.weight.get(topic, 0.0) * SUBJECT_WEIGHT + below.weight.get(topic, 0.0)
        if total:
            found = {term: weight * SUBJECT_WEIGHT for term, weight in above.terms.get(topic, {}).items()}
            for term, weight in below.terms.get(topic, {}).items():
                found[term] = found.get(term, 0.0) + weight
            shown = ", ".join(f"{term} {weight:g}" for term, weight in list(found.items())[:8])
            terms.append(f"{topic} {total:g}: {shown}")
        return total

    financial, technical = score("financial"), score("technical")
    account, general, abuse = score("account") + leaning, score("general"), score("abuse")
    sensitive = tuple(name for name in SENSITIVE if score(f"sensitive.{name}") >= 1.0)
    critical = _critical(subject, text, above, below, stems, named, terms)
    reported = abuse >= ABUSE_ENOUGH and not sensitive and not critical
    is_account = not reported and (
        names_a_fact or critical or bool(sensitive) or account > general or (account > 0 and account >= general)
    )
    department = Department.FINANCIAL if financial > technical else Department.TECHNICAL
    question = Question.ACCOUNT if is_account else Question.GENERAL
    return Topics(department, question, critical, sensitive, tuple(terms))


def _critical(
    subject: str, text: str, above: _Found, below: _Found, stems: Table, named: Collection[str], terms: list[str]
) -> bool:
    if not (above.terms.get("outage") or below.terms.get("outage")):
        return False
    if below.weight.get("resolved", 0.0) >= 2 or above.weight.get("resolved", 0.0) >= 2:
        return False
    for sentence in [subject, *_SENTENCE.split(prose(text))[:MAX_SENTENCES]]:
        found = _score(sentence, stems)
        if not found.terms.get("outage") or found.weight.get("resolved", 0.0) > 0:
            continue
        lower = sentence.lower()
        what = [*found.terms.get("service", ()), *(name for name in named if name in lower)]
        if not what:
            continue
        terms.append(f"critical: {', '.join([*found.terms['outage'], *what][:6])}")
        return True
    return False
