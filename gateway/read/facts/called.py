"""Machines that people call by a name of their own: the node "atlas", a server named Bessie, «сервер Гермес».

A word is such a name where a noun for a machine stands before it and quotation marks or "named" say so; the nouns of
each language are ``[machines]``. What is quoted for what it says ("the server 'crashes'"), common words and programs
are none.
"""

from __future__ import annotations

import functools
import re

from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, alternation, around, languages, lowered, mapping, words

MAX = 8
MAX_PLACES = 200
REACH = 120  #: characters behind a noun in which its name ends
_NOUNS = words("machines", "noun")
_SIGNS = Beginnings((noun.rstrip("*") for noun in _NOUNS), among=EVERY_MAIL)
_NAME = r"[^\W\d_](?:[\w-]{1,30}[^\W_])"
_CALLED = late(
    rf"(?:{alternation(_NOUNS)})(?:[ \t\xa0:,]{{1,3}}[\"'„“”«‘’‹`*]{{1,2}}[ \xa0]?(?P<quoted>{_NAME})[ "
    r"\xa0]?[\"'“”»‘’›`*]{1,2}"
    rf"|[ \t\xa0,]{{1,3}}(?:{alternation(words('machines', 'called'))})[ \t\xa0:]{{1,3}}[\"'„“«‘`]?[ "
    rf"\xa0]?(?P<named>{_NAME}))(?![\w@-]|\.\w)",
    re.IGNORECASE,
)
#: "'kartal' adlı sunucu"
_CALLED_BEFORE = late(
    rf"(?<![\w.@-])(?P<named>{_NAME})[\"'”’]?[ \t]{{1,2}}(?:{alternation(words('machines', 'called_before'))})[ "
    r"\t]{1,2}\Z",
    re.IGNORECASE,
)
_BEFORE_SIGNS = Beginnings(words("machines", "called_before"), among=EVERY_MAIL)
_STATE = late(
    "|".join(alternation([stem.rstrip("=*")]) for stem in dict.fromkeys(words("times", "trouble")) if " " not in stem)
)
_PROGRAMS = frozenset(
    "nginx apache apache2 httpd mysql mariadb postgres postgresql redis postfix dovecot exim php docker plesk cpanel "
    "windows linux ubuntu debian centos "
    "frankfurt amsterdam nuremberg minecraft teamspeak proxmox localhost unknown default root admin server online "
    "running active dedicated managed virtual shared cloud vps".split()
)


@functools.cache
def _common() -> frozenset[str]:
    """The commonest words of every language, and places, where a server stands rather than what it is called."""
    common = (word for table in languages().values() for word in table.get("language", {}).get("common", ()))
    return frozenset((*common, *mapping("times", "places")))


def _is_name(name: str) -> bool:
    lower = name.lower()
    return not (len(lower) < 3 or lower in _PROGRAMS or lower in _common() or _STATE.match(lower))


def called_in(text: str) -> tuple[Candidate, ...]:
    """The names in small letters, in order of appearance."""
    found: dict[str, Candidate] = {}
    lower = lowered(text)
    before = bool(_BEFORE_SIGNS.places(lower, 1))
    for place in _SIGNS.places(lower, MAX_PLACES):
        match = _CALLED.match(text, place, place + REACH)
        if match is None and before:
            match = _CALLED_BEFORE.search(text, max(0, place - 48), place)
        if match is None or len(found) >= MAX:
            continue
        group = str(match.lastgroup)
        if _is_name(match[group]):
            value = match[group].lower()
            found.setdefault(value, Candidate(value, around(text, *match.span(group))))
    return tuple(found.values())
