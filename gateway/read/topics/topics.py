"""Department, question, sensitive requests and critical incidents: what the rules found (``rules.py``), and how the
mail leans by the words of thousands of labelled ones (``learned.py``).

Of a mail about other things, or in another language, than what was learned from the rules decide alone, as they do of
reports of abuse. What decided is told in ``terms``, rule by rule and word by word.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.model import (
    ABUSE,
    ALSO,
    COMES_AND_GOES,
    DESTRUCTIVE,
    RECOVERED,
    SENSITIVE,
    Department,
    Question,
    Topics,
)
from gateway.read.topics import learned
from gateway.read.topics.beside import matters
from gateway.read.topics.features import features
from gateway.read.topics.learned import Leanings, Weights, leanings
from gateway.read.topics.lexicon import files_of
from gateway.read.topics.rules import Asked, Heard, heard

SURE = 0.15  #: how far the words must lean away from an outage that the rules have found for it to be none
FAMILIAR = 0.45  #: share of its features that must be known for a mail to be judged by them
REPORTED = ("access", "password")  #: that others try to get in is reported, not asked for


def topics_of(
    subject: str,
    text: str,
    names_a_fact: bool,
    named: Collection[str] = (),
    leaning: float = 0.0,
    custom: str = "",
    language: str | None = None,
) -> Topics:
    """What a mail asks for; the arguments are those of ``rules.Asked``."""
    asked_of = Asked(subject, text, names_a_fact, named, leaning, custom, language)
    found = heard(asked_of)
    leans = leanings(features(subject, text), found.opinions, weights_of(custom))
    terms = found.terms
    if leans.known < FAMILIAR:
        terms = (*terms, f"learned nothing that counts: {leans.known:.0%} of its words and pairs are known")
        leans = leanings((), found.opinions, learned.RULES)
    sensitive = _requests(found, leans)
    critical = leans.towards("critical") > (-SURE if found.signs else 0.0) or (bool(custom) and bool(found.signs))
    account = not found.reported and (critical or bool(sensitive) or leans.towards("account") > 0)
    financial = not found.reported and leans.towards("financial") > 0
    asked = [kind for kind in SENSITIVE if kind in sensitive or kind in found.sensitive]
    several = matters(asked_of, found)
    financial = financial and not (critical and len(several) > 1)  # of an outage and a bill the outage goes first
    department = Department.FINANCIAL if financial else Department.TECHNICAL
    also = [other for other in several if other is not department] if len(several) > 1 else []
    terms = (*terms, *(f'also {other}: "{several[other][:80]}"' for other in also))
    return Topics(
        department,
        Question.ACCOUNT if account else Question.GENERAL,
        critical,
        sensitive,
        (*terms, *map(leans.told, ("critical", "account", "financial", *asked))),
        (*_flags(found, critical, sensitive), *(ALSO[other] for other in also)),
    )


def _requests(found: Heard, leans: Leanings) -> tuple[str, ...]:
    """What only an owner may ask for; who reports abuse asks for no access."""
    barred = REPORTED if found.reported else ()
    return tuple(kind for kind in SENSITIVE if leans.towards(kind) > 0 and kind not in barred)


def weights_of(custom: str) -> Weights:
    """The learned weights that an admin's own files leave in place: those of their own, the rules alone beside a file
    that stands in for all, or else the built-in ones."""
    parts = files_of(custom)
    if learned.FILE in parts:
        return {**learned.RULES, **learned.parsed(parts[learned.FILE])}
    return learned.RULES if "" in parts else learned.built_in()


def _flags(found: Heard, critical: bool, sensitive: Collection[str]) -> tuple[str, ...]:
    """What else staff should see at once."""
    destructive = not {"cancellation", "reinstall"}.isdisjoint(sensitive)
    told = {
        DESTRUCTIVE: destructive,
        ABUSE: found.reported,
        COMES_AND_GOES: found.comes_and_goes and not critical,
        RECOVERED: found.recovered and not critical,
    }
    return tuple(name for name, is_so in told.items() if is_so)
