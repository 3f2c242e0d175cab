"""Department, question, sensitive requests and critical incidents: what the rules found (``rules.py``), and how the
mail leans by the words of thousands of labelled ones (``learned.py``).

Of a mail about other things, or in another language, than what was learned from the rules decide alone, as they do of
reports of abuse. What decided is told in ``terms``, rule by rule and word by word.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

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
from gateway.read.late import late
from gateway.read.topics import learned
from gateway.read.topics.beside import matters
from gateway.read.topics.features import features, features_of, spelt
from gateway.read.topics.learned import Leanings, Weights, leaning, leanings
from gateway.read.topics.lexicon import files_of
from gateway.read.topics.rules import MAX_TEXT, Asked, Heard, heard
from gateway.read.topics.senses import senses_of, spoken

CLEAR = 0.3  #: how far a part of a mail by itself must lean to an outage for the whole to tell of one
UNSIGNED = 0.6  #: the same of a paragraph in which the rules found no sign of one ...
SAYS_MUCH = 15  #: ... and how much of it must be known: in "at our website" every word weighs too much
SAYS_LITTLE = 4  #: known features with which the words alone, without a sign, tell of nothing
SURE = 0.15  #: how far the words must lean away from an outage that the rules have found for it to be none
FAMILIAR = 0.45  #: share of its features that must be known for a mail to be judged by them
SAYS_NOTHING = 8  #: of a department: "thank you very much"
HALF_KNOWN = 0.66  #: share below which, of so few known features, the rules have half a say in the department:
FEW = 20  #: other trades use our words otherwise
RULED = 1.2  #: what their opinion weighs there beside what was learned
FAR = -0.8  #: how far a mail leans from an outage whose parts are not asked by themselves
MAX_PARTS = 40  #: paragraphs
WHOLE = "the whole mail"
_PARTED = late(r"\n[ \t]{0,20}\n")
REPORTED = ("access", "password")  #: that others try to get in is reported, not asked for


def topics_of(asked: Asked) -> Topics:
    """What a mail asks for."""
    found, weights = heard(asked), weights_of(asked.custom)
    leans = _leanings(asked, asked.text, found, weights)
    parts = _parts(asked, found, leans)
    if leans.known < FAMILIAR and len(parts) > 1:
        leans = _familiar(asked, parts, found, weights)
    terms = found.terms
    if leans.known < FAMILIAR:
        terms = (*terms, f"learned nothing that counts: {leans.known:.0%} of its words and pairs are known")
        leans = leanings((), found.opinions, learned.RULES)
    sensitive = _requests(found, leans)
    outage = _outage(asked, found, leans, parts, weights)
    account = not found.reported and (bool(outage) or bool(sensitive) or leans.towards("account") > 0)
    several = matters(asked, found)
    financial = not found.reported and _billed(found, leans)
    financial = financial and not ((outage or found.signs) and len(several) > 1)  # the outage goes before the bill
    department = Department.FINANCIAL if financial else Department.TECHNICAL
    also = [other for other in several if other is not department] if len(several) > 1 else []
    terms = (*terms, *(f'also {other}: "{several[other][:80]}"' for other in also))
    requests = [kind for kind in SENSITIVE if kind in sensitive or kind in found.sensitive]
    told = map(leans.told, ("critical", "account", "financial", *requests))
    return Topics(
        department,
        Question.ACCOUNT if account else Question.GENERAL,
        bool(outage),
        sensitive,
        (*terms, *told, *([outage] if outage and outage != WHOLE else [])),
        (*_flags(found, bool(outage), sensitive), *(ALSO[other] for other in also)),
    )


def _billed(found: Heard, leans: Leanings) -> bool:
    """Whether it is the financial department's. A word or two say so to the rules alone ("thanks", "just a word")."""
    if leans.words <= SAYS_NOTHING:
        return found.opinions["=financial"] > 0
    ruled = RULED * found.opinions["=financial"] if leans.known < HALF_KNOWN and leans.words <= FEW else 0.0
    return leans.towards("financial") + ruled > 0


def _parts(asked: Asked, found: Heard, leans: Leanings) -> list[str]:
    """The parts of a mail that are worth a look of their own: the words around the signs of an outage, and its
    paragraphs where the whole is not far from one, or unknown."""
    text = asked.text[:MAX_TEXT]
    near = leans.known < FAMILIAR or leans.towards("critical") > FAR
    paragraphs = [part for part in _PARTED.split(text)[:MAX_PARTS] if part.strip()] if near else []
    return [*([found.around] if found.around else []), *(paragraphs if len(paragraphs) > 1 else [])]


def _leanings(asked: Asked, text: str, found: Heard, weights: Weights) -> Leanings:
    """How a mail leans of whose text this is what counts."""
    told = spelt(asked.subject, text)
    classes = senses_of(told, spoken((asked.language, *asked.beside)))
    return leanings(features_of(told), found.opinions, weights, classes)


def _familiar(asked: Asked, parts: Sequence[str], found: Heard, weights: Weights) -> Leanings:
    """How the parts of a mail lean that are of known words, where others are not."""
    known: list[str] = []
    for part in parts:
        own = features("", part)
        if sum(name in weights for name in own) >= FAMILIAR * len(own):
            known.append(part)
    return _leanings(asked, "\n".join(known), found, weights)


def _outage(asked: Asked, found: Heard, leans: Leanings, parts: Sequence[str], weights: Weights) -> str:
    """What tells of an outage, for an explanation: the whole mail, or a part of it by itself, whatever else it asks
    for; empty where nothing does."""
    said = bool(found.signs) or leans.words > SAYS_LITTLE
    if (said and leans.towards("critical") > (-SURE if found.signs else 0.0)) or (asked.custom and found.signs):
        return WHOLE
    for part in parts:
        signed = part == found.around
        words = features(asked.subject if signed else "", part)
        lean, known = leaning("critical", words, found.opinions, weights)
        says = known >= FAMILIAR * len(words) and (signed or known >= SAYS_MUCH)
        if says and lean > (CLEAR if signed else UNSIGNED):
            told = leanings(words, found.opinions, weights).told("critical")
            return told.replace("critical", "critical of a part by itself", 1)
    return ""


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
