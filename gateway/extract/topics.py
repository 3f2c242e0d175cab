"""Department, question, sensitive requests and critical incidents from weighted word stems in ``topics.toml``.

Stems are anchored at word starts. Critical needs an outage term and a service noun, or a name of one, in one sentence and never
comes from urgency alone; a sentence that says it works again, or only asks what if, is not critical. Every matched term is
returned with its weight.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from gateway.extract.pasted import prose
from gateway.model import Department, Question, Topics

SUBJECT_WEIGHT = 2
MAX_TEXT = 32768
MAX_SENTENCES = 400
ABUSE_ENOUGH = 3.0
BESIDE = 70  #: characters around a stem in which the other one of a pair must stand
PREFIX = 4  #: characters by which stems are found that may go on
MAX_KNOWN = 20_000
LONGEST_KNOWN = 40
DENIED = 36  #: characters before a request in which a denial counts
PLAIN = ("financial", "technical", "account", "general", "abuse", "outage", "service", "resolved")
SENSITIVE = ("password", "access", "cancellation", "refund", "ownership", "reinstall", "email_change")
_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n\s{0,20}\n")
_WORD_START = re.compile(r"\w+|[^\w\s.,;:!?()'\"-]")
_SPACE = re.compile(r"\s{2,}|[\n\r\t]")
_QUOTES = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "´": "'", "\xa0": " "})


class TopicsError(ValueError):
    """A topics file that cannot be used. The text says where and why."""


@dataclass(frozen=True, slots=True)
class _Stem:
    text: str
    topic: str
    weight: float
    exact: bool
    beside: tuple[tuple[str, bool], ...] = ()  #: one of these (text, exact) must stand beside it in the sentence


@dataclass(frozen=True)
class Table:
    """Every stem by the word it begins with: the whole word where it must be one, or its first characters."""

    by_word: Mapping[str, Sequence[_Stem]]
    by_prefix: Mapping[str, Sequence[_Stem]]
    denials: tuple[tuple[str, bool], ...]
    #: what begins with a word, once asked; whether the word alone is the whole of it
    known: dict[str, tuple[tuple[_Stem, bool], ...]] = field(default_factory=dict)

    def beginning(self, word: str) -> tuple[tuple[_Stem, bool], ...]:
        """The stems that may begin with this word, the longest first."""
        found = self.known.get(word)
        if found is None:
            stems = list(self.by_word.get(word, ()))
            for size in range(1, PREFIX + 1):
                if size <= len(word):
                    stems += [stem for stem in self.by_prefix.get(word[:size], ()) if word.startswith(stem.text)]
            ordered = sorted(stems, key=lambda stem: -len(stem.text))
            found = tuple((stem, len(stem.text) <= len(word)) for stem in ordered)
            if len(self.known) < MAX_KNOWN and len(word) <= LONGEST_KNOWN:
                self.known[word] = found
        return found


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
    sensitive, denial = raw.pop("sensitive", {}), raw.pop("denial", {})
    topics |= {f"sensitive.{name}": sensitive.pop(name, {}) for name in SENSITIVE}
    for name in (*raw, *(f"sensitive.{name}" for name in sensitive)):
        raise TopicsError(
            f"{name}: no such topic; there are {', '.join((*PLAIN, *(f'sensitive.{s}' for s in SENSITIVE)))}"
        )
    stems = [stem for topic, languages in topics.items() for stem in _stems(topic, languages)]
    if not stems:
        raise TopicsError("no stems")
    by_word: dict[str, list[_Stem]] = {}
    by_prefix: dict[str, list[_Stem]] = {}
    for stem in stems:
        first = _WORD_START.match(stem.text)
        assert first is not None  # no stem is blank
        if stem.exact or first.end() < len(stem.text):
            by_word.setdefault(first[0], []).append(stem)
        else:
            by_prefix.setdefault(stem.text[:PREFIX], []).append(stem)
    denials = tuple((stem.text, stem.exact) for stem in _stems("denial", denial))
    return Table(by_word, by_prefix, denials)


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
                found += _expanded(word, topic, value, f"{topic}.{language}.{weight}")
    return found


def _expanded(word: Any, topic: str, weight: float, where: str) -> list[_Stem]:
    """The stems that an entry stands for: ``a|b & c|d`` is ``a`` or ``b`` with ``c`` or ``d`` beside it."""
    if not isinstance(word, str) or not word.strip():
        raise TopicsError(f"{where}: {word!r} is no stem")
    first, _, second = word.lower().partition(" & ")
    beside = tuple((part.removesuffix("="), part.endswith("=")) for part in second.split("|")) if second else ()
    stems = [_Stem(part.removesuffix("="), topic, weight, part.endswith("="), beside) for part in first.split("|")]
    if any(not stem.text.strip() or stem.text[0].isspace() for stem in stems) or any(
        not text.strip() for text, _ in beside
    ):
        raise TopicsError(f"{where}: {word!r} is no stem")
    return stems


def _stands(text: str, part: str, exact: bool) -> bool:
    """Whether a stem stands in the text at a word start."""
    at = text.find(part)
    while at >= 0:
        end = at + len(part)
        begins = at == 0 or not (text[at - 1].isalnum() or text[at - 1] == "_")
        if begins and not (exact and end < len(text) and (text[end].isalnum() or text[end] == "_")):
            return True
        at = text.find(part, at + 1)
    return False


def _denied(before: str, stems: Table) -> bool:
    """Whether the words just before a request say that it is none ("I do not want a refund")."""
    clause = before[-DENIED:].rpartition(",")[2]
    return any(_stands(clause, text, exact) for text, exact in stems.denials)


def _beside(lower: str, start: int, end: int) -> str:
    """The words around a place, within its sentence."""
    before, after = lower[max(0, start - BESIDE) : start], lower[end : end + BESIDE]
    cut = max(before.rfind(mark) for mark in (". ", "! ", "? ", "\n"))
    ends = [place for mark in (". ", "! ", "? ", "\n") if (place := after.find(mark)) >= 0]
    return before[cut + 1 :] + " \0 " + (after[: min(ends)] if ends else after)


def _lower(text: str) -> str:
    """The text in small letters with single blanks and plain apostrophes."""
    text = _SPACE.sub(" ", text)
    return text.replace("`", "'").lower() if text.isascii() else text.translate(_QUOTES).lower()


def _score(text: str, stems: Table) -> _Found:
    """One pass over the word starts; of a topic's stems the longest at a place counts."""
    lower = _lower(text)
    found = _Found({}, {})
    known, beginning = stems.known, stems.beginning
    for word in _WORD_START.finditer(lower):
        candidates = known.get(word[0])
        if candidates is None:
            candidates = beginning(word[0])
        if not candidates:
            continue
        position = word.start()
        seen: list[str] = []
        for stem, whole in candidates:
            if stem.topic in seen or not (whole or lower.startswith(stem.text, position)):
                continue
            end = position + len(stem.text)
            if stem.exact and not whole and end < len(lower) and (lower[end].isalnum() or lower[end] == "_"):
                continue
            if stem.beside or stem.topic.startswith("sensitive."):
                around = _beside(lower, position, end)
                if stem.beside and not any(_stands(around, part, exact) for part, exact in stem.beside):
                    continue
                if stem.topic.startswith("sensitive.") and _denied(around.partition("\0")[0], stems):
                    continue
            seen.append(stem.topic)
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
    if leaning:
        terms.append(f"account {leaning:g} more: a name like a service's, or a secret")
    sensitive = tuple(name for name in SENSITIVE if score(f"sensitive.{name}") >= 1.0)
    critical = _critical(subject, text, above, below, stems, named, terms)
    reported = abuse >= ABUSE_ENOUGH and not sensitive and not critical
    is_account = not reported and (
        names_a_fact
        or critical
        or bool(sensitive)
        or account > general
        or (account > 0 and account >= general)
        or (general == 0 and financial >= 1.5)
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
    outages = {*above.terms.get("outage", ()), *below.terms.get("outage", ())}
    for sentence in [subject, *_SENTENCE.split(prose(text))[:MAX_SENTENCES]]:
        lower = _lower(sentence)
        if not any(term in lower for term in outages):
            continue
        found = _score(sentence, stems)
        if not found.terms.get("outage") or found.weight.get("resolved", 0.0) > 0:
            continue
        what = [f"{term} {weight:g}" for term, weight in found.terms.get("service", {}).items()]
        what += [name for name in named if name in lower]
        if not what:
            continue
        outage = [f"{term} {weight:g}" for term, weight in found.terms["outage"].items()]
        terms.append(f"critical: {', '.join([*outage, *what][:6])}")
        return True
    return False
