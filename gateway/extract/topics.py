"""Department, question, sensitive requests and critical incidents from weighted word stems in ``topics.toml``.

Stems are anchored at word starts. Critical needs an outage term and a service noun, or a name of one, in one sentence and never
comes from urgency alone; a sentence that says it works again, or only asks what if, is not critical. Every matched term is
returned with its weight.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from gateway.extract.pasted import prose
from gateway.extract.stems import SENSITIVE, Found, Table, lowered, score, table
from gateway.model import Department, Question, Topics

SUBJECT_WEIGHT = 2
MAX_TEXT = 32768
MAX_SENTENCES = 400
ABUSE_ENOUGH = 3.0
_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n\s{0,20}\n")


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
    above, below = score(subject, stems), score(text, stems)

    def of(topic: str) -> float:
        total = above.weight.get(topic, 0.0) * SUBJECT_WEIGHT + below.weight.get(topic, 0.0)
        if total:
            found = {term: weight * SUBJECT_WEIGHT for term, weight in above.terms.get(topic, {}).items()}
            for term, weight in below.terms.get(topic, {}).items():
                found[term] = found.get(term, 0.0) + weight
            shown = ", ".join(
                f"{term} {weight:g}" for term, weight in sorted(found.items(), key=lambda item: -item[1])[:8]
            )
            terms.append(f"{topic} {total:g}: {shown}")
        return total

    financial, technical = of("financial"), of("technical")
    account, general, abuse = of("account") + leaning, of("general"), of("abuse")
    if leaning:
        terms.append(f"account {leaning:g} more: a name like a service's, or a secret")
    sensitive = tuple(name for name in SENSITIVE if of(f"sensitive.{name}") >= 1.0)
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
    subject: str, text: str, above: Found, below: Found, stems: Table, named: Collection[str], terms: list[str]
) -> bool:
    if not (above.terms.get("outage") or below.terms.get("outage")):
        return False
    if below.weight.get("resolved", 0.0) >= 2 or above.weight.get("resolved", 0.0) >= 2:
        return False
    outages = {*above.terms.get("outage", ()), *below.terms.get("outage", ())}
    for sentence in [subject, *_SENTENCE.split(prose(text))[:MAX_SENTENCES]]:
        lower = lowered(sentence)
        if not any(term in lower for term in outages):
            continue
        found = score(sentence, stems)
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
