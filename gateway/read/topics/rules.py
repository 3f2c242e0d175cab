"""What the rules find in a mail: weights of words by topic, the signs of an outage, what is asked for; and what they
make of it.

Critical is decided by ``outages.py``; it never comes from urgency alone. Whoever tells of trouble, or asks why
something happened, asks about an account, also with a question mark; whoever reports abuse does not. Every matched term
is kept with its weight, and what the grammar found with its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from gateway.model import SENSITIVE
from gateway.read.facts.machines import machines
from gateway.read.tables import evened, is_plain
from gateway.read.topics.outages import FLAKY, PAST, TROUBLE, UNNAMED, Incident, corrected_text, incident
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
FULLY = 3.0  #: how much heavier one side must be for the rules to be sure
MONEY, ACCESS = (
    frozenset(("cancellation", "refund")),
    frozenset(("password", "access", "reinstall", "email_change", "ownership")),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rules are asked about.

    Attributes:
        names_a_fact: it names an order, invoice, address or service.
        named: the orders, addresses and service names in it, lower-case: an outage of one of them is an outage of a
        service. leaning: what else speaks for an account, as a weight: a name that looks like a service's, a secret.
        custom: the text of the admin's own topics file, if there is one.
        language: of the text, if it is known; the subject may be in any.
        beside: other languages that paragraphs of the text are in.
    """

    subject: str
    text: str
    names_a_fact: bool
    named: Collection[str] = ()
    leaning: float = 0.0
    custom: str = ""
    language: str | None = None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What the rules found; ``opinions`` is what they say, from -1 to 1, by the name that ``learned.tsv`` gives it."""

    signs: Sequence[str]  #: of an outage
    dropped: Sequence[str]  #: what is no sign, each with why
    sensitive: tuple[str, ...]
    reported: bool  #: it reports abuse
    terms: tuple[str, ...]
    opinions: dict[str, float]
    around: str = ""  #: the sentence of the signs, with those beside it

    def weight(self, topic: str) -> float:
        """The weight of a topic's words."""
        begin = f"{topic} "
        told = next((line for line in self.terms if line.startswith(begin)), "")
        return float(told.removeprefix(begin).partition(":")[0]) if told else 0.0

    @property
    def comes_and_goes(self) -> bool:
        flaky = any(why.endswith(FLAKY) for why in self.dropped)
        return flaky or any(COMES_AND_GOES_RULE in line for line in self.terms)

    @property
    def recovered(self) -> bool:
        return any(rule in line for line in self.terms for rule in RECOVERED_RULES)


@dataclass(frozen=True, slots=True)
class _Weights:
    """The weights by topic of a mail, subject and text together."""

    financial: float
    technical: float
    account: float
    general: float


@dataclass(frozen=True, slots=True)
class Scored:
    """What the words of a mail weigh, subject and text by themselves, before anybody asks what they come to."""

    subject: str
    text: str
    named: tuple[str, ...]  #: with the machines that are called in it
    plain: bool  #: whether the text may have lost its accents
    plain_above: bool  #: whether the subject may
    above: Found
    below: Found

    def shown(self, topic: str) -> float:
        """The weight of a topic, as ``Heard.weight`` reads it from the terms."""
        return float(f"{_total(topic, self.above, self.below):g}")


def scored(asked: Asked) -> Scored:
    """The weight of each topic in a mail: much less than to hear what it tells."""
    subject, text = evened(asked.subject), evened(asked.text)[:MAX_TEXT]
    named = tuple(dict.fromkeys((*asked.named, *machines(f"{subject}\n{text}"))))
    accents = asked.language not in NO_ACCENTS  # it may have lost them
    plain, plain_above = accents and is_plain(text), accents and is_plain(subject)
    above = score(subject, table(asked.custom, plain=plain_above), named)
    below = score(text, table(asked.custom, asked.language, plain=plain, beside=asked.beside), named)
    return Scored(subject, text, named, plain, plain_above, above, below)


def heard(asked: Asked, found: Scored | None = None) -> Heard:
    """What the rules find in a mail: the weight of each topic, the signs of an outage, the entries that decided.

    ``found``: what ``scored`` said of it, where that is known.
    """
    found, terms = found or scored(asked), list[str]()
    above, below = found.above, found.below

    def of(topic: str) -> float:
        return _weight_of(topic, above, below, terms)

    told = _incident(asked, found)
    signs, dropped = told.signs, told.dropped
    weights = _Weights(of("financial"), of("technical"), of("account"), of("general"))
    reported, sensitive = _requests(of, bool(signs), weights.account, above, below)
    weights = _with_leaning(weights, asked.leaning, dropped, terms)
    terms += [f"critical: {', '.join(signs[:6])}"] if signs else []
    terms += [f"no outage: {', '.join(dict.fromkeys(dropped[:4]))}"] if dropped and not signs else []
    whose = asked.names_a_fact or bool(signs or sensitive) or _is_of_an_account(weights, "?" in found.text)
    opinions = _on_outages(signs, dropped, bool(sensitive), asked.names_a_fact)
    opinions |= {f"={kind}": 1.0 for kind in sensitive}
    opinions |= _on_matters(weights, whose and not reported, reported, sensitive, signs, dropped)
    result = Heard(signs, dropped, sensitive, reported, tuple(terms), opinions, told.around)
    if result.recovered:
        opinions["=recovered"] = 1.0
    return result


def _incident(asked: Asked, found: Scored) -> Incident:
    """What a mail tells of an outage, with the typing errors of a short one corrected where it tells of none so."""
    told = Incident()
    stems = table(asked.custom, asked.language, INCIDENT, found.plain, asked.beside)
    every = table(asked.custom, None, INCIDENT, found.plain_above)
    if any(part.weight.get(topic) for part in (found.above, found.below) for topic in STATES):
        told = incident(found.subject, found.text, stems, every, found.named)
    unnamed = not told.signs and all(why.endswith(UNNAMED) for why in told.dropped)
    if unnamed and (typed := corrected_text(found.text, stems)):
        told = incident(found.subject, typed, stems, every, found.named)
    return told


def _requests(
    of: Callable[[str], float], critical: bool, account: float, above: Found, below: Found
) -> tuple[bool, tuple[str, ...]]:
    """(whether abuse is reported, the sensitive requests)."""
    abuse = of("abuse")
    if abuse:
        abuse += of("attack")
    asked = {name for name in SENSITIVE if of(f"sensitive.{name}") >= 1.0}
    reported = abuse >= ABUSE_ENOUGH and abuse > account and not critical
    if reported:
        asked -= {"access", "password"}  # that others try to get in is reported, not asked for
    if asked >= {"cancellation", "reinstall"}:
        asked -= _erased(above, below)
    return reported and not asked, tuple(name for name in SENSITIVE if name in asked)


def _with_leaning(weights: _Weights, leaning: float, dropped: Sequence[str], terms: list[str]) -> _Weights:
    """The weights with what else speaks for an account."""
    account = weights.account + leaning
    if leaning:
        terms.append(f"account {leaning:g} more: a name like a service's, a secret or an error message")
    if any(why.endswith(TROUBLE) for why in dropped):
        account += TROUBLED
        terms.append(f"account {TROUBLED:g} more: trouble is told of")
    return replace(weights, account=account)


def _is_of_an_account(weights: _Weights, asks: bool) -> bool:
    """Whether the words speak of an account rather than of anything that everybody may ask."""
    if weights.account > 0 and weights.account >= weights.general:
        return True
    return weights.general == 0 and (weights.financial >= 1.5 or (weights.technical >= 1 and not asks))


def _on_outages(signs: Sequence[str], dropped: Sequence[str], asks: bool, named: bool) -> dict[str, float]:
    """What the rules say of an outage: whether they found one, and why what they found is none."""
    found = {"=critical": 1.0 if signs else -1.0}
    found |= {f"={why}": 1.0 for why in TROUBLE if any(line.endswith(why) for line in dropped)}
    if asks:
        found["=asked"] = 1.0
    if named:
        found["=named"] = 1.0
    return found


def _on_matters(
    weights: _Weights,
    whose: bool,
    reported: bool,
    sensitive: Sequence[str],
    signs: Sequence[str],
    dropped: Sequence[str],
) -> dict[str, float]:
    """What the rules say of whose matter it is, and of the department."""
    asked = frozenset(sensitive)
    technical = weights.technical + ASKED * (len(asked & ACCESS) + bool(signs))
    financial = weights.financial + ASKED * len(asked & MONEY)
    if asked & MONEY and not asked & ACCESS and all(why.endswith(PAST) for why in dropped):
        financial = max(financial, weights.technical + 1)  # the server that is named is not what is wrong
    # whoever asks what something would cost asks sales, not the bookkeepers
    sold = technical > 0 and weights.general > SOLD * financial
    billed = financial > technical and (whose or not weights.general or (financial >= BILLED and not sold))
    return {
        "=account": 1.0 if whose else -1.0,
        "=more account": _beside(weights.account, weights.general),
        "=financial": 1.0 if billed and not reported else -1.0,
        "=more financial": _beside(financial, technical),
        "=nothing but money": 1.0 if billed and not reported and not technical else 0.0,
    }


def _beside(more: float, less: float) -> float:
    """How much one weight is above another, from -1 to 1."""
    return max(-1.0, min(1.0, (more - less) / FULLY))


def _erased(above: Found, below: Found) -> set[str]:
    """Which of ending a contract and installing anew is not asked for where a server is to be deleted: it depends on
    what comes after."""

    def only_deleted(kind: str) -> bool:
        words = [term for found in (above, below) for term in found.terms.get(f"sensitive.{kind}", ())]
        return all("{delete" in word for word in words)

    if above.weight.get("install") or below.weight.get("install"):
        return {"cancellation"} if only_deleted("cancellation") else set()
    return {"reinstall"}


def _total(topic: str, above: Found, below: Found) -> float:
    return above.weight.get(topic, 0.0) * SUBJECT_WEIGHT + below.weight.get(topic, 0.0)


def _weight_of(topic: str, above: Found, below: Found, terms: list[str]) -> float:
    """The weight of a topic in subject and text; what gave it goes to ``terms``, the heaviest first."""
    total = _total(topic, above, below)
    if total:
        found = {term: weight * SUBJECT_WEIGHT for term, weight in above.terms.get(topic, {}).items()}
        for term, weight in below.terms.get(topic, {}).items():
            found[term] = found.get(term, 0.0) + weight
        heaviest = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:8]
        terms.append(f"{topic} {total:g}: {', '.join(f'{term} {weight:g}' for term, weight in heaviest)}")
    return total
