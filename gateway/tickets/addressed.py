"""Whom the first line of an answer speaks to: a colleague, or another ticket's customer, is asked about before it goes
out.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_HELLO = (
    "hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen|abend)|moin|liebe[rs]?"
    "|sehr geehrte[rs]?|bonjour|bonsoir|salut|cher|chère|hola|buenos días|buenas tardes|estimad[oa]|ciao|salve"
    "|buongiorno|buonasera|gentile|caro|cara|здравствуйте|добрый день|добрый вечер|привет|уважаем(?:ый|ая)"
    "|добрий день|доброго дня|вітаю|привіт|шановн(?:ий|а)"
)
_TITLE = r"(?:(?:mr|mrs|ms|dr|herr|frau|m|mme|monsieur|madame|señor[a]?|sr|sra|signor[ae]?|dott|пан|пані)\.?,? )?"
_GREETED = re.compile(rf"^\W*(?:{_HELLO})[ ,]+{_TITLE}(?P<who>[^\W\d_][\w'’-]+(?: [^\W\d_][\w'’-]+)?)\W*$", re.I)
_CALLED = re.compile(rf"^(?P<at>@)?(?:(?:{_HELLO}) )?@?(?P<who>[^\W\d_][\w.-]{{2,30}})(?P<on>\W*\s+\w+|,|:|\W*$)", re.I)
#: what a mailbox of many is called; nobody is
_ROLES = frozenset(
    "support billing sales info desk help helpdesk service team technical technik tech financial finance accounting "
    "abuse noc admin office kontakt contact mail post hello ops staff escalation duty oncall invoices invoice".split()
)


def _tokens(words: str) -> set[str]:
    return {word.casefold() for word in re.findall(r"[^\W\d_]{3,}", words)}


def stranger(words: str, customer: Iterable[str], others: Iterable[str]) -> str:
    """The name that an answer greets where it is none of the customer's and one of the ``others``', or ``""``.

    Args:
        words: the answer.
        customer: whatever names him: From, address, what he wrote.
        others: the names of people who have open tickets.
    """
    found = _GREETED.match(_first(words))
    if found is None or _tokens(found["who"]) & _tokens(" ".join(customer)):
        return ""
    elsewhere = any(_tokens(found["who"]) & _tokens(name) for name in others)
    return found["who"] if elsewhere else ""


def colleague(words: str, customer: Iterable[str], staff: Collection[str]) -> str:
    """The colleague to whom an answer is said ("joe can you take this?"), or ``""``. ``staff``: their addresses."""
    found = _CALLED.match(_first(words))
    if found is None or not _tokens(found["who"]) or _tokens(found["who"]) & _tokens(" ".join(customer)):
        return ""
    names = {name for address in staff for name in _tokens(address.partition("@")[0])} - _ROLES
    return found["who"] if found["who"].casefold() in names else ""


def called(words: str, staff: Iterable[str]) -> list[str]:
    """The addresses of those colleagues to whom a remark is said ("joe: please look")."""
    found = _CALLED.match(_first(words))
    who = found["who"].casefold() if found else ""
    return [one for one in staff if who in _tokens(one.partition("@")[0]) - _ROLES]


def _first(words: str) -> str:
    return next((line.strip()[:200] for line in words.split("\n") if line.strip()), "")
