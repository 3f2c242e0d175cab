"""Customer numbers: a number is one only where a word says so."""

from __future__ import annotations

import re

from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, alternation, around, lowered, words

MAX = 20
_LABELS = words("numbers", "customer")
#: what every label has: the beginning of its word for customer or account
_SIGNS = Beginnings(
    "cust client clien cliente kund kd konto vertragskonto compte cuenta account аккаунт акаунт лицев особов клиент "
    "клієнт utente "
    "klient konta klant zákaz zakaz müşteri musteri kunde kundn".split(),
    among=EVERY_MAIL,
)
BEFORE, BEHIND = 24, 90  #: characters around a sign in which its label and the number are
_CUSTOMER = late(
    rf"(?<!\w)(?:{alternation(_LABELS)})(?!\w)[ \t\xa0]{{0,2}}(?:is|ist|lautet|est|es|è|это|є|jest)?[ "
    r"\t\xa0]{0,2}[:=.(–-]{0,2}[ \t\xa0]{0,2}"
    r"(?:№|n°|nº|#|no\.?|nr\.?)?[ \t\xa0]{0,2}(?P<value>(?:[a-z]{1,4}-?)?\d{2,12})(?!\w|[.,]\d|-\d)",
    re.IGNORECASE,
)


def customers_in(text: str) -> tuple[Candidate, ...]:
    """Customer numbers as written, in order of appearance."""
    found: dict[str, Candidate] = {}
    done = 0
    for place in _SIGNS.places(lowered(text), MAX * 4):
        match = _CUSTOMER.search(text, max(done, place - BEFORE), place + BEHIND)
        if match is not None and len(found) < MAX:
            done = match.end()
            found.setdefault(match["value"], Candidate(match["value"], around(text, *match.span("value"))))
    return tuple(found.values())
