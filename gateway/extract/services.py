"""Service names as the Client Area shows them: opaque eight-character names, or after a word that says so."""

from __future__ import annotations

import re

from gateway.model import Candidate

MAX = 50
_OPAQUE = re.compile(r"(?<![\w.@/-])[A-Za-z0-9]{8}(?![\w@/-]|\.\w)")
_CALLED = re.compile(
    r"(?<!\w)(?:service name|service|servicename|dienst(?:name)?|nom du service|servicio|servizio|имя услуги|услуга|сервис|"
    r"послуга)\s{0,2}[:=\"'„“«]{1,3}\s{0,2}([A-Za-z0-9][A-Za-z0-9.-]{1,62}[A-Za-z0-9])",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"(?<![\w.@/-])[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62}){0,5}\.[A-Za-z]{2,24}(?![\w@]|\.\w)"
)
_STATED = re.compile(r"service|dienst|servicio|servizio|услуг|сервис|послуг", re.IGNORECASE)


def services_in(text: str) -> tuple[Candidate, ...]:
    """Candidates; the directory says which of them are services. A stated one has ``words`` beginning ``service:``."""
    found: dict[str, Candidate] = {}
    for match in _CALLED.finditer(text) if _STATED.search(text) else ():
        value = match[1].lower()
        found.setdefault(value, Candidate(value, "service: " + match[0].strip()[:80]))
    for pattern in (_OPAQUE, _HOST) if "." in text else (_OPAQUE,):
        for match in pattern.finditer(text):
            value = match[0].lower()
            if "." not in value and (value.isdigit() or value.isalpha()):
                continue
            around = " ".join(text[max(0, match.start() - 30) : match.end() + 20].split())
            found.setdefault(value, Candidate(value, around))
            if len(found) >= MAX * 4:
                break
    return tuple(found.values())
