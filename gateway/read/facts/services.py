"""Service names as the Client Area shows them: opaque eight-character names, or after a word that says so."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, alternation, around, lowered, numbers, words

MAX = 50
_OPAQUE = late(r"(?<![\w@/.-])(?=[A-Za-z]{0,7}\d)(?=\d{0,7}[A-Za-z])[A-Za-z0-9]{8}(?![\w@/-]|\.\w)")
_LABELS = words("services", "label")
_CALLED = late(
    rf"(?:{alternation(_LABELS)})[ \t]{{0,2}}[:=\"'„“«]{{1,3}}[ "
    r"\t]{0,2}([A-Za-z0-9][A-Za-z0-9.-]{1,62}[A-Za-z0-9])(?![\w@-])",
    re.IGNORECASE,
)
#: "service x9k2m4p7": a word that says so before an opaque name
_SAID = late(
    rf"(?<!\w)(?:{alternation(_LABELS)}|vps|vds|server|serveur|servidor|сервер\w{{0,3}})[ \t\xa0:=]{{1,3}}(?:name[ "
    r"\t])?[\"'„“«`]?[ \xa0]?\Z",
    re.IGNORECASE,
)
#: "VAT ID (IE 6388047V)"
_TAX = late(
    rf"(?<!\w)(?:{alternation(words('numbers', 'tax'))})(?:[ \t]{{1,2}}(?:is|ist|est|es|è|to|is:))?[^\w\n]{{1,4}}"
    r"(?:[a-z]{2}[ \t.-])?\Z",
    re.IGNORECASE,
)
_HOST = late(
    r"(?<![\w.@/-])[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62}){0,5}\.[A-Za-z]{2,24}(?![\w@]|\.\w)"
)
#: how the names of files end, which have a dot as hosts do
_FILES = (
    ".ini", ".conf", ".cfg", ".cnf", ".log", ".php", ".html", ".htm", ".js", ".css", ".txt", ".xml", ".yml", ".yaml",
    ".json", ".sql", ".gz", ".tar",
    ".tgz", ".pdf", ".jpg", ".jpeg", ".png", ".gif", ".exe", ".dll", ".bak", ".env", ".lock", ".pst", ".csv", ".xlsx",
    ".docx", ".toml", ".service",
)  # fmt: skip
_STATED = Beginnings((label[:4] for label in _LABELS), among=EVERY_MAIL)
_OPAQUE_AT = late(r"(?<![A-Za-z0-9])[A-Za-z0-9]{8}(?![A-Za-z0-9])")
_BLANK = late(r"\s")
_WORD_AND_VERSION = late(r"[a-z]{5,7}\d{1,3}")


def is_opaque(name: str) -> bool:
    """Whether it looks like the names that the Client Area gives: eight letters and digits, some of each."""
    return bool(_OPAQUE.fullmatch(name)) and sum(map(str.isdigit, name)) >= 1


def leaning(names: Iterable[str]) -> float:
    """How much these names speak for a service that the author has: an opaque one most, "debian12" or a host less."""
    return max(map(_leaning, names), default=0.0)


def _leaning(name: str) -> float:
    if is_opaque(name):
        return 1.0 if _WORD_AND_VERSION.fullmatch(name) else 4.0
    return 1.0 if name.count(".") >= 2 and not name.startswith("www.") else 0.0


def _token(text: str, place: int) -> tuple[str, int]:
    """(the word around a place, at most 300 characters of it, where it ends)."""
    before = text[max(0, place - 60) : place]
    start = place - (len(before) - 1 - max(before.rfind(blank) for blank in " \n\t\r"))
    after = _BLANK.search(text, place, place + 240)
    end = after.start() if after else min(len(text), place + 240)
    return text[start:end], end


def services_in(text: str) -> tuple[Candidate, ...]:
    """Candidates; the directory says which of them are services. A stated one has ``words`` beginning ``service:``."""
    found: dict[str, Candidate] = {}
    _stated(text, found)
    _opaque(text, found)
    _dotted(text, found)
    return tuple(found.values())


def _stated(text: str, found: dict[str, Candidate]) -> None:
    for at in _STATED.places(lowered(text), MAX * 4):
        match = _CALLED.match(text, at)
        if match and (at == 0 or text[at - 1] not in ".-"):
            value = match[1].lower()
            found.setdefault(value, Candidate(value, "service: " + match[0].strip()[:80]))


def _opaque(text: str, found: dict[str, Candidate]) -> None:
    """Names as the Client Area gives them."""
    last, done = len(text), 0
    for start, end in numbers(text):
        if start < done or not ((start and text[start - 1].isalpha()) or (end < last and text[end].isalpha())):
            continue
        opaque = _OPAQUE_AT.search(text, max(0, start - 8), end + 9)
        if opaque is None or not _OPAQUE.match(text, opaque.start()):
            continue
        done = opaque.end()
        value = opaque[0].lower()
        if value in found or _TAX.search(text, max(0, opaque.start() - 32), opaque.start()):
            continue
        said = _SAID.search(text, max(0, opaque.start() - 24), opaque.start())
        found.setdefault(value, Candidate(value, ("service: " if said else "") + around(text, *opaque.span())))
        if len(found) >= MAX * 4:
            return


def _dotted(text: str, found: dict[str, Candidate]) -> None:
    """Hosts, and what stands before their first dot."""
    dot = text.find(".")
    while dot >= 0 and len(found) < MAX * 8:
        end = dot + 1
        if text[dot - 1 : dot].isalnum() and text[end : end + 1].isalpha():
            token, end = _token(text, dot - 1)
            host = _HOST.search(token)
            if host is not None and not host[0].lower().endswith(_FILES):
                found.setdefault(host[0].lower(), Candidate(host[0].lower(), token[:80]))
                first = host[0].lower().partition(".")[0]
                if is_opaque(first):
                    found.setdefault(first, Candidate(first, token[:80]))
        dot = text.find(".", end)
