"""Passwords, private keys, tokens, card numbers and the security code: masked in all that leaves the original."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.read.late import late
from gateway.read.secrets import credentials, disguised
from gateway.read.secrets.detector import NOT_VALUE
from gateway.read.tables import EVERY_MAIL, MAX_NUMBERS, Beginnings, alternation, lowered, numbers, words

MASK = "[masked]"
_KINDS = r"(?:[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?|OpenVPN (?:Static|tls-crypt-v2 client) key(?: V1)?)"
_DASHES = "-–—‐"
_KEY = late(rf"(?<=[{_DASHES} ])BEGIN {_KINDS}[ ]?(?:[{_DASHES}][ ]?){{1,8}}")
_KEY_END = late(rf"END {_KINDS}[ ]?(?:[{_DASHES}][ ]?){{1,8}}")
_KEY_LINE = late(r"[ \t>|]{0,8}(?:[A-Za-z0-9+/=]{0,100}|[\w-]{1,30}:[^\n]{0,100})\r?(?:\n|\Z)")
MAX_KEY = 20_000  #: characters
_LABELS = words("secrets", "label")
_VALUE = r"(?P<value>\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|«[^»\n]{1,200}»|„[^“\n]{1,200}“|[^\s\"'<>«„]{3,200})"
#: "for root", "of the server": whose it is
_WHOSE = (
    r"(?:[ \t]{1,2}(?:for|of|to|für|von|zum|zur|pour|du|de|para|del|per|di|для|от|до|к|do|od|voor|van|k|ke|için)(?:[ "
    r"\t]{1,2}[^\s:=]{1,24}){1,2}"
    r"|[ \t]{0,2}[(\[][^)\]\n]{1,40}[)\]]|[ \t]{1,2}(?:root|admin|ssh|ftp|mysql|vnc|ipmi|kvm|wp|rdp|sudo))?"
)
#: "password: x", "Passwort = x", and the value on the next line
_COLON = late(
    r"(?<![\w-])(?P<label>(?:root|admin|ssh|ftp|mysql|user|sudo|login|mein|mon|mi|il mio|our|my)?[ "
    rf"\t/-]?(?:{alternation(_LABELS)}){_WHOSE}(?:[ \t]{{1,2}}(?:{alternation(words('secrets', 'is'))}))?[ "
    rf"\t\xa0]{{0,3}}(?:[:=：]|->|→|–>)[ \t\xa0]{{0,3}}(?:\r?\n[ \t]{{0,4}})?){_VALUE}",
    re.IGNORECASE,
)
#: "my password is x": the value must look like one
_VERB = late(
    rf"(?<![\w-])(?P<label>(?:(?:root|admin|ssh|ftp|mysql)-)?(?:{alternation(_LABELS)}){_WHOSE}[ "
    rf"\t]{{1,2}}(?:{alternation(words('secrets', 'is'))}|-|–|—)[ \t:]{{1,3}}){_VALUE}",
    re.IGNORECASE,
)
#: "user / password" on one line: "root / hunter2", "login root password hunter2"
_PAIR = late(
    rf"(?<![\w-])(?P<label>(?:{alternation(_LABELS)})[ "
    r"\t]{1,2})(?P<value>(?=[^\s]{0,40}\d)(?=[^\s]{0,40}[^\W\d_])[^\s\"'<>]{6,64})(?!\S)",
    re.IGNORECASE,
)
#: "root / S3cr3t!x"
_LOGIN = late(
    r"(?<![\w/-])(?P<label>(?:root|admin|administrator|ubuntu|debian)[ \t]{1,2}[/|][ "
    r"\t]{1,2})(?P<value>[^\s\"'<>]{6,64})(?!\S)",
    re.IGNORECASE,
)
_URL = late(r"(?P<label>\b[a-z][a-z0-9+.-]{1,15}://[^\s:@/]{0,64}:)(?P<value>[^\s@/]{1,100})(?=@)", re.IGNORECASE)
_BETWEEN = " \xa0\u2007\u2009\u202f\u2010\u2011\u2012\u2013-"  #: what stands between the digits of a card
_CARD = late(rf"(?<![\d.+-])(\d(?:[{_BETWEEN}]{{0,2}}\d){{12,18}})(?!\d|[.-]\d)")
_CARD_IN_FOURS = late(r"(?<![\d.,/])(\d{4}([./_,*])\d{4}\2\d{4}\2\d{4})(?![./_,*]?\d)")
_LOOKS_SECRET = late(r"\d|\w[!?;:]\w|[^\w\s.,;:!?'’\"()-]|[a-z][A-Z]")

_ADDRESS = late(r"\d{1,3}(?:\.\d{1,3}){3}")
_SEPARATORS = frozenset(_BETWEEN + "./_,*")

#: quick checks before the expensive expressions
_LABEL_AT = late(rf"(?:{alternation(_LABELS)})(?!\w)", re.IGNORECASE)
MAX_LABELLED = 2000
BEFORE_LABEL, AFTER_LABEL = 64, 2000  #: characters of a line that matter: "my ssh password for the server is: ..."
#: what must stand between a label and its value: a colon, a verb, or a value that has a digit
_SAYS = late(rf"[:=：→\d—–]|->| - |[ \t](?:{alternation(words('secrets', 'is'))})[ \t:]", re.IGNORECASE)
_URL_AT = late(r"://[^\s:@/]{0,64}:[^\s@/]{1,100}@")
#: how labels begin
_BEGINNINGS = Beginnings((word.partition(" ")[0][:5] for word in _LABELS), among=EVERY_MAIL)


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _luhn(digits: str) -> bool:
    doubled = map(_DOUBLED.__getitem__, map(int, digits[-2::-2]))
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


class _Masking:
    """Counts what it replaces."""

    def __init__(self) -> None:
        self.count = 0

    def card(self, match: re.Match[str]) -> str:
        digits = "".join(filter(str.isdigit, match[1]))
        if len(digits) == 15 and "imei" in match.string[max(0, match.start() - 12) : match.start()].lower():
            return match[0]  # a telephone's number has 15 digits and the same check digit
        if not 13 <= len(digits) <= 19 or not _luhn(digits) or len(set(digits)) == 1:
            return match[0]
        self.count += 1
        return MASK

    def value(self, match: re.Match[str]) -> str:
        if MASK in match["value"] or NOT_VALUE.match(match["value"]):
            return match[0]
        self.count += 1
        return match["label"] + MASK

    def likely(self, match: re.Match[str]) -> str:
        """What follows a verb is a secret when it looks like one; the full stop is the sentence's."""
        value = match["value"]
        if _ADDRESS.fullmatch(value.rstrip(".,;:!?)")):
            return match[0]  # "the password of root on 203.0.113.7": where it is of
        if value[0] not in "\"'«„" and not _LOOKS_SECRET.search(value.rstrip(".,;:!?)")):
            return match[0]
        return self.value(match) + ("." if value.endswith(".") else "")


def _without_keys(text: str, masking: _Masking) -> str:
    """Masks private keys: to their end, or as far as lines are those of a key where the end is missing."""
    pieces, done = [], 0
    for begin in _KEY.finditer(text):
        if begin.start() < done:
            continue
        place = text.find("END ", begin.end(), begin.end() + MAX_KEY)
        ended = _KEY_END.match(text, place) if place >= 0 else None
        end = ended.end() if ended else begin.end()
        if not ended:
            line = text.find("\n", end, end + 4) + 1
            while line and line < begin.end() + MAX_KEY:
                found = _KEY_LINE.match(text, line)
                if not found or found.end() == line:
                    break
                end = line + len(found[0].rstrip()) if found[0].strip() else end
                line = found.end()
        pieces += [text[done : begin.start()].rstrip(f"{_DASHES} "), MASK]
        masking.count, done = masking.count + 1, end
    return "".join([*pieces, text[done:]])


def _places(text: str) -> list[int]:
    return _BEGINNINGS.places(lowered(text), MAX_LABELLED)


def _labelled(text: str, places: Sequence[int]) -> list[tuple[int, int]]:
    """(begin, end) of the lines that have a label at one of these places, each with the line below it, joined where
    they overlap."""
    found: list[tuple[int, int]] = []
    silent = 0  #: up to where nothing says what the labels before are
    for at in places:
        if not _LABEL_AT.match(text, at):
            continue
        low, high = max(0, at - BEFORE_LABEL), at + AFTER_LABEL
        begin, below = text.rfind("\n", low, at) + 1 or low, text.find("\n", at, high)
        end = text.find("\n", below + 1, below + AFTER_LABEL) if below >= 0 else -1
        end = min(len(text), max(at, below) + AFTER_LABEL) if end < 0 else end
        high = min(end, at + 400)
        if not _SAYS.search(text, max(at, silent - 24), high):
            silent = max(silent, high)
            continue
        if found and begin < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _by_label(text: str, masking: _Masking) -> str:
    """Masks what stands after a label, looking only at the lines that have one and the line below."""
    pieces, done = [], 0
    for begin, end in _labelled(text, _places(text)):
        piece = _COLON.sub(masking.value, text[begin:end])
        pieces += [text[done:begin], _PAIR.sub(masking.likely, _VERB.sub(masking.likely, piece))]
        done = end
    return "".join([*pieces, text[done:]])


def _has_login(lower: str) -> bool:
    divided = ("/" in lower and " / " in lower) or ("|" in lower and " | " in lower)
    return divided and any(name in lower for name in ("root", "admin", "ubuntu", "debian"))


def suspected(text: str) -> bool:
    """Cheap: whether ``mask`` could find a secret in this text, or in some of its lines."""
    text = disguised.undisguised(text)
    lower, places = lowered(text), _places(text)
    return (
        ("BEGIN " in text and _KEY.search(text) is not None)
        or _has_login(lower)
        or _URL_AT.search(text) is not None
        or _many_digits(text)
        or bool(_labelled(text, places))
        or credentials.suspected(text, lower)
    )


def _many_digits(text: str) -> bool:
    """Whether thirteen digits stand together, a blank or a hyphen between them at most."""
    runs = numbers(text)
    if len(runs) >= MAX_NUMBERS:
        return True
    together, last = 0, -1
    for start, end in runs:
        together = end - start + (together if last >= 0 and start - last <= 2 and text[last] in _SEPARATORS else 0)
        if together >= 13:
            return True
        last = end
    return False


def mask(text: str) -> tuple[str, int]:
    """(text with every secret replaced, how many)."""
    written, masking = text, _Masking()
    text = disguised.undisguised(text)
    if "BEGIN " in text:
        text = _without_keys(text, masking)
    text, found = credentials.masked(text, lowered(text), MASK)
    masking.count += found
    text = _by_label(text, masking)
    lower = lowered(text)
    if _has_login(lower):
        text = _LOGIN.sub(masking.likely, text)
    if _URL_AT.search(text):
        text = _URL.sub(masking.value, text)
    if _many_digits(text):
        text = _CARD_IN_FOURS.sub(masking.card, _CARD.sub(masking.card, text))
    return (text, masking.count) if masking.count else (written, 0)
