"""Department, question, sensitive requests and critical incidents from weighted word stems in ``topics.toml``.

Stems are anchored at word starts. Critical needs an outage term and a service noun, or a name of one, in the sentence or the one
before it, or two outage terms in a sentence ("no ping, no console") and the service anywhere; it never comes from urgency alone. A
sentence that says it works again, or only asks what if, is not critical, nor is one outage term beside a part of a service ("the
database has crashed"). Every matched term is returned with its weight.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from gateway.extract.pasted import prose
from gateway.extract.stems import SENSITIVE, Found, Table, score, table
from gateway.extract.tables import flattened, is_plain
from gateway.model import Department, Question, Topics

SUBJECT_WEIGHT = 2
MAX_TEXT = 32768
#: languages whose words nobody writes without accents: they have none, or other letters
NO_ACCENTS = ("en", "ru", "uk")
MAX_SENTENCES = 400
ABUSE_ENOUGH = 3.0
INCIDENT = ("outage", "service", "part", "resolved")  #: the topics that make an incident critical
TOLD_TWICE = 2.0  #: weight of outage terms in a sentence from which the service may stand anywhere
BILLED = 1.5  #: of financial words from which a general question is the financial department's
SOLD = 3.0  #: how many times their weight the words of a general question have that asks for more than how to pay
ASKED = 2.0  #: what a sensitive request gives to its department
MONEY, ACCESS = ("cancellation", "refund"), ("password", "access", "reinstall", "email_change", "ownership")
_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n\s{0,20}\n")


def topics_of(
    subject: str,
    text: str,
    names_a_fact: bool,
    named: Collection[str] = (),
    leaning: float = 0.0,
    custom: str = "",
    language: str | None = None,
) -> Topics:
    """What a mail asks for.

    Args:
        names_a_fact: it names an order, invoice, address or service.
        leaning: what else speaks for an account, as a weight: a name that looks like a service's, a secret.
        named: the orders, addresses and service names in it, lower-case: an outage of one of them is an outage of a service.
        custom: the text of the admin's own topics file, if there is one.
        language: of the text, if it is known; the subject may be in any.
    """
    text, terms = text[:MAX_TEXT], list[str]()
    accents = language not in NO_ACCENTS  # it may have lost them
    plain, plain_above = accents and is_plain(text), accents and is_plain(subject)
    above = score(subject, table(custom, plain=plain_above), named)
    below = score(text, table(custom, language, plain=plain), named)

    def of(topic: str) -> float:
        return _weight_of(topic, above, below, terms)

    financial, technical = of("financial"), of("technical")
    told, general, abuse = of("account"), of("general"), of("abuse")
    account = told + leaning
    if abuse:
        abuse += of("attack")
    if leaning:
        terms.append(f"account {leaning:g} more: a name like a service's, a secret or an error message")
    sensitive = tuple(name for name in SENSITIVE if of(f"sensitive.{name}") >= 1.0)
    stems, every = table(custom, language, INCIDENT, plain), table(custom, None, INCIDENT, plain_above)
    critical = _critical(subject, text, above, below, stems, every, named, terms)
    reported = abuse >= ABUSE_ENOUGH and abuse > told and not sensitive and not critical
    is_account = not reported and (
        names_a_fact
        or critical
        or bool(sensitive)
        or (account > 0 and account >= general)
        or (general == 0 and (financial >= 1.5 or (technical >= 1 and "?" not in text)))
    )
    for kind in sensitive:
        if kind in MONEY:
            financial += ASKED
        elif kind in ACCESS:
            technical += ASKED
    if critical:
        technical += ASKED
        terms.append(f"an outage gives technical {ASKED:g}")
    if sensitive:
        terms.append(f"what is asked for ({', '.join(sensitive)}) gives its department {ASKED:g}")
    # whoever asks what something would cost asks sales, not the bookkeepers
    sold = technical > 0 and general > SOLD * financial
    billed = financial > technical and (is_account or not general or (financial >= BILLED and not sold))
    department = Department.FINANCIAL if billed else Department.TECHNICAL
    question = Question.ACCOUNT if is_account else Question.GENERAL
    return Topics(department, question, critical, sensitive, tuple(terms))


def _weight_of(topic: str, above: Found, below: Found, terms: list[str]) -> float:
    """The weight of a topic in subject and text; what gave it goes to ``terms``, the heaviest first."""
    total = above.weight.get(topic, 0.0) * SUBJECT_WEIGHT + below.weight.get(topic, 0.0)
    if total:
        found = {term: weight * SUBJECT_WEIGHT for term, weight in above.terms.get(topic, {}).items()}
        for term, weight in below.terms.get(topic, {}).items():
            found[term] = found.get(term, 0.0) + weight
        heaviest = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:8]
        terms.append(f"{topic} {total:g}: {', '.join(f'{term} {weight:g}' for term, weight in heaviest)}")
    return total


def _critical(
    subject: str, text: str, above: Found, below: Found, stems: Table, every: Table, named: Collection[str],
    terms: list[str],
) -> bool:  # fmt: skip
    """Whether an outage is told; ``every`` are the stems of every language, for the subject."""
    if not (above.terms.get("outage") or below.terms.get("outage")):
        return False
    if below.weight.get("resolved", 0.0) >= 2 or above.weight.get("resolved", 0.0) >= 2:
        return False
    outages = {*above.terms.get("outage", ()), *below.terms.get("outage", ())}
    anywhere = _services(above, flattened(subject), named) + _services(below, flattened(text), named)
    before = ""
    for sentence in [subject, *_SENTENCE.split(prose(text))[:MAX_SENTENCES]]:
        lower = flattened(sentence)
        if any(term in lower for term in outages):
            found = score(sentence, every if sentence is subject else stems, named)
            outage = found.terms.get("outage", {})
            enough = not found.terms.get("part") or sum(outage.values()) >= TOLD_TWICE
            if outage and enough and not found.weight.get("resolved", 0.0):
                what = _services(found, lower, named) or _services(score(before, stems, named), before, named)
                if not what and sum(outage.values()) >= TOLD_TWICE:
                    what = anywhere
                if what:
                    told = [f"{term} {weight:g}" for term, weight in outage.items()]
                    terms.append(f"critical: {', '.join([*told, *what][:6])}")
                    return True
        before = lower
    return False


def _services(found: Found, text: str, named: Collection[str]) -> list[str]:
    """The service nouns and names in a text, for an explanation."""
    nouns = [f"{term} {weight:g}" for term, weight in found.terms.get("service", {}).items()]
    return nouns + [name for name in named if name in text]
