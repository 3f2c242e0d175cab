"""Passwords, private keys, tokens, card numbers and the security code: masked in all that leaves the original."""

from __future__ import annotations

import re

MASK = "[masked]"
_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:(?!-----END)[\s\S]){0,20000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
)
_LABEL = re.compile(
    r"(?i)(?<![\w-])((?:root[- ]?)?(?:password|passwort|passwd|pwd|kennwort|pass|mot de passe|contraseña|parola|пароль|"
    r"security[- ]?code|sicherheitscode|code de sécurité|código de seguridad|codice di sicurezza|код безопасности|код безпеки|"
    r"api[-_ ]?key|api[-_ ]?token|access[-_ ]?token|secret[-_ ]?key|pin)"
    r"(?:\s{1,2}(?:is|ist|lautet|est|es|è|for root|für root))?\s{0,2}[:=]\s{0,2}|"
    r"(?<![\w-])(?:password|passwort|kennwort|security code|sicherheitscode|пароль)\s{1,2}(?:is|ist|lautet)\s{1,2})"
    r"([^\s\"'<>]{3,200}|\"[^\"\n]{1,200}\"|'[^'\n]{1,200}')"
)
_CARD = re.compile(r"(?<![\d.-])(\d(?:[ -]?\d){12,18})(?!\d|[.-]\d)")
_TOKEN = re.compile(r"(?<!\w)((?:ghp|gho|ghs|github_pat|sk|pk|xox[abp]|glpat|AKIA)[-_]?[A-Za-z0-9_-]{16,200})(?!\w)")


#: cheap signs without which the dear expressions cannot match
_LABEL_WORDS = (
    "pass",
    "pwd",
    "kennwort",
    "contraseña",
    "parola",
    "парол",
    "code",
    "código",
    "codice",
    "код",
    "key",
    "token",
    "pin",
)
_TOKEN_WORDS = ("ghp", "gho", "ghs", "github_pat", "sk", "pk", "xox", "glpat", "akia")
_LONG_DIGITS = re.compile(r"\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d")


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mask(text: str) -> tuple[str, int]:
    """(text with every secret replaced, how many)."""
    count = 0

    def card(match: re.Match[str]) -> str:
        nonlocal count
        digits = re.sub(r"\D", "", match[1])
        if not 13 <= len(digits) <= 19 or not _luhn(digits) or len(set(digits)) == 1:
            return match[0]
        count += 1
        return MASK

    lower = text.lower()
    keys = labels = tokens = 0
    if "private key-----" in lower:
        text, keys = _KEY.subn(MASK, text)
    if any(word in lower for word in _LABEL_WORDS):
        text, labels = _LABEL.subn(lambda match: match[1] + MASK, text)
    if any(word in lower for word in _TOKEN_WORDS):
        text, tokens = _TOKEN.subn(MASK, text)
    if _LONG_DIGITS.search(text):
        text = _CARD.sub(card, text)
    return text, count + keys + labels + tokens
