"""Whether a mail in a thread is about something new: people write under an old mail because the address is there."""

from __future__ import annotations

import re

from gateway.mail import tokens

_PREFIXES = re.compile(
    r"^\s*(?:(?:re|aw|sv|vs|antw|odp|res|rif|r|ynt|fwd?|fw|wg|tr|rv|i|enc|отв|ответ|відп|пересл)\s*(?:\[\d+\])?\s*[:：]\s*)+",
    re.I,
)
_BRACKETS = re.compile(r"\[[^\]]{0,40}\]")


def _bare(subject: str) -> str:
    return " ".join(_PREFIXES.sub("", _BRACKETS.sub(" ", subject)).casefold().split())


def is_new(subject: str, before: str) -> bool:
    """Whether a subject names another topic than the one ``before``: neither is part of the other, and the ticket's reference
    is not in it."""
    if tokens.find(subject) is not None:
        return False
    mine, old = _bare(subject), _bare(before)
    return bool(mine and old) and mine not in old and old not in mine
