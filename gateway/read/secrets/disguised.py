"""Labels of secrets that are written so that no filter sees them, or that a camera misread: letters of another alphabet
("pаssword" with a Cyrillic "а"), digits for letters ("passw0rd"), letters apart ("p a s s w o r d"), invisible
characters between.

They are put back as they are read, so that what stands behind them is found as behind any other label; the rest of the
text stays.
"""

from __future__ import annotations

import re

from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, lowered

#: what each letter is written as instead; https://www.unicode.org/Public/security/latest/confusables.txt names them
_LIKE = {
    "a": "аαɑ@4", "b": "ьв", "c": "сϲ", "d": "ԁ", "e": "еε3", "h": "һн", "i": "іι1!", "k": "кκ", "l": "1ⅼ", "m": "м",
    "n": "пη", "o": "оοσ0", "p": "рρ",
    "r": "г", "s": "ѕ$5", "t": "тτ", "w": "ωшԝ", "y": "уγ", "z": "2", "ñ": "n", "ł": "l", "ş": "s",
    "п": "nπ", "а": "aα@", "р": "pρ", "о": "oο0", "ь": "b", "л": "λ",
}  # fmt: skip
_LABELS = (
    "passphrase", "password", "passwort", "passcode", "passwd", "pass", "pwd", "kennwort", "senha", "contraseña",
    "parola", "wachtwoord", "hasło", "heslo", "şifre",
    "пароль",
)  # fmt: skip
_BETWEEN = "[ \\t.·_*\u00ad\u200b-\u200d\u2060\ufeff-]?"
_COLONS = str.maketrans(dict.fromkeys("﹕꞉∶︰ː", ":"))
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_ODD = _INVISIBLE | frozenset("﹕꞉∶︰ː") | frozenset(map(chr, range(0xFF21, 0xFF5B)))
_MIXED = late("[a-z@$][\u0370-\u04ff]|[\u0370-\u04ff][a-z@$0]", re.IGNORECASE)
#: how such labels begin that are written with nothing but ASCII
_SIGNS = Beginnings(
    (
        *(sign for between in " .-*" for sign in (f"p{between}a{between}s{between}s",
        f"k{between}e{between}n{between}n", f"п{between}а{between}р{between}о")),
        "p@ss", "p4ss", "pa$$", "pas$", "pa$", "p@$", "pa55", "pas5", "pa5s", "p455", "passw0", "passvv", "passw ",
        "pass w", "pass-w", "passw.", "kennw0", "kennvv", "kenn w", "senh@", "c0ntra",
    ),
    among=EVERY_MAIL,
)  # fmt: skip


def _letter(char: str) -> str:
    wide = chr(ord(char) + 0xFEE0) if "a" <= char <= "z" else ""
    one = f"[{re.escape(char + _LIKE.get(char, '') + wide)}]"
    return f"(?:{one}|vv)" if char == "w" else one


_DISGUISED = late(
    r"(?<![^\W_])(?:" + "|".join(f"({_BETWEEN.join(map(_letter, label))})" for label in _LABELS) + r")(?![^\W_])",
    re.IGNORECASE,
)


def _as_read(match: re.Match[str]) -> str:
    label = _LABELS[(match.lastindex or 1) - 1]
    return match[0] if match[0].lower() == label else label


def _is_odd(text: str, lower: str) -> bool:
    if _SIGNS.places(lower, 1):
        return True
    if text.isascii():
        return False
    return not _ODD.isdisjoint(text) or _MIXED.search(text) is not None


def undisguised(text: str) -> str:
    """The text with its labels as they are read."""
    if not _is_odd(text, lowered(text)):
        return text
    return _DISGUISED.sub(_as_read, text.translate(_COLONS))
