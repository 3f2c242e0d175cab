"""Whether a stranger's display name passes for ours."""

from __future__ import annotations

import unicodedata

from gateway.tickets.outgoing import Office

_SHORTEST = 4  #: letters of a name that nobody bears by accident
#: letters that look like Latin ones (Unicode TS 39, the commonest of Cyrillic and Greek), and digits in their place
_ALIKE = str.maketrans("аеорсхіувнкмтѕјοανερτι013", "aeopcxiybhkmtsjoavepti" + "oie")


def imitates(name: str, author: str | None, office: Office) -> bool:
    """Whether the name holds the one of our domain while its address is not of it."""
    ours = office.domain.lower()
    theirs = (author or "").lower().rpartition("@")[2]
    brand = _bare(ours.partition(".")[0])
    if theirs == ours or theirs.endswith(f".{ours}") or len(brand) < _SHORTEST:
        return False
    return brand in _bare(name)


def _bare(name: str) -> str:
    """The letters alone, each as the Latin one that it looks like."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold()).translate(_ALIKE)
    return "".join(letter for letter in folded if letter.isalnum())
