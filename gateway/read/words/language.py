"""The language of the author's words: py3langid over prose lines, steadied by the commonest words of each language.

Undecided rather than wrong: a script or words of another language, or too few words, give none.
"""

from __future__ import annotations

import functools
import re
from operator import itemgetter

from gateway.read.late import late
from gateway.read.tables import languages, unaccented
from gateway.read.words.model import KNOWN, model
from gateway.read.words.pasted import is_pasted

CERTAIN = 0.70
ENOUGH = 500  #: characters of prose that decide
ONE_IN = 150  #: letters of Cyrillic prose, a letter that Russian and Ukrainian lack says that it is neither
PLAIN = 5.0  #: common words of one language that decide by themselves
_WORD = late(r"[^\W\d_]+(?:['’ʼ][^\W\d_]+)?")
_ASCII_WORD = late(r"[A-Za-z]+(?:'[A-Za-z]+)?")
#: what a word that is a name has in it; all that it can begin with comes first, which is searched for fast
_NAME = late(r"[@/\\_.=\dh](?:(?<=[@/\\_.=])\S|(?<=\d)|(?<=h)ttps?:)")
#: how a bounce, a notice or a report begins that somebody pasted below his own words
_PASTED_MAIL = late(
    r"(?:This is the mail system at|This message was created automatically|This is an automatically generated|The "
    r"following message|"
    r"Delivery (?:has failed|to the following|Status Notification)|Undelivered Mail|Undeliverable|Mail delivery failed|"
    r"A message that you sent|Your message (?:could not|was not|did not|to )|Message (?:blocked|not delivered)|Address "
    r"not found|"
    r"The (?:mail|email|e-mail) (?:system|server)|I'm sorry to have to inform|Hi\. This is the|----- The following|"
    r"Reporting-MTA:|Final-Recipient:|Diagnostic-Code:|Remote-MTA:|Received: from|Return-Path:|"
    r"Diese Nachricht wurde automatisch|Ihre Nachricht (?:konnte|wurde)|Votre message n'a|Su mensaje no|El mensaje no|"
    r"Сообщение не (?:было )?доставлено|Не удалось доставить)",
    re.IGNORECASE,
)
#: small and capital letters that none of them begins with, and many lines of people do
_NEVER_FIRST = frozenset("bcgjklnopqwxzBCGJKLNOPQWXZ")
FEWEST = 20  #: characters of the author's own words above it that tell a language
SEEN = 6000  #: characters of a text in which its languages are looked for
MAX_PARTS = 24  #: paragraphs
HEAD = 160  #: characters of one by which it is quickly known
_PARTED = late(r"\n[ \t]{0,20}\n")
_FOREIGN = late(
    "[\u0370-\u03ff\u0590-\u06ff\u0900-\u0dff\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
#: Cyrillic letters, and an "ъ" before a consonant or at the end, that neither Russian nor Ukrainian has: Bulgarian,
#: Serbian, Belarusian, Kazakh ...
_OTHER_CYRILLIC = late("[јљњћђџѓќѕўәғқңөұүһӣӯҷҳ]|ъ(?![еёюя])", re.IGNORECASE)


@functools.cache
def _common(plain: bool = False) -> dict[str, tuple[list[str], float]]:
    """(the languages of each common word, how much it counts for each); ``plain`` where nobody typed an accent."""
    found: dict[str, list[str]] = {}
    for code in KNOWN:
        common: list[str] = languages()[code]["language"]["common"]
        for word in dict.fromkeys(unaccented(word, code) if plain else word for word in common):
            found.setdefault(word, []).append(code)
    return {word: (codes, 1 / len(codes)) for word, codes in found.items()}


def prepare() -> None:
    """Loads the model now, so that the first mail does not wait for it."""
    model()
    _common()
    _common(plain=True)


def _prose(text: str) -> list[str]:
    """The words of prose lines, without names, numbers and pasted lines."""
    found: list[str] = []
    size = 0
    for line in text[:SEEN].split("\n"):
        if not line.strip() or is_pasted(line):
            continue
        plain = line[:1000]
        if _NAME.search(plain):
            plain = " ".join(word for word in plain.split() if not _NAME.search(word))
        words = (_ASCII_WORD if plain.isascii() else _WORD).findall(plain)
        letters = sum(map(len, words))
        if len(words) < 4 and letters * 2.2 < len(line.strip()):
            continue
        found += words
        size += letters + len(words)
        if size >= ENOUGH:
            break
    return found


def _votes(words: list[str], plain: bool) -> list[tuple[str, float]]:
    """How many of the words are common in each language; a word of several languages counts for each in part."""
    common = _common(plain)
    votes: dict[str, float] = {}
    for word in words:
        if (known := common.get(word.lower())) is not None:
            codes, part = known
            for code in codes:
                votes[code] = votes.get(code, 0.0) + part
    return sorted(votes.items(), key=itemgetter(1), reverse=True)[:2]


def _classified(prose: str) -> tuple[str, float]:
    """The likeliest language with its share; one that customers write in is taken as twice as likely as another."""
    ranked = [(code, share * (2 if code in KNOWN else 1)) for code, share in model().rank(prose)[:4]]
    code, share = max(ranked, key=lambda item: item[1])
    return code, share / sum(other for _, other in ranked)


def language_of(text: str) -> str | None:
    """A two-letter code, or ``None`` when the words do not tell. Above a pasted bounce it is the author's words that
    count."""
    pasted = _first_pasted(text)
    if pasted > FEWEST and (own := _language_of(text[:pasted])) is not None:
        return own
    return _language_of(text)


def parts_of(text: str, written: str | None = None) -> dict[str, str]:
    """The paragraphs of each language that a text is written in, joined, in the order in which the languages come; what
    is too short to tell is left out. ``written``: the language of the whole, if it is known."""
    found: dict[str, str] = {}
    for part in _PARTED.split(text[:SEEN])[:MAX_PARTS]:
        if len(part) < FEWEST:
            continue
        code = written if written and _speaks(written, part[:HEAD]) else _language_of(part)
        if code is not None:
            found[code] = f"{found[code]}\n\n{part}" if code in found else part
    return found


def _speaks(code: str, head: str) -> bool:
    """Cheap: whether the commonest words of a paragraph's beginning are of the language, and of no other as many."""
    words = _WORD.findall(head)
    votes = _votes(words, head.isascii())
    return bool(votes) and votes[0][0] == code and votes[0][1] >= max(2.0, len(words) * 0.2)


def _first_pasted(text: str) -> int:
    """Where a line begins that opens a mail of a program; 0 where none does."""
    place = 0
    for line in text[:SEEN].split("\n"):
        if line[:1] not in _NEVER_FIRST and _PASTED_MAIL.match(line.lstrip("> \t|")):
            return place
        place += len(line) + 1
    return 0


def _language_of(text: str) -> str | None:
    words = _prose(text)
    prose = " ".join(words)[:ENOUGH]
    if len(prose) < 12:
        return None
    letters = sum(map(len, words))
    if not prose.isascii() and (
        len(_FOREIGN.findall(prose)) * 2 > letters or len(_OTHER_CYRILLIC.findall(prose)) * ONE_IN >= letters
    ):
        return None
    votes = _votes(words, prose.isascii())
    best, count = votes[0] if votes else ("", 0.0)
    lead = count - (votes[1][1] if len(votes) > 1 else 0.0)
    if count >= PLAIN and lead >= count * 0.6 and count >= len(words) * 0.25:
        return best
    code, certainty = _classified(prose)
    if code == best:
        return str(code) if certainty >= 0.5 or lead >= 1 else None
    sure = certainty >= (0.95 if code in KNOWN else CERTAIN)
    if best and lead >= 1.5 and count >= max(2.0, len(words) * 0.15) and not sure:
        return best
    if code not in KNOWN or certainty < CERTAIN or (len(prose) < 25 and certainty < 0.95):
        return None
    return str(code) if count < 2 or certainty >= 0.95 else None
