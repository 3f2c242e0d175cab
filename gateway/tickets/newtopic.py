"""Whether a mail in a thread is about something new: people write under an old mail because the address is there."""

from __future__ import annotations

import re

from gateway.mail import tokens

_PREFIXES = re.compile(
    r"^\s*(?:(?:re|aw|sv|vs|antw|odp|res|rif|r|ynt|fwd?|fw|wg|tr|rv|i|enc|отв|ответ|відп"
    r"|пересл)\s*(?:\[\d+\])?\s*[:：]\s*)+",
    re.I,
)
_FORWARDS = re.compile(
    r"^\s*(?:\[[^\]]{0,40}\]\s*)?(?:fwd?|fw|wg|tr|rv|i|enc|doorst|vb|pd|пересл|переслано)\s*(?:\[\d+\])?\s*[:：]", re.I
)
#: the field that begins the header of a mail that is passed on, in the languages of mail programs
_PASSED_ON = re.compile(
    r"^[\s>*_]{0,8}(?:from|von|de|da|от|від|expéditeur|absender|remitente|mittente|отправитель"
    r"|відправник)[*_]{0,2}\s?[*_]{0,2}:\s?\S",
    re.I | re.M,
)
_BRACKETS = re.compile(r"\[[^\]]{0,40}\]")


def _bare(subject: str) -> str:
    return " ".join(_PREFIXES.sub("", _BRACKETS.sub(" ", subject)).casefold().split())


def is_new(subject: str, before: str) -> bool:
    """Whether a subject names another topic than the one ``before``: neither is part of the other, and the ticket's
    reference is not in it."""
    if tokens.find(subject) is not None:
        return False
    mine, old = _bare(subject), _bare(before)
    return bool(mine and old) and mine not in old and old not in mine


def shares_nothing(subject: str, before: str) -> bool:
    """Whether a new topic (``is_new``) has no word in common with the subject ``before``, whatever their endings."""
    return is_new(subject, before) and not _stems(subject) & _stems(before)


def _stems(subject: str) -> set[str]:
    words = re.findall(r"\w+", _bare(subject))
    long = {word[:5] for word in words if len(word) > 3 or word.isdigit()}
    return long or set(words)


def is_forward(subject: str, text: str) -> bool:
    """Whether a mail passes another one on: its subject says so, it is not that of a ticket, and the text holds the
    other's header."""
    return (
        _FORWARDS.match(subject) is not None
        and tokens.find(subject) is None
        and _PASSED_ON.search(text[:100_000]) is not None
    )
