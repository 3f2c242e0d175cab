"""Department, question, sensitive requests and critical incidents from the weighted words of the topics files
(``topics/*.toml``).

Critical is decided by ``outages.py``; it never comes from urgency alone. Whoever tells of trouble, or asks why
something happened, asks about an account, also with a question mark; whoever reports abuse does not. Every matched term
is returned with its weight, and what the grammar found with its rule.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.model import ABUSE, COMES_AND_GOES, DESTRUCTIVE, RECOVERED, SENSITIVE, Department, Question, Topics
from gateway.read.facts.machines import machines
from gateway.read.tables import evened, is_plain
from gateway.read.topics.outages import FLAKY, PAST, TROUBLE, UNNAMED, corrected_text, incident
from gateway.read.topics.stem import INCIDENT, STATES
from gateway.read.topics.stems import Found, score, table

SUBJECT_WEIGHT = 2
MAX_TEXT = 32768
#: languages whose words nobody writes without accents: they have none, or other letters
NO_ACCENTS = ("en", "ru", "uk")
ABUSE_ENOUGH = 3.0
BILLED = 1.5  #: of financial words from which a general question is the financial department's
SOLD = 3.0  #: how many times their weight the words of a general question have that asks for more than how to pay
COMES_AND_GOES_RULE = "{degraded}"  #: of the grammar: what the author says comes and goes
#: of the grammar: the author says that it works again
RECOVERED_RULES = ("[{cameback}", "[{closeit}", "[{nevermind}", "[{again}]")
TROUBLED = 1.5  #: what trouble gives to a question of an account that is told of and is no outage
ASKED = 2.0  #: what a sensitive request gives to its department
MONEY, ACCESS = ("cancellation", "refund"), ("password", "access", "reinstall", "email_change", "ownership")


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
        named: the orders, addresses and service names in it, lower-case: an outage of one of them is an outage of a
            service.
        custom: the text of the admin's own topics file, if there is one.
        language: of the text, if it is known; the subject may be in any.
    """
    subject, text, terms = evened(subject), evened(text)[:MAX_TEXT], list[str]()
    named = tuple(dict.fromkeys((*named, *machines(f"{subject}\n{text}"))))
    accents = language not in NO_ACCENTS  # it may have lost them
    plain, plain_above = accents and is_plain(text), accents and is_plain(subject)
    above = score(subject, table(custom, plain=plain_above), named)
    below = score(text, table(custom, language, plain=plain), named)

    def of(topic: str) -> float:
        return _weight_of(topic, above, below, terms)

    signs, dropped = list[str](), list[str]()
    stems = table(custom, language, INCIDENT, plain)
    told_of = any(found.weight.get(topic) for found in (above, below) for topic in STATES)
    if told_of:
        signs, dropped = incident(subject, text, stems, table(custom, None, INCIDENT, plain_above), named)
    if not signs and all(why.endswith(UNNAMED) for why in dropped) and (typed := corrected_text(text, stems)):
        signs, dropped = incident(subject, typed, stems, table(custom, None, INCIDENT, plain_above), named)
    critical = bool(signs)
    financial, technical = of("financial"), of("technical")
    told, general, abuse = of("account"), of("general"), of("abuse")
    account = told + leaning
    if abuse:
        abuse += of("attack")
    if leaning:
        terms.append(f"account {leaning:g} more: a name like a service's, a secret or an error message")
    if any(why.endswith(TROUBLE) for why in dropped):
        account += TROUBLED
        terms.append(f"account {TROUBLED:g} more: trouble is told of")
    asked = {name for name in SENSITIVE if of(f"sensitive.{name}") >= 1.0}
    reported = abuse >= ABUSE_ENOUGH and abuse > told and not critical
    if reported:
        asked -= {"access", "password"}  # that others try to get in is reported, not asked for
    if asked >= {"cancellation", "reinstall"}:
        asked -= _erased(above, below)
    sensitive = tuple(name for name in SENSITIVE if name in asked)
    reported = reported and not sensitive
    terms += [f"critical: {', '.join(signs[:6])}"] if critical else []
    terms += [f"no outage: {', '.join(dict.fromkeys(dropped[:4]))}"] if dropped and not critical else []
    is_account = not reported and (
        names_a_fact
        or critical
        or bool(sensitive)
        or (account > 0 and account >= general)
        or (general == 0 and (financial >= 1.5 or (technical >= 1 and "?" not in text)))
    )
    if asked & set(ACCESS):
        technical += ASKED * len(asked & set(ACCESS))
    if asked & set(MONEY):
        financial += ASKED * len(asked & set(MONEY))
        if not asked & set(ACCESS) and all(
            why.endswith(PAST) for why in dropped
        ):  # the server that is named is not what is wrong
            financial = max(financial, technical + 1)
    if critical:
        technical += ASKED
        terms.append(f"an outage gives technical {ASKED:g}")
    if sensitive:
        terms.append(f"what is asked for ({', '.join(sensitive)}) gives its department {ASKED:g}")
    # whoever asks what something would cost asks sales, not the bookkeepers
    sold = technical > 0 and general > SOLD * financial
    billed = (
        not reported and financial > technical and (is_account or not general or (financial >= BILLED and not sold))
    )
    department = Department.FINANCIAL if billed else Department.TECHNICAL
    question = Question.ACCOUNT if is_account else Question.GENERAL
    comes_and_goes = any(why.endswith(FLAKY) for why in dropped) or any(COMES_AND_GOES_RULE in line for line in terms)
    recovered = any(rule in line for line in terms for rule in RECOVERED_RULES)
    flags = _flags(asked, reported, comes_and_goes and not critical, recovered and not critical)
    return Topics(department, question, critical, sensitive, tuple(terms), flags)


def _flags(asked: set[str], reported: bool, flaky: bool, recovered: bool) -> tuple[str, ...]:
    """What else staff should see at once."""
    destructive = bool(asked & {"cancellation", "reinstall"})
    told = {DESTRUCTIVE: destructive, ABUSE: reported, COMES_AND_GOES: flaky, RECOVERED: recovered}
    return tuple(name for name, is_so in told.items() if is_so)


def _erased(above: Found, below: Found) -> set[str]:
    """Which of ending a contract and installing anew is not asked for where a server is to be deleted: it depends on
    what comes after."""

    def only_deleted(kind: str) -> bool:
        words = [term for found in (above, below) for term in found.terms.get(f"sensitive.{kind}", ())]
        return all("{delete" in word for word in words)

    if above.weight.get("install") or below.weight.get("install"):
        return {"cancellation"} if only_deleted("cancellation") else set()
    return {"reinstall"}


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
